"""A server of the caller's: it gives a picture, and takes files, for those who know the word."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from PIL import Image

WORD = "open-sesame"
SIDE = 512


def picture() -> bytes:
    """A PNG of some size: its pixels do not compress."""
    paper = io.BytesIO()
    Image.effect_noise((SIDE, SIDE), 80).convert("RGB").save(paper, "PNG")
    return paper.getvalue()


class Shop:
    """`taken` are the files it got, by name. `slow.png` comes to its half only, until `go_on` is set."""

    def __init__(self) -> None:
        self.picture = picture()
        self.taken: dict[str, bytes] = {}
        self.go_on = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Shop"]:
        app = web.Application(client_max_size=1024**3)
        app.router.add_get("/private/{name}", self._give)
        app.router.add_put("/in/{name:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield self
        await runner.cleanup()

    async def _give(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {WORD}":
            return web.Response(status=401)
        answer = web.StreamResponse(headers={"Content-Type": "image/png", "Content-Length": str(len(self.picture))})
        await answer.prepare(request)
        if request.method == "HEAD":
            return answer
        half = len(self.picture) // 2
        await answer.write(self.picture[:half])
        if request.match_info["name"] == "slow.png":
            await self.go_on.wait()
        await answer.write(self.picture[half:])
        return answer

    async def _take(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Shop-Key") != WORD:
            return web.Response(status=403)
        self.taken[request.match_info["name"]] = await request.read()
        return web.Response(status=201)

    def wish(self, name: str, *, word: str = WORD) -> dict[str, Any]:
        """The options of a run that gets one of the pictures and puts its result here."""
        return {
            "graph": {
                "1": {"class_type": "LoadImage", "inputs": {"image": f"{self.url}/private/{name}"}},
                "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "shop"}},
            },
            "credentials": [{"url_pattern": f"{self.url}/private/*", "auth": {"type": "bearer", "token": word}}],
            "convert_output": {"format": "webp", "options": {"quality": 60}},
            "target": {
                "type": "http",
                "url_prefix": f"{self.url}/in",
                "auth": {"type": "header", "header_name": "X-Shop-Key", "header_value": word},
            },
        }
