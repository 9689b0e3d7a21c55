"""Who may see a credential, and who must not."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path

import pytest

from comfyserve.core.credentials import Auth, BasicAuth, BearerAuth, HeaderAuth, QueryAuth, S3Auth
from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.core.own_header import OwnHeader
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpSource
from comfyserve.fetch.source import UNKNOWN, Order, Validators
from tests.fetch.downloads import LIMIT, LIMITS, arrived
from tests.fetch.scripted import Asked, Scripted, answer, scripted, serve_content

SECRET = "hunter2-secret"
BASIC = "Basic " + b64encode(f"user:{SECRET}".encode()).decode()

AUTHS: list[tuple[Auth, str, str]] = [
    (BearerAuth(SECRET), "authorization", f"Bearer {SECRET}"),
    (BasicAuth("user", SECRET), "authorization", BASIC),
    (HeaderAuth("X-Key", SECRET), "x-key", SECRET),
]


def opens(asked: Asked) -> bool:
    """Whether a request carries the secret, in whichever way."""
    return SECRET in asked.target or any(
        value in (BASIC, SECRET, f"Bearer {SECRET}") for value in asked.headers.values()
    )


@asynccontextmanager
async def private() -> AsyncIterator[Scripted]:
    """An origin that wants the secret, and redirects `/to?<url>`."""

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target.startswith("/to?"):
            await answer(writer, 302, Location=asked.target.removeprefix("/to?").partition("&")[0])
        elif not opens(asked):
            await answer(writer, 401)
        elif asked.method == "HEAD":
            await answer(writer, 200, Content_Length="5")
        else:
            await serve_content(asked, writer)

    async with scripted(play) as server:
        yield server


@pytest.mark.parametrize(("auth", "header", "value"), AUTHS)
async def test_credentials_open_a_file(source: HttpSource, tmp_path: Path, auth: Auth, header: str, value: str) -> None:
    async with private() as server:
        await arrived(source, f"{server.url}/m?a=b", tmp_path / "f", auth=auth)
        await source.check(f"{server.url}/m?a=b", auth)
        for asked in server.asked:
            assert asked.headers[header] == value
            assert asked.target == "/m?a=b"
        with pytest.raises(FetchFailed, match="does not open"):
            await source.check(f"{server.url}/m", BearerAuth("wrong"))


async def test_a_query_credential_replaces_the_parameter(source: HttpSource, tmp_path: Path) -> None:
    async with private() as server:
        auth = QueryAuth("token", f"{SECRET} &")
        await arrived(source, f"{server.url}/m?token=old&a=b#part", tmp_path / "f", auth=auth)
        assert server.asked[0].target == f"/m?token={SECRET}+%26&a=b"


async def test_user_and_password_of_the_url_become_basic(source: HttpSource, tmp_path: Path) -> None:
    async with private() as server:
        url = f"http://user:{SECRET}@127.0.0.1:{server.port}/m"
        await arrived(source, url, tmp_path / "f")
        await source.check(url, None)
        assert server.asked[0].headers["host"] == f"127.0.0.1:{server.port}"
        await arrived(source, url, tmp_path / "f", auth=HeaderAuth("X-Key", SECRET))
        assert "authorization" not in server.asked[-1].headers


async def test_the_operators_own_are_for_their_addresses_and_come_last(tmp_path: Path) -> None:
    async with private() as server, private() as other:
        own = OwnHeader.read("Authorization", f"Bearer {SECRET}", [f"127.0.0.1:{server.port}"])
        source = HttpSource(Guard("127.0.0.0/8"), LIMITS, own=own)
        await arrived(source, f"{server.url}/m", tmp_path / "f")
        wrong = BearerAuth("x")
        cases = ((f"{other.url}/m", None, "Give.*http_auth_hosts"), (f"{server.url}/m", wrong, "not the right"))
        for url, auth, advice in cases:
            with pytest.raises(FetchFailed, match=advice):
                await source.download(Order(url, LIMIT, auth), tmp_path / "f")
        with pytest.raises(FetchFailed):
            await source.download(Order(f"{server.url}/to?{other.url}/m", LIMIT), tmp_path / "f")
        await source.close()
        assert other.asked
        assert not any(opens(asked) for asked in other.asked)


@pytest.mark.parametrize("auth", [BearerAuth(SECRET), BasicAuth("user", SECRET), HeaderAuth("X-Key", SECRET),
                                  QueryAuth("token", SECRET), None])  # fmt: skip
async def test_a_redirect_carries_no_credential_to_another_origin(
    source: HttpSource, tmp_path: Path, auth: Auth | None
) -> None:
    async with private() as server, private() as other:
        user = "" if auth else f"user:{SECRET}@"
        url = f"http://{user}127.0.0.1:{server.port}/to?"
        for to in (other.url, f"http://localhost:{server.port}", f"http://user:x@127.0.0.1:{other.port}"):
            with pytest.raises(FetchFailed, match="not the right ones"):
                await source.download(Order(f"{url}{to}/m", LIMIT, auth), tmp_path / "f")
            with pytest.raises(FetchFailed, match="these credentials"):
                await source.check(f"{url}{to}/m", auth)
        await arrived(source, f"{url}/m", tmp_path / "f", auth=auth)
        assert other.asked
        assert not any(opens(asked) or "authorization" in asked.headers for asked in other.asked)


@pytest.mark.parametrize(
    "auth",
    [
        BearerAuth("a\r\nX: y"),
        BearerAuth("snow\u2603man"),
        HeaderAuth("X\nY", "z"),
        HeaderAuth("", "z"),
        HeaderAuth("Host", "inside"),
        HeaderAuth("Transfer-Encoding", "chunked"),
        HeaderAuth("X", "a\0b"),
        S3Auth("id", SECRET),
    ],
)
async def test_what_http_cannot_carry_is_refused(source: HttpSource, tmp_path: Path, auth: Auth) -> None:
    async with private() as server:
        with pytest.raises(FetchRefused) as caught:
            await source.download(Order(f"{server.url}/m", LIMIT, auth), tmp_path / "f")
        assert SECRET not in caught.value.message
        assert not server.asked


OLD, NEW = "Wed, 01 Jan 2025 00:00:00 GMT", "Thu, 02 Jan 2025 00:00:00 GMT"
HELD = Validators('"1"', size=5)
DATED = Validators(last_modified=OLD, size=5)


@pytest.mark.parametrize(
    ("held", "status", "headers", "same"),
    [
        (HELD, 304, {"ETag": '"1"'}, True),
        (HELD, 304, {}, True),
        (HELD, 304, {"ETag": '"2"'}, False),
        (HELD, 206, {"ETag": '"1"', "Content-Range": "bytes 0-0/5"}, True),
        (HELD, 206, {"ETag": '"1"', "Content-Range": "bytes 0-0/6"}, False),
        (HELD, 200, {"ETag": '"1"', "Content-Length": "5"}, True),
        (HELD, 200, {"ETag": '"2"', "Content-Length": "5"}, False),
        (HELD, 200, {"Content-Length": "5", "Last-Modified": OLD}, False),
        (HELD, 416, {"ETag": '"1"'}, False),
        (DATED, 206, {"Last-Modified": OLD, "Content-Range": "bytes 0-0/5"}, True),
        (DATED, 206, {"Last-Modified": NEW, "Content-Range": "bytes 0-0/5"}, False),
        (DATED, 206, {"Last-Modified": OLD, "Content-Range": "bytes 0-0/6"}, False),
        (DATED, 200, {"Last-Modified": OLD, "Content-Length": ""}, False),
        (DATED, 206, {"Last-Modified": OLD, "Content-Range": "bytes 0-0/5", "ETag": '"1"'}, False),
        (UNKNOWN, 200, {"Content-Length": "5"}, False),
    ],
)
async def test_check_tells_whether_the_origin_gives_this_state(
    source: HttpSource, held: Validators, status: int, headers: dict[str, str], same: bool
) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answer(writer, status, b"", **{name.replace("-", "_"): value for name, value in headers.items()})

    async with scripted(play) as server:
        assert await source.check(server.url, None, held) is same
        assert [asked.method for asked in server.asked] == ["GET"], "some origins guard GET alone"
        assert server.ranges == ["bytes=0-0"]
        assert server.asked[0].headers.get("if-none-match", "") == held.etag
        assert "if-modified-since" not in server.asked[0].headers, "another caller's file may be older than ours"


@pytest.mark.parametrize(("status", "retryable"), [(404, False), (500, True)])
async def test_check_tells_other_failures(source: HttpSource, status: int, retryable: bool) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answer(writer, status)

    async with scripted(play) as server:
        with pytest.raises(FetchFailed, match=f"answers with status {status}") as caught:
            await source.check(server.url, None)
        assert caught.value.retryable is retryable


def resume_files(folder: Path) -> list[str]:
    return [file.read_text("latin-1") for file in folder.glob("*.resume")]


async def test_no_secret_is_written_anywhere(
    source: HttpSource, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Not in logs, errors and their causes, reprs, nor in the files that a broken download leaves."""
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.target.startswith("/broken"):
            await serve_content(asked, writer, stop_after=10)
        else:
            await answer(writer, 503)

    cases = product(enumerate((BearerAuth(SECRET), QueryAuth("token", SECRET), None)), ("broken", "busy"))
    async with scripted(play) as server:
        for (number, auth), path in cases:
            user = f"{SECRET}:{SECRET}@" if auth is None else ""
            url = f"http://{user}127.0.0.1:{server.port}/{path}/{SECRET}?sig={SECRET}"
            with pytest.raises(FetchFailed) as caught:
                await source.download(Order(url, LIMIT, auth), tmp_path / str(number))
            seen += [caught.value.message, repr(caught.value), repr(caught.value.__cause__), *resume_files(tmp_path)]
    written = capfd.readouterr()
    text = "\n".join([*seen, written.out, written.err, caplog.text])
    assert "fetch.again" in text
    assert SECRET not in text
