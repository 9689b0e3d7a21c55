"""A small Hugging Face hub: the routes that huggingface_hub asks, with gated, private and misbehaving repositories."""

import asyncio
import hashlib
import json
import os
import time
from collections import Counter
from urllib.parse import unquote

from aiohttp import web

COMMIT = "c0ffee" * 6 + "c0ff"
TOKEN = "hf_s3cret"
BIG = b"\x02" + bytes(7) + b"{}" + os.urandom(300_000)
FILES = {"config.json": b"{}", "unet/model.safetensors": BIG, "a b/é.txt": b"spaces"}
LARGE = frozenset({"unet/model.safetensors"})
"""Files that the hub keeps elsewhere: their HEAD is a redirect, their ETag a SHA-256."""


class Hub:
    """Repositories by owner: `open/r`, `closed/r` and `gated/r` (for the token), `moved/r` (now `open/r`),
    `elsewhere/r` (on another host), `away/r` (its large file is at `to`), `xet/r` (its large file is in a xet store at
    `to`), `hang/r` and `wrong/r` (other bytes than it says). Large files are at `store`, another host.

    `asked` counts methods and paths, `tokens` keeps the Authorization headers.
    """

    def __init__(self) -> None:
        self.to = ""
        self.asked: Counter[str] = Counter()
        self.tokens: set[str] = set()
        self.agents: set[str] = set()
        self.hanging = asyncio.Event()

    async def start(self) -> None:
        app = web.Application()
        routes = [
            ("/xet-token", self._xet_token),
            ("/blob/{digest}", self._blob),
            ("/api/models/{owner}/r/auth-check", self._checks),
            ("/api/models/{owner}/r/revision/{revision}", self._info),
            ("/api/models/{owner}/r/tree/{revision}{path:.*}", self._tree),
            ("/{owner}/r/resolve/{revision}/{path:.*}", self._resolve),
        ]
        for route, answer in routes:
            app.router.add_route("*", route, answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.store = f"http://localhost:{self.port}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    def _denied(self, request: web.Request) -> web.Response | None:
        owner = request.match_info["owner"]
        given = request.headers.get("Authorization", "")
        self.asked[f"{request.method} {request.path}"] += 1
        self.tokens.add(given)
        self.agents.add(request.headers.get("User-Agent", ""))
        if owner not in ("open", "closed", "gated", "moved", "elsewhere", "away", "xet", "hang", "wrong"):
            return web.Response(status=401, headers={"X-Error-Code": "RepoNotFound"})
        if owner in ("closed", "gated") and given != f"Bearer {TOKEN}":
            code = "GatedRepo" if owner == "gated" else "RepoNotFound"
            return web.Response(status=403 if owner == "gated" else 401, headers={"X-Error-Code": code})
        if request.match_info.get("revision", "main") not in ("main", "refs/pr/1", COMMIT):
            return web.Response(status=404, headers={"X-Error-Code": "RevisionNotFound"})
        return None

    async def _checks(self, request: web.Request) -> web.Response:
        return self._denied(request) or web.json_response({})

    async def _info(self, request: web.Request) -> web.Response:
        files = [{"rfilename": name, "size": len(data)} for name, data in FILES.items()]
        told = {"id": "o/r", "sha": COMMIT, "siblings": files, "private": False, "tags": [], "downloads": 0}
        return self._denied(request) or web.json_response(told)

    async def _tree(self, request: web.Request) -> web.Response:
        entries = [_entry(name, data) for name, data in FILES.items()]
        return self._denied(request) or web.json_response(entries)

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        if denied := self._denied(request):
            return denied
        owner, path = request.match_info["owner"], unquote(request.match_info["path"])
        if owner == "elsewhere":
            return web.Response(
                status=307, headers={"Location": f"//localhost:{self.port}{request.path}", "ETag": '"x"'}
            )
        if owner == "moved":
            return web.Response(status=307, headers={"Location": request.path_qs.replace("/moved/", "/open/")})
        data = FILES.get(path)
        if data is None:
            return web.Response(status=404, headers={"X-Error-Code": "EntryNotFound"})
        digest = hashlib.sha256(data).hexdigest()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'}
        if path not in LARGE:
            return web.Response(body=data, headers=headers)
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        if owner == "xet":
            headers |= {"X-Xet-Hash": digest, "X-Xet-Refresh-Route": f"{self.url}/xet-token"}
        where = {"away": self.to, "hang": f"{self.store}/blob/hang", "wrong": f"{self.store}/blob/wrong"}
        headers["Location"] = where.get(owner, f"{self.store}/blob/{digest}")
        return web.Response(status=302, headers=headers)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        digest = request.match_info["digest"]
        if digest == "hang":
            response = web.StreamResponse(headers={"Content-Length": str(len(BIG))})
            await response.prepare(request)
            await response.write(BIG[:1000])
            self.hanging.set()
            await asyncio.sleep(60)
        data = bytes(reversed(BIG)) if digest == "wrong" else BIG
        start = int(request.headers.get("Range", "bytes=0-")[6:].partition("-")[0])
        self.asked[f"blob from {start}"] += 1
        headers = {"ETag": f'"{digest}"'}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return web.Response(body=data[start:], status=206 if start else 200, headers=headers)

    async def _xet_token(self, request: web.Request) -> web.Response:
        told = {"casUrl": self.to, "accessToken": "x", "exp": int(time.time()) + 3600}
        headers = {
            "X-Xet-Cas-Url": self.to,
            "X-Xet-Access-Token": "x",
            "X-Xet-Token-Expiration": str(told["exp"]),
        }
        return web.Response(body=json.dumps(told), headers=headers, content_type="application/json")


def _entry(name: str, data: bytes) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
    if name in LARGE:
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return entry
