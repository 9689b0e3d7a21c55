"""The HTTP source against origins that break, lie, stall and flood."""

import asyncio
import gzip
import resource
from pathlib import Path

import pytest

from comfyserve.core.errors import FetchFailed, StorageFailed, TooLarge
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpLimits, HttpSource
from comfyserve.fetch.source import Order
from tests.fetch.downloads import LIMIT, LIMITS, arrived, content_of, left_in
from tests.fetch.origin import Origin
from tests.fetch.scripted import CONTENT, Asked, Play, answer, scripted, serve_content


def raw(text: str, body: bytes = b"") -> Play:
    """Always these bytes."""

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(text.encode("latin-1").replace(b"\n", b"\r\n") + body)
        await writer.drain()

    return play


@pytest.mark.parametrize("status", [404, 410, 400, 204, 304, 100, 999])
async def test_a_status_that_is_final_is_told_once(source: HttpSource, tmp_path: Path, status: int) -> None:
    async with scripted(raw(f"HTTP/1.1 {status} X\nContent-Length: 0\n\n")) as server:
        with pytest.raises(FetchFailed) as caught:
            await arrived(source, f"{server.url}/path?token=secret", tmp_path / "f")
    if status != 100:
        assert caught.value.message == f"127.0.0.1 answers with status {status}."
        assert len(server.asked) == 1
    assert not left_in(tmp_path)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_closed_file_asks_for_credentials(source: HttpSource, tmp_path: Path, status: int) -> None:
    async with scripted(raw(f"HTTP/1.1 {status} X\nContent-Length: 0\n\n")) as server:
        with pytest.raises(FetchFailed, match="Give credentials for its address") as caught:
            await arrived(source, server.url, tmp_path / "f")
        assert not caught.value.retryable
        with pytest.raises(FetchFailed, match="does not open this file with these credentials"):
            await source.check(server.url, None)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_status_that_passes_is_tried_again(source: HttpSource, tmp_path: Path, status: int) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (answer(writer, status, Retry_After="86400") if len(server.asked) < 3 else serve_content(asked, writer))

    async with scripted(play) as server:
        await arrived(source, server.url, tmp_path / "f")
        assert len(server.asked) == 3
    async with scripted(raw(f"HTTP/1.1 {status} X\nContent-Length: 0\n\n")) as server:
        with pytest.raises(FetchFailed, match=f"status {status}") as caught:
            await arrived(source, server.url, tmp_path / "f2")
        assert caught.value.retryable
        assert len(server.asked) == LIMITS.tries


@pytest.mark.parametrize(
    "wait", ["99999999999999999999", "-1", "soon", "Sun, 01 Nov 2099 10:00:00 GMT", "Sun, 99 Nov 99999", "1" * 5000]
)
async def test_a_wait_without_measure_is_bounded(source: HttpSource, tmp_path: Path, wait: str) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await (answer(writer, 429, Retry_After=wait) if len(server.asked) == 1 else serve_content(asked, writer))

    async with asyncio.timeout(10), scripted(play) as server:
        await arrived(source, server.url, tmp_path / "f")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("HTTP/1.1 200 X\nContent-Length: 5000\n\nshort", "broke off"),
        ("HTTP/1.1 200 X\nTransfer-Encoding: chunked\n\n5\nabc", "broke off"),
        ("HTTP/1.1 200 X\nTransfer-Encoding: chunked\n\n5\nabcde\n", "broke off"),
        ("HTTP/1.1 200 X\nTransfer-Encoding: chunked\n\nZZ\nabcde\n", "broke off"),
        ("HTTP/1.1 200 X\nContent-Length: 9\nContent-Encoding: gzip\n\nnot gzip!", "gzip coding is broken"),
        ("HTTP/1.1 200 X\nContent-Length: 9\nContent-Encoding: br\n\nnot known", "coding that was not asked for"),
        ("HTTP/1.1 200 X\nContent-Encoding: gzip, gzip\nContent-Length: 1\n\nx", "coding that was not asked for"),
        ("HTTP/1.1 206 X\nContent-Range: bytes 0-3/9\nContent-Length: 4\n\nabcd", "sends a part of the file"),
        ("not HTTP at all\n\n", "does not answer properly"),
        ("", r"does not answer properly\."),
        ("HTTP/1.1 200 X\nX: " + "x" * 70_000 + "\n\n", "head that is too large"),
        ("HTTP/1.1 200 X\n" + "".join(f"X{n}: y\n" for n in range(200)) + "\n", "head that is too large"),
        ("HTTP/1.1 302 X\nLocation: http://[::1\n\n", "no URL"),
    ],
)
async def test_broken_answers(source: HttpSource, tmp_path: Path, text: str, sentence: str) -> None:
    async with scripted(raw(text)) as server:
        with pytest.raises(FetchFailed, match=sentence):
            await arrived(source, f"{server.url}/path?token=secret", tmp_path / "f")
    assert not left_in(tmp_path)


