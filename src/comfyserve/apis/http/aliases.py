"""Routes of /api that are also answered without it, for clients whose base URL lacks the prefix."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send


class Aliases:
    """Reads `/run/...` as `/api/run/...` for the first segments in `names`; a browser's page view is left alone."""

    def __init__(self, app: ASGIApp, *, prefix: str, names: Collection[str]) -> None:
        self.app = app
        self.prefix = prefix
        self.names = frozenset(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] == "http" and self._meant(scope):
            path = self.prefix + scope["path"]
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self.app(scope, receive, send)

    def _meant(self, scope: Scope) -> bool:
        if scope["path"].split("/", 2)[1:2] == [] or scope["path"].split("/", 2)[1] not in self.names:
            return False
        return scope["method"] not in ("GET", "HEAD") or "text/html" not in Headers(scope=scope).get("accept", "")
