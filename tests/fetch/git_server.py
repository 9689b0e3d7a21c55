"""A git repository behind HTTP: git's own http-backend as a CGI program, with or without a password."""

import asyncio
import os
import subprocess
from base64 import b64encode
from pathlib import Path

from aiohttp import web

PASSWORD = b64encode(b"ann:s3cret").decode()
IDENTITY = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"],
}  # fmt: skip


class GitServer:
    """Serves the bare repositories of a folder: `/open/...` to all, `/closed/...` for a password, `/hang/...` never,
    `/away/...` as a redirect to `to`. `seen` keeps the Authorization headers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.to = ""
        self.seen: set[str] = set()
        self.asked = asyncio.Event()

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{kind}/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        kind, given = request.match_info["kind"], request.headers.get("Authorization", "")
        self.seen.add(given)
        self.asked.set()
        if kind == "hang":
            await asyncio.sleep(60)
        if kind == "away":
            return web.Response(status=302, headers={"Location": f"{self.to}?{request.query_string}"})
        if kind == "closed" and given not in (f"Basic {PASSWORD}", "Bearer t0ken"):
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
        return await self._backend(request)

    async def _backend(self, request: web.Request) -> web.Response:
        env = {
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": request.method,
            "PATH_INFO": "/" + request.match_info["path"],
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": "",
            "PATH": os.environ["PATH"],
        }
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", env=env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate(await request.read())
        head, _, body = out.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, headers=headers, body=body)


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; what it prints."""
    done = subprocess.run(["git", *arguments], cwd=folder, env=IDENTITY, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def make_repository(root: Path, files: dict[str, str], links: dict[str, str] | None = None) -> Path:
    """A bare repository `r.git` below `root` with two commits, a branch `feature/x` and a tag `v1` on the first."""
    work = root / "work"
    work.mkdir(parents=True)
    git(work, "init", "--quiet", "--initial-branch=main")
    (work / "first.txt").write_text("first")
    git(work, "add", "-A")
    git(work, "commit", "--quiet", "-m", "first")
    git(work, "tag", "-a", "v1", "-m", "v1")
    git(work, "branch", "feature/x")
    for name, text in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    for name, to in (links or {}).items():
        (work / name).symlink_to(to)
    git(work, "add", "-A")
    git(work, "commit", "--quiet", "-m", "second")
    git(root, "clone", "--quiet", "--bare", "work", "r.git")
    return work
