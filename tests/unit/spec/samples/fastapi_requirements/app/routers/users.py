from fastapi import APIRouter, Request

router = APIRouter(prefix="/users")


@router.api_route("/me", methods=["GET", "POST"])
async def me(request: Request) -> str:
    return request.method