async def test_a_length_that_is_too_short_ends_the_file(source: HttpSource, tmp_path: Path) -> None:
    async with scripted(raw("HTTP/1.1 200 X\nContent-Length: 4\n\nabcdefgh")) as server:
        await arrived(source, server.url, tmp_path / "f")
        assert content_of(tmp_path / "f") == b"abcd"


async def test_a_length_that_is_too_large_is_refused_unread(source: HttpSource, tmp_path: Path) -> None:
    async with scripted(raw("HTTP/1.1 200 X\nContent-Length: 99999999999999\n\nabc")) as server:
        with pytest.raises(TooLarge):
            await arrived(source, server.url, tmp_path / "f")
        with pytest.raises(StorageFailed, match="no room"):
            await arrived(source, server.url, tmp_path / "f", limit=10**18)
    assert not left_in(tmp_path)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_ends_at_the_limit(source: HttpSource, tmp_path: Path, coding: str) -> None:
    bomb = gzip.compress(bytes(50_000_000), compresslevel=1)
    async with scripted(raw(f"HTTP/1.1 200 X\nContent-Encoding: {coding}\n\n", bomb)) as server:
        with pytest.raises(TooLarge):
            await arrived(source, server.url, tmp_path / "f")
    assert not left_in(tmp_path)


@pytest.mark.parametrize("path", ["hang", "drip", "endless"])
async def test_origins_that_stall_drip_or_never_end(origin: Origin, tmp_path: Path, path: str) -> None:
    limits = HttpLimits(idle_seconds=0.3, slow_rate=10_000, slow_seconds=0.3, answer_seconds=0.5, tries=2, pauses=(0,))
    sentences = {"hang": "waiting too long", "drip": "less than 10000 bytes a second", "endless": "larger than"}
    source = HttpSource(Guard("on"), limits)
    with pytest.raises((FetchFailed, TooLarge), match=sentences[path]):
        await arrived(source, f"{origin.url}/{path}", tmp_path / "f")
    assert origin.asked[path] == (1 if path == "endless" else 2)
    await source.close()
    assert not left_in(tmp_path)


async def test_headers_that_drip_end_with_the_time_for_an_answer(tmp_path: Path) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\n")
        while not writer.is_closing():
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    source = HttpSource(Guard("on"), HttpLimits(answer_seconds=0.4, idle_seconds=5, tries=1))
    async with asyncio.timeout(10), scripted(play) as server:
        with pytest.raises(FetchFailed, match="waiting too long"):
            await arrived(source, server.url, tmp_path / "f")
    await source.close()


async def test_cancelling_ends_at_once_and_leaves_nothing(origin: Origin, source: HttpSource, tmp_path: Path) -> None:
    first = asyncio.Event()
    order = Order(f"{origin.url}/drip", LIMIT, on_bytes=lambda *told: first.set())
    running = asyncio.create_task(source.download(order, tmp_path / "f"))
    async with asyncio.timeout(10):
        await first.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert not left_in(tmp_path)


async def test_a_host_that_is_not_there(source: HttpSource, origin: Origin, tmp_path: Path) -> None:
    await origin.stop()
    with pytest.raises(FetchFailed, match=r"127\.0\.0\.1 cannot be reached: Connection refused") as caught:
        await arrived(source, f"{origin.url}/a.png?token=secret", tmp_path / "f")
    assert caught.value.retryable
    with pytest.raises(FetchFailed, match="cannot be found"):
        await arrived(source, "http://no-such-host.invalid/a", tmp_path / "f")


async def test_a_folder_that_is_not_there_is_our_failure(source: HttpSource, origin: Origin, tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="No such file"):
        await arrived(source, f"{origin.url}/a.png", tmp_path / "no" / "f")
    (tmp_path / "f").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageFailed):
        await arrived(source, f"{origin.url}/a.png", tmp_path / "f")


async def test_a_disk_that_takes_no_more_is_our_failure(source: HttpSource, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk; the length is known in one case alone."""

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answer(writer, 200, CONTENT, **({} if asked.target == "/known" else {"Content_Length": ""}))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with scripted(play) as server:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
        try:
            for path in ("known", "unknown"):
                with pytest.raises(StorageFailed, match="kept on disk: File too large"):
                    await arrived(source, f"{server.url}/{path}", tmp_path / "f")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(server.asked) == 2
    assert not left_in(tmp_path)
