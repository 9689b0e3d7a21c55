"""The cache over the real HTTP source: what an origin is asked, and that no secret is told to anybody."""

import asyncio
import hashlib
import io
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
from aiohttp import web

from comfyserve.core.credentials import BearerAuth, Credential
from comfyserve.core.errors import DomainError, FetchFailed, FetchRefused
from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.cache.locks import room_lock
from comfyserve.fetch.fetching import Caps, Fetching, FetchingLimits
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.proxy import GuardingProxy
from tests.fetch.cache.conftest import until

CONTENT = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 500
SECRET = "s3cr3t"


@dataclass
class StrictOrigin:
    """A file with an ETag at `/open`, the same behind a token at `/private`; remembers method, path and status."""

    log: list[tuple[str, str, int]] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        status = 200
        if request.path == "/private" and request.headers.get("Authorization") != f"Bearer {SECRET}":
            status = 401
        elif request.headers.get("If-None-Match") == '"1"':
            status = 304
        self.log.append((request.method, request.path, status))
        return web.Response(status=status, body=CONTENT if status == 200 else None, headers={"ETag": '"1"'})


@pytest.fixture
async def origin() -> AsyncIterator[StrictOrigin]:
    made = StrictOrigin()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def fetching(tmp_path: Path) -> AsyncIterator[Fetching]:
    guard = Guard("127.0.0.0/8")
    proxy = GuardingProxy(guard)
    limits = FetchingLimits(Caps(1_000_000, 20), Caps(1_000_000, 20), fresh_seconds=0)
    made = await open_fetching(guard, proxy, FetchOptions(tmp_path / "cache", 0, limits))
    yield made
    await made.close()
    await proxy.close()


def opened_by(token: str) -> list[Credential]:
    return [Credential("http://127.0.0.1:*/**", BearerAuth(token))]


async def test_a_stale_input_costs_a_question_and_no_bytes(fetching: Fetching, origin: StrictOrigin) -> None:
    for cached in (False, True):
        async with fetching.fetch(f"{origin.url}/open") as file:
            assert (file.path.read_bytes(), file.cached) == (CONTENT, cached)
            assert (file.mime, file.filename) == ("image/png", "open.png")
            assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert origin.log == [("GET", "/open", 200), ("GET", "/open", 304)]


async def test_a_private_model_costs_a_question_for_each_caller(fetching: Fetching, origin: StrictOrigin) -> None:
    url = f"{origin.url}/private"
    for _ in range(2):
        async with fetching.fetch(url, purpose="model", credentials=opened_by(SECRET)) as file:
            assert file.path.read_bytes() == CONTENT
    for credentials in (opened_by("wrong"), []):
        with pytest.raises((FetchFailed, FetchRefused), match=r"credentials"):
            async with fetching.fetch(url, purpose="model", credentials=credentials):
                pass
    assert [status for method, _, status in origin.log if method == "GET"].count(200) == 1
    assert [status for _, _, status in origin.log] == [200, 304, 401, 401]


async def test_a_start_that_waits_for_another_process_holds_nothing_up(tmp_path: Path) -> None:
    guard, folder = Guard("on"), tmp_path / "cache"
    folder.mkdir(0o700)
    with room_lock(folder / ".room"):
        opening = asyncio.create_task(open_fetching(guard, GuardingProxy(guard), FetchOptions(folder)))
        await until((folder / ".temporary").exists)
        assert not opening.done()
    await (await opening).close()


async def test_no_secret_is_told(fetching: Fetching, origin: StrictOrigin, tmp_path: Path) -> None:
    told = io.StringIO()
    errors: list[BaseException] = []
    with structlog.testing.capture_logs() as events:
        handler = logging.StreamHandler(told)
        logging.getLogger().addHandler(handler)
        for url in (
            f"{origin.url}/open?token={SECRET}",
            f"{origin.url}/private?token={SECRET}",
            origin.url.replace("//", f"//me:{SECRET}@") + "/open",
            f"ftp://me:{SECRET}@host/a",
            f"http://me:{SECRET}@[::1/a",
            f"http://me:{SECRET}@10.0.0.1/a?sig={SECRET}",
        ):
            try:
                async with fetching.fetch(url, credentials=opened_by(SECRET + "!")) as file:
                    told.write(repr(file))
            except DomainError as error:
                errors.append(error)
        logging.getLogger().removeHandler(handler)
    told.write("".join(f"{error} {error!r} {error.__cause__!r} {error.__context__!r}" for error in errors))
    told.write(repr(events))
    told.write("".join(path.read_text() for path in (tmp_path / "cache").glob("*.meta")))
    assert len(errors) == 4
    assert SECRET not in told.getvalue()
