"""Files and whole repositories from Hugging Face, by huggingface_hub and hf-xet in a child process."""

import hashlib
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from yarl import URL

from comfyserve.core.credentials import Auth, BearerAuth
from comfyserve.core.errors import FetchFailed, FetchRefused, StorageFailed
from comfyserve.fetch import hf_child
from comfyserve.fetch.child import check_size, environment, make_folder, python_command, run_child, weigher
from comfyserve.fetch.disk import remove
from comfyserve.fetch.hf_url import HfPlace, read_hf_url
from comfyserve.fetch.proxy import GuardingProxy, Lease
from comfyserve.fetch.source import UNKNOWN, Arrived, Order, Unchanged, Validators
from comfyserve.fetch.threads import in_thread
from comfyserve.fetch.tries import DELAYS, with_tries

HUB = "https://huggingface.co"
ASK_SECONDS = 30.0
MAX_LISTING = 32 * 1024 * 1024
HOPS = 3
HEAD_BYTES = 64
NOTES_BYTES = 1024 * 1024
"""Room for what huggingface_hub writes beside the files; what counts in the end are the files."""
RESUME = ".resume"
LEFTOVERS = ".cache"
"""Where huggingface_hub keeps its notes inside a folder that it fills."""

SAFE_ENVIRONMENT: Mapping[str, str] = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DOWNLOAD_TIMEOUT": "60",
    "HF_XET_CHUNK_CACHE_SIZE_BYTES": "0",
    "NO_PROXY": "",
}
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Found:
    """What the hub says: the commit, what tells this state from others, and the files with their sizes."""

    commit: str
    etag: str
    sizes: Mapping[str, int]

    @property
    def size(self) -> int:
        return sum(self.sizes.values())


@dataclass(frozen=True)
class _Hub:
    """The hub, as one download asks it: through the proxy, with one token."""

    endpoint: str
    lease: Lease
    token: str
    session: aiohttp.ClientSession


class HfSource:
    """Files and folders of `hf://` addresses and the hub's https ones.

    `token` is the server's own, used when a caller gives no bearer token. `endpoint` is the hub, trusted by name: a
    mirror may be private. The etag of a repository is its commit.
    """

    def __init__(
        self,
        proxy: GuardingProxy,
        *,
        token: str = "",
        endpoint: str = HUB,
        delays: Sequence[float] = DELAYS,
    ) -> None:
        self._proxy = proxy
        self._token = token
        self._endpoint = URL(endpoint.rstrip("/"))
        self._delays = delays

    async def download(self, order: Order, path: Path) -> Arrived | Unchanged:
        """Write the file, or fill the folder, `path`. See Source."""
        place = self._read(order.url)
        token = self._token_for(order.auth)
        return await with_tries(lambda: self._try(place, token, order, path), self._host, self._delays)

    async def check(self, url: str, auth: Auth | None, held: Validators = UNKNOWN) -> bool:
        """Ask about the file, or whether the repository opens and at which commit it is. See Source."""
        place = self._read(url)

        async def ask(hub: _Hub) -> bool:
            if not place.path:
                await _ask(hub, "GET", place.access_route)
            found = await (_find_file(hub, place) if place.path else _find_repo(hub, place))
            return held.shows(Validators(found.etag))

        same: bool = await self._with_hub(self._token_for(auth), ask)
        return same

    async def close(self) -> None:
        """Nothing to let go of."""

    @property
    def _host(self) -> str:
        return self._endpoint.host or ""

    def _read(self, url: str) -> HfPlace:
        return read_hf_url(url, self._endpoint.authority)

    def _token_for(self, auth: Auth | None) -> str:
        if auth is not None and not isinstance(auth, BearerAuth):
            raise FetchRefused("Hugging Face is opened with credentials of the type bearer.")
        token = auth.token if auth is not None else self._token
        if not token.isprintable() or not token.isascii():
            raise FetchRefused("The token for Hugging Face has characters that no token has.")
        return token

    async def _with_hub(self, token: str, work: Callable[[_Hub], Awaitable[Any]]) -> Any:
        trusted = [f"{self._endpoint.host}:{self._endpoint.port}"]
        timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
        async with self._proxy.lease(trusted) as lease, aiohttp.ClientSession(timeout=timeout) as session:
            return await work(_Hub(str(self._endpoint).rstrip("/"), lease, token, session))

    async def _try(self, place: HfPlace, token: str, order: Order, path: Path) -> Arrived | Unchanged:
        async def work(hub: _Hub) -> Arrived | Unchanged:
            found = await (_find_file(hub, place) if place.path else _find_repo(hub, place))
            if order.held is not None and found.etag and order.held.etag == found.etag:
                return Unchanged()
            check_size(found.size, order.limit)
            folder = path.with_name(path.name + RESUME)
            await _fetch(hub, place, found, order, folder)
            finish = _finish_file if place.path else _finish_folder
            arrived = await in_thread(lambda: finish(place, found, order, folder, path))
            order.on_bytes(arrived.size, arrived.size)
            return arrived

        arrived: Arrived | Unchanged = await self._with_hub(token, work)
        return arrived


