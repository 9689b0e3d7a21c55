"""/docs: the API's own description, drawn by Swagger UI from the wheel; no other host is asked."""

from importlib.resources import files

from fastapi import FastAPI
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ASSETS = str(files("fastapi_offline") / "static")
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{assets}/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="{assets}/swagger-ui-bundle.js"></script>
<script src="{start}"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({{
  url: "{document}",
  dom_id: "#docs",
  deepLinking: true,
  persistAuthorization: true,
  validatorUrl: null,
}});
"""


def docs_page(title: str, assets: str, start: str) -> Response:
    """The page. `assets` is the path of Swagger UI's own files (those in ASSETS), `start` that of `start_script`."""
    page = PAGE.format(title=title, assets=assets, start=start)
    return HTMLResponse(page, headers={"content-security-policy": CSP})


def start_script(document: str) -> Response:
    """What draws the document at this path."""
    return Response(START.format(document=document), media_type="text/javascript")


def add_docs(app: FastAPI) -> None:
    """Add the platform's page and its assets."""

    async def page() -> Response:
        return docs_page("comfyserve API", "/docs/assets", "/docs/start.js")

    async def start() -> Response:
        return start_script("/openapi.json")

    app.add_api_route("/docs", page, include_in_schema=False)
    app.add_api_route("/docs/start.js", start, include_in_schema=False)
    app.mount("/docs/assets", StaticFiles(directory=ASSETS))
