"""An application comes in; its documentation, with all that browsers need for it, goes out.

The assets lie here: laboratories have no way out, and a page from elsewhere would need one.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from service.clips import DEMO_ID
from service.keys import OPEN_PATHS
from service.settings import Settings

ASSETS = Path(fastapi_offline.__file__).parent / "static"

USUAL_MODEL = "nano"  # as the routes' own examples have it
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def describe(app: FastAPI, settings: Settings, wants_key: bool) -> None:
    """Say in the OpenAPI document how a key is shown, and take examples from the settings.

    Args:
        app: with all of its routes.
        settings: they name the models, and say whether there is a demo.
        wants_key: whether there are keys.
    """
    document = app.openapi()  # the one that is served from now on
    document.setdefault("components", {})["securitySchemes"] = SCHEMES
    if wants_key:
        document["security"] = [{name: []} for name in SCHEMES]
    for path, operations in document["paths"].items():
        for operation in operations.values() if path.startswith(OPEN_PATHS) else ():
            operation["security"] = []
    _fit_examples(document, settings.models[0].partition("=")[0], settings.demo)


def install_docs(app: FastAPI) -> None:
    """Serve ``/docs``: the page runs its own one script and the assets that lie here, no others."""
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=f"{app.title} - API",
        swagger_js_url="/docs/assets/swagger-ui-bundle.js",
        swagger_css_url="/docs/assets/swagger-ui.css",
        swagger_favicon_url="/docs/assets/favicon.png",
    )
    scripts = re.findall(rb"<script>(.*?)</script>", bytes(page.body), re.DOTALL)
    digests = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src 'self' {digests}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
    )

    async def docs(_: Request) -> Response:
        headers = {"Content-Security-Policy": policy}
        return HTMLResponse(bytes(page.body), headers=headers)

    app.add_route("/docs", docs, include_in_schema=False)
    app.mount("/docs/assets", StaticFiles(directory=ASSETS))


def _fit_examples(node: Any, model: str, has_demo: bool) -> None:
    """Name this service's own model in examples; without a demo leave out those of clips."""
    if isinstance(node, list):
        for one in node:
            _fit_examples(one, model, has_demo)
    if not isinstance(node, dict):
        return
    for key in ("example", "examples"):
        if node.get(key) == [USUAL_MODEL]:
            node[key] = [model]
        elif key in node and DEMO_ID in str(node[key]) and not has_demo:
            del node[key]
    for one in node.values():
        _fit_examples(one, model, has_demo)


def _digest(script: bytes) -> str:
    return base64.b64encode(hashlib.sha256(script).digest()).decode()
