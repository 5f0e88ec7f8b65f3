from fastapi import FastAPI

from app import settings
from app.routers import items, users_router

app = FastAPI(title="catalog")
app.include_router(items.router, prefix="/api")
app.include_router(users_router, prefix="/api/v2")


@app.get("/healthz")
async def health() -> dict[str, str]:
    return {"status": "ok", "level": settings.LOG_LEVEL}


@app.get("/search")
async def search(q: str, page: int = 1) -> list[str]:
    return [q] * page


@app.post("/orders")
async def order(item: int) -> dict[str, int]:
    return {"item": item}