def is_installed() -> bool:
    """Whether the extra `hf` is there."""
    return find_spec("huggingface_hub") is not None


async def _find_file(hub: _Hub, place: HfPlace) -> _Found:
    headers = await _ask(hub, "HEAD", place.file_route)
    etag = (headers.get("X-Linked-Etag") or headers.get("ETag") or "").removeprefix("W/").strip('"')
    size = headers.get("X-Linked-Size") or headers.get("Content-Length") or ""
    return _Found(headers.get("X-Repo-Commit", place.revision), etag, {place.path: int(size) if size.isdigit() else 0})


async def _find_repo(hub: _Hub, place: HfPlace) -> _Found:
    listing: dict[str, Any] = {}
    await _ask(hub, "GET", place.repo_route + "?blobs=true", listing)
    try:
        sizes = {str(file["rfilename"]): int(file.get("size") or 0) for file in listing["siblings"]}
        return _Found(str(listing["sha"]), str(listing["sha"]), sizes)
    except (KeyError, TypeError, ValueError) as error:
        raise FetchFailed("The hub tells about the repository in a way that we do not know.") from error


async def _ask(hub: _Hub, method: str, route: str, into: dict[str, Any] | None = None) -> Mapping[str, str]:
    """The headers of the hub's answer, its JSON goes `into` the dict; redirects on the hub itself are followed."""
    url = URL(hub.endpoint + route, encoded=True)
    for _ in range(HOPS):
        try:
            headers = await _ask_once(hub, method, url, into)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            if hub.lease.trouble is not None:
                raise hub.lease.trouble from None
            kind = type(error).__name__
            raise FetchFailed(f"{url.host} does not answer properly ({kind}).", retryable=True) from None
        location = headers.get("Location", "")
        if not location.startswith("/") or location.startswith("//"):  # another host, which gets no token
            return headers
        url = url.join(URL(location, encoded=True))
    raise FetchFailed(f"{url.host} redirects too often.")


async def _ask_once(hub: _Hub, method: str, url: URL, into: dict[str, Any] | None) -> Mapping[str, str]:
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {hub.token}"} if hub.token else {})
    async with hub.session.request(method, url, headers=headers, proxy=hub.lease.url, allow_redirects=False) as answer:
        if answer.status >= 400:
            raise _denied(hub, answer.status, answer.headers)
        if into is not None and answer.status < 300:
            into.update(json.loads(await _read_bounded(answer)))
        return answer.headers


async def _read_bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = await answer.content.read(MAX_LISTING)
    while len(body) < MAX_LISTING and (more := await answer.content.read(MAX_LISTING - len(body))):
        body += more
    if not answer.content.at_eof():
        raise FetchFailed("The repository has too many files.")
    return body


