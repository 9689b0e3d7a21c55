"""As much of the Hugging Face hub as a commit of plain files needs, on loopback."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

TOKEN = "hf_emulated_token"


@dataclass
class UploadHub:
    """The hub: `files` by (`datasets/owner/name`, revision, path); `status` other than 200 is what a commit gets;
    `silent`: a commit gets no answer. `asked` is set by the first commit."""

    url: str = ""
    status: int = 200
    times: int = 1_000_000
    silent: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    files: dict[tuple[str, str, str], bytes] = field(default_factory=dict)

    def refuses(self) -> bool:
        """Whether this commit is refused."""
        if self.status == 200 or self.times <= 0:
            return False
        self.times -= 1
        return True


@asynccontextmanager
async def upload_hub() -> AsyncIterator[UploadHub]:
    """Run it."""
    hub = UploadHub()

    async def preupload(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": "Invalid credentials"}, status=401)
        asked = (await request.json())["files"]
        plain = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in asked]
        return web.json_response({"files": plain})

    async def commit(request: web.Request) -> web.Response:
        hub.asked.set()
        if hub.silent:
            await hub.over.wait()
        lines = [json.loads(line) for line in (await request.read()).splitlines()]
        if hub.refuses():
            return web.json_response({"error": "no"}, status=hub.status)
        kind, repo, revision = (request.match_info[name] for name in ("kind", "repo", "revision"))
        for line in lines:
            if line["key"] == "file":
                where = (f"datasets/{repo}" if kind == "datasets" else repo, revision, line["value"]["path"])
                hub.files[where] = base64.b64decode(line["value"]["content"])
        oid = "c" * 40
        url = f"https://huggingface.co/{repo}/commit/{oid}"
        return web.json_response({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    app = web.Application(client_max_size=0)
    app.router.add_post(r"/api/{kind}/{repo:[^/]+/[^/]+}/preupload/{revision}", preupload)
    app.router.add_post(r"/api/{kind}/{repo:[^/]+/[^/]+}/commit/{revision}", commit)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield hub
    finally:
        hub.over.set()
        await runner.cleanup()
