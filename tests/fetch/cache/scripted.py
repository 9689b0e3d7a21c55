"""A source that a test scripts, and a plain one over HTTP that another process may use too."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from comfyserve.core.credentials import Auth, BearerAuth
from comfyserve.core.errors import FetchFailed, FetchRefused, TooLarge
from comfyserve.fetch.source import UNKNOWN, Arrived, Order, Unchanged, Validators

PIECE = 64 * 1024


@dataclass
class File:
    """What an address gives: `token` opens a private one, `gate` lets a download end, `error` breaks it. `others` are
    files that it gives for other tokens, and that of "" to everybody else."""

    content: bytes = b"content"
    token: str = ""
    etag: str = ""
    mime: str = ""
    name: str | None = None
    tells_size: bool = True
    gate: asyncio.Event | None = None
    error: Exception | None = None
    is_folder: bool = False
    is_hashed: bool = True
    others: dict[str, "File"] = field(default_factory=dict)


@dataclass
class ScriptedSource:
    """Implements Source. Counts what it is asked; `started` rings when a download begins."""

    files: dict[str, File] = field(default_factory=dict)
    downloads: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    ended: list[str] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0
    busiest: int = 0
    before: Callable[[Path], None] = lambda path: None

    async def download(self, order: Order, path: Path) -> Arrived | Unchanged:
        """Write the whole content, half before the gate and half after it."""
        self.downloads[order.url] += 1
        self.orders.append(order)
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        try:
            return await self._download(order, path)
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        finally:
            self.busy -= 1

    async def _download(self, order: Order, path: Path) -> Arrived | Unchanged:
        self.started.set()
        file = self._open(order.url, order.auth)
        if file.error is not None:
            raise file.error
        if order.held is not None and file.etag and order.held.etag == file.etag:
            return Unchanged()
        if len(file.content) > order.limit:
            raise TooLarge(f"The file is larger than the {order.limit} bytes that are allowed.")
        if file.is_folder:
            return _folder(file.content, path)
        half = len(file.content) // 2
        self.before(path)
        _write(path, file.content[:half])
        order.on_bytes(half, len(file.content) if file.tells_size else None)
        await asyncio.sleep(0)
        if file.gate is not None:
            await file.gate.wait()
        _write(path, file.content)
        arrived = _arrived(file.content, file.etag, file.mime, file.name)
        return arrived if file.is_hashed or order.sha256 else replace(arrived, sha256="")

    async def check(self, url: str, auth: Auth | None, held: Validators = UNKNOWN) -> bool:
        """Look at the token and the ETag only."""
        self.checks[url] += 1
        file = self._open(url, auth)
        if file.gate is not None:
            await file.gate.wait()
        return held.shows(Validators(file.etag, size=len(file.content)))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _open(self, url: str, auth: Auth | None) -> File:
        file = self.files.get(url)
        if file is None:
            raise FetchFailed("The origin answers with status 404.")
        given = auth.token if isinstance(auth, BearerAuth) else ""
        if file.token and given != file.token:
            if other := file.others.get(given) or file.others.get(""):
                return other
            raise FetchFailed("The origin answers with status 401.")
        return file


class PlainHttp:
    """Implements Source with one GET that goes on where a partial file ends; no retries, no policy."""

    async def download(self, order: Order, path: Path) -> Arrived | Unchanged:
        """The file of a small test origin."""
        have = _size(path)
        async with (
            aiohttp.ClientSession() as session,
            session.get(order.url, headers={"Range": f"bytes={have}-"}) as response,
        ):
            if response.status not in (200, 206):
                raise FetchFailed(f"The origin answers with status {response.status}.")
            total = have + int(response.headers["Content-Length"])
            with path.open("ab") as file:
                async for piece in response.content.iter_chunked(PIECE):
                    file.write(piece)
                    file.flush()
                    have += len(piece)
                    order.on_bytes(have, total)
        return _arrived(_read(path), response.headers.get("ETag", ""), "", None)

    async def check(self, url: str, auth: Auth | None, held: Validators = UNKNOWN) -> bool:
        """Nothing is private there."""
        if auth is not None:
            raise FetchRefused("Nothing is private here.")
        return True

    async def close(self) -> None:
        """Nothing to let go of."""


def _arrived(content: bytes, etag: str, mime: str, name: str | None) -> Arrived:
    return Arrived(
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        mime=mime,
        names=(name,),
        validators=Validators(etag=etag, size=len(content)),
        head=content[:64],
    )


def _folder(content: bytes, path: Path) -> Arrived:
    """A folder with one file in a folder, as repositories come."""
    (path / "unet").mkdir(parents=True)
    (path / "unet" / "model.bin").write_bytes(content)
    return Arrived(size=len(content), sha256="", names=("repo",), is_folder=True)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
