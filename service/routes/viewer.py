"""A browser comes in; the viewer's page goes out: plain modules, nothing from elsewhere."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

PAGE = Path(__file__).parent.parent / "viewer"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; media-src 'self' blob:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def page() -> FileResponse:
    """Give the page."""
    return FileResponse(PAGE / "index.html", headers={"Content-Security-Policy": POLICY})


def install_viewer(app: FastAPI) -> None:
    """Serve the page and what belongs to it."""
    app.include_router(router)
    app.mount("/viewer", StaticFiles(directory=PAGE))