def _denied(hub: _Hub, status: int, headers: Mapping[str, str]) -> Exception:
    host, why = URL(hub.endpoint).host, headers.get("X-Error-Code", "")
    if hub.lease.refused is not None:
        return hub.lease.refused
    if why == "GatedRepo":
        return FetchFailed(
            f"The repository at {host} is gated. Accept its terms there, and give a token of that account."
        )
    if why in ("EntryNotFound", "RevisionNotFound"):
        return FetchFailed(f"The repository at {host} has no such {'file' if why[0] == 'E' else 'revision'}.")
    if status in (401, 403, 404):
        return FetchFailed(f"{host} has no such repository or file, or it is private. Give a token that may read it.")
    return FetchFailed(f"{host} answers with status {status}.", retryable=status in (408, 429) or status >= 500)


async def _fetch(hub: _Hub, place: HfPlace, found: _Found, order: Order, folder: Path) -> None:
    """Fill `folder/files`; what an earlier, broken download left there is continued."""
    if not (folder / "files").is_dir():
        await in_thread(lambda: make_folder(folder))
        (folder / "files").mkdir()
    own = dict(SAFE_ENVIRONMENT) | dict.fromkeys(PROXY_VARIABLES, hub.lease.url)
    own |= {"HF_HOME": str(folder / "home"), "HOME": str(folder / "home"), "HF_ENDPOINT": hub.endpoint}
    own |= {"HF_TOKEN": hub.token, "TMPDIR": str(folder)}
    arguments = (place.kind, place.repo, found.commit, str(folder / "files"), *([place.path] if place.path else []))
    command = python_command(hf_child.__file__, arguments)
    look = weigher(folder / "files", order.limit + NOTES_BYTES, order.on_bytes, lambda: found.size or None)
    ended = await run_child(command, environment(own), cwd=folder, look=look)
    if ended.status != hf_child.DONE:
        words = ended.complaints.split() or ["none"]
        log.info("fetch.hf_failed", status=ended.status, kind=words[-1][:80])
        raise _failed(hub, ended.status)


def _failed(hub: _Hub, status: int) -> Exception:
    host = URL(hub.endpoint).host
    if hub.lease.trouble is not None:
        return hub.lease.trouble
    if status == hf_child.DISK:
        return StorageFailed("The file cannot be kept on disk: there is no space left.")
    if status == hf_child.NOT_INSTALLED:
        return FetchFailed("Hugging Face needs the extra hf. Install comfyserve[hf].")
    if status == hf_child.DENIED:
        return FetchFailed(f"The repository at {host} is gated. Give a token of an account that accepted its terms.")
    if status == hf_child.ABSENT:
        return FetchFailed(f"{host} has no such repository or file, or it is private. Give a token that may read it.")
    return FetchFailed(f"{host} did not give the file.", retryable=True)


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"The file cannot be kept on disk: {error.strerror}.") from error


def _finish_file(place: HfPlace, found: _Found, order: Order, folder: Path, path: Path) -> Arrived:
    """Move the file to its place, if it is what the hub said."""
    got = folder / "files" / place.path
    with _ours(), got.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        head = file.read(HEAD_BYTES)
    size = got.stat().st_size
    said = found.etag if len(found.etag) == 64 else ""
    if said and digest != said.lower():
        remove(folder)
        raise FetchFailed("Hugging Face gave a file whose SHA-256 is not the expected one.", retryable=True)
    check_size(size, order.limit)
    with _ours():
        remove(path)
        got.replace(path)
        remove(folder)
    return Arrived(size, digest, "", (place.name,), Validators(found.etag, size=size), head)


def _finish_folder(place: HfPlace, found: _Found, order: Order, folder: Path, path: Path) -> Arrived:
    """Move the folder to its place, if all of it is there."""
    got = folder / "files"
    with _ours():
        shutil.rmtree(got / LEFTOVERS, ignore_errors=True)
        for name, size in found.sizes.items():
            file = got / name
            if not file.is_file() or (size and file.stat().st_size != size):
                raise FetchFailed("Hugging Face gave only a part of the repository.", retryable=True)
        size = sum(file.lstat().st_size for file in got.rglob("*") if not file.is_dir())
        check_size(size, order.limit)
        remove(path)
        got.replace(path)
        remove(folder)
    validators = Validators(found.etag, size=size)
    return Arrived(size, "", "inode/directory", (place.name,), validators, is_folder=True)
