from fastapi import APIRouter, FastAPI

from catalog.settings import Settings

lonely = APIRouter(prefix="/lonely")


@lonely.get("/one")
def one() -> int:
    return 1


def create_app() -> FastAPI:
    settings = Settings()
    app = FastAPI()

    @app.get("/")
    def root() -> int:
        return settings.page_size

    return app
