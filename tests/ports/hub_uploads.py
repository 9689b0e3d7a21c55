"""As much of the Hugging Face hub as commits of plain and of large files need, on loopback."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

LARGE = 1_000_000
"""Bytes from which a file goes to the store of large files, before the commit that names it."""

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
    large: dict[str, bytes] = field(default_factory=dict)
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
        modes = {one["path"]: "lfs" if one["size"] >= LARGE else "regular" for one in asked}
        files = [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes.items()]
        return web.json_response({"files": files})

    async def batch(request: web.Request) -> web.Response:
        wanted = (await request.json())["objects"]
        objects = [{**one, "actions": {"upload": {"href": f"{hub.url}/large/{one['oid']}"}}} for one in wanted]
        return web.json_response({"transfer": "basic", "objects": objects})

    async def large(request: web.Request) -> web.Response:
        data = await request.read()
        assert hashlib.sha256(data).hexdigest() == request.match_info["oid"]
        hub.large[request.match_info["oid"]] = data
        return web.Response()

    async def commit(request: web.Request) -> web.Response:
        hub.asked.set()
        if hub.silent:
            await hub.over.wait()
        lines = [json.loads(line) for line in (await request.read()).splitlines()]
        if hub.refuses():
            return web.json_response({"error": "no"}, status=hub.status)
        kind, repo, revision = (request.match_info[name] for name in ("kind", "repo", "revision"))
        for line in lines:
            value = line["value"]
            where = (f"datasets/{repo}" if kind == "datasets" else repo, revision, value.get("path", ""))
            if line["key"] == "file":
                hub.files[where] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                hub.files[where] = hub.large[value["oid"]]
        oid = "c" * 40
        url = f"https://huggingface.co/{repo}/commit/{oid}"
        return web.json_response({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    app = web.Application(client_max_size=0)
    app.router.add_post(r"/api/{kind}/{repo:[^/]+/[^/]+}/preupload/{revision}", preupload)
    app.router.add_post("/{repo:.+}.git/info/lfs/objects/batch", batch)
    app.router.add_put("/large/{oid}", large)
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
