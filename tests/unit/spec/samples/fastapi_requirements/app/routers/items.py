import fastapi

router = fastapi.APIRouter(prefix="/items")


@router.get("")
async def items() -> list[int]:
    return [1, 2, 3]


@router.get("/{item_id}")
async def item(item_id: int) -> int:
    return item_id


@router.get("/{item_id}/files/{name:path}")
async def file(item_id: int, name: str) -> str:
    return f"{item_id}/{name}"
