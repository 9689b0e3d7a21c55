"""A web server that is slow, lies, redirects or never ends, by path."""

import asyncio
import gzip
from collections import Counter
from collections.abc import Mapping

from aiohttp import web

MAX_POSTED = 64 * 1024**2
MINE, THEIRS = "Bearer mine", "Bearer theirs"
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 100_000


def _answer_private(request: web.Request, kind: str) -> web.Response:
    """A file for MINE; others go to a sign-in page (`signin`), have another file (`personal`), or are let in by HEAD
    alone (`headed`). With `?tag` the states have ETags."""
    given = request.headers.get("Authorization", "")
    headers = {"ETag": f'"{len(given)}"'} if "tag" in request.query else {}
    if given == MINE or (kind == "headed" and request.method == "HEAD"):
        return web.Response(body=PNG, content_type="image/png", headers=headers)
    if kind == "signin":
        return web.Response(status=302, headers={"Location": "/typed/page?as=text/html"})
    if kind == "personal" and given == THEIRS:
        return web.Response(body=b"theirs", headers=headers)
    return web.Response(status=401)


class Origin:
    """`asked` counts requests by path, `bodies` and `headers` keep what was posted to hooks."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []
        self.url = ""

    async def start(self) -> None:
        app = web.Application(client_max_size=MAX_POSTED)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.asked[path] += 1
        kind, _, rest = path.partition("/")
        if kind == "hook":
            self.bodies.append(await request.read())
            self.headers.append(request.headers)
            return web.Response(status=int(rest), headers={"Location": "/hook/200"})
        if kind == "status":
            return web.Response(status=int(rest))
        if kind == "flaky" and self.asked[path] < 3:
            return web.Response(status=503)
        if kind == "redirect":
            return web.Response(status=302, headers={"Location": request.query["to"]})
        if kind == "loop":
            return web.Response(status=307, headers={"Location": f"/loop/{int(rest) + 1}"})
        if kind == "private":
            return _answer_private(request, rest)
        if kind == "named":
            return web.Response(body=b"x", headers={"Content-Disposition": request.query["as"]})
        if kind == "typed":
            return web.Response(body=b"some text", content_type=request.query["as"])
        if kind == "gzip":
            return web.Response(body=gzip.compress(PNG), headers={"Content-Encoding": "gzip"})
        if kind in ("hang", "endless", "short", "breaks", "drip"):
            return await self._misbehave(kind, request)
        return web.Response(body=PNG, content_type="application/octet-stream")

    async def _misbehave(self, kind: str, request: web.Request) -> web.StreamResponse:
        if kind == "hang":
            await asyncio.sleep(60)
        response = web.StreamResponse()
        if kind in ("short", "breaks"):
            response.content_length = len(PNG)
        await response.prepare(request)
        await response.write(PNG[:1000])
        if kind == "breaks" and self.asked[request.match_info["path"]] > 1:
            await response.write(PNG[1000:])
        elif kind in ("short", "breaks"):
            assert request.transport is not None
            request.transport.close()
        while kind == "endless":
            await response.write(b"x" * 65_536)
        while kind == "drip":
            await response.write(b"x")
            await asyncio.sleep(0.05)
        return response
