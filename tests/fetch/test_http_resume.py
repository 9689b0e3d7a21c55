"""The HTTP source goes on where a try, or a process, ended."""

import asyncio
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpLimits, HttpSource
from tests.fetch.downloads import LIMIT, arrived, content_of, left_in
from tests.fetch.scripted import CONTENT, ETAG, Asked, answer, scripted, serve_content

OLD = b"old" * 100_000


async def test_a_break_is_gone_on_with(source: HttpSource, tmp_path: Path) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await serve_content(asked, writer, stop_after=300_000)

    async with scripted(play) as server:
        result = await arrived(source, f"{server.url}/m.bin", tmp_path / "f")
    assert content_of(tmp_path / "f") == CONTENT
    assert server.ranges == ["", "bytes=300000-", "bytes=600000-", "bytes=900000-"]
    assert {asked.headers.get("if-range") for asked in server.asked[1:]} == {ETAG}
    assert result.names == (None, "m.bin", "m.bin")


async def test_without_a_validator_it_begins_anew(source: HttpSource, tmp_path: Path) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        body = CONTENT if len(server.asked) > 1 else CONTENT[:5000]
        await answer(writer, 200, body, Content_Length=str(len(CONTENT)), ETag='W/"weak"', Accept_Ranges="bytes")

    async with scripted(play) as server:
        await arrived(source, server.url, tmp_path / "f")
    assert server.ranges == ["", ""]


async def leave(limits: HttpLimits, url: str, path: Path) -> None:
    """A download that ends too early, by a source that dies with it."""
    source = HttpSource(Guard("127.0.0.0/8"), limits)
    with pytest.raises(FetchFailed):
        await arrived(source, url, path)
    await source.close()


async def test_another_process_goes_on(source: HttpSource, tmp_path: Path) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await serve_content(asked, writer, stop_after=400_000 if len(server.asked) == 1 else None)

    async with scripted(play) as server:
        await leave(HttpLimits(tries=1), f"{server.url}/f.bin", tmp_path / "f")
        assert left_in(tmp_path) == {"f", "f.resume"}
        await arrived(source, f"{server.url}/f.bin", tmp_path / "f")
    assert content_of(tmp_path / "f") == CONTENT
    assert server.ranges == ["", "bytes=400000-"]


@pytest.mark.parametrize(
    ("case", "asked_again"),
    [
        ("ignores the range", 0),
        ("has another ETag", 0),
        ("has another ETag on 206", 1),
        ("has another size", 1),
        ("gives another range", 1),
        ("gives several ranges", 1),
        ("says 416", 1),
    ],
)
async def test_a_file_that_changed_begins_anew(source: HttpSource, tmp_path: Path, case: str, asked_again: int) -> None:
    """`asked_again`: whether the answer to the range can be used at all, or the file is asked for once more."""
    ranges: Mapping[str, dict[str, Any]] = {
        "has another ETag on 206": {"Content_Range": f"bytes 100000-{len(CONTENT) - 1}/{len(CONTENT)}", "ETag": '"v2"'},
        "has another size": {"Content_Range": f"bytes 100000-{len(CONTENT) - 1}/{len(CONTENT) + 1}", "ETag": ETAG},
        "gives another range": {"Content_Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}", "ETag": ETAG},
        "gives several ranges": {"Content_Type": "multipart/byteranges; boundary=x", "ETag": ETAG},
    }

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(server.asked) == 1:
            await answer(writer, 200, OLD[:100_000], Content_Length=str(len(CONTENT)), ETag=ETAG)
        elif not asked.span or case in ("ignores the range", "has another ETag"):
            await answer(writer, 200, CONTENT, ETag=ETAG if case == "ignores the range" else '"v2"')
        elif case == "says 416":
            await answer(writer, 416, Content_Range="bytes */9")
        else:
            await answer(writer, 206, CONTENT[100_000:], **ranges[case])

    async with scripted(play) as server:
        await arrived(source, server.url, tmp_path / "f")
    assert content_of(tmp_path / "f") == CONTENT
    assert server.ranges == ["", "bytes=100000-", *([""] * asked_again)]


async def test_what_was_patched_wrongly_is_fetched_whole(source: HttpSource, tmp_path: Path) -> None:
    """An origin whose ETag stays when the file changes is found out by the checksum."""

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if len(server.asked) == 1:
            await answer(writer, 200, OLD[:100_000], Content_Length=str(len(CONTENT)), ETag=ETAG)
        else:
            await serve_content(asked, writer)

    async with scripted(play) as server:
        await arrived(source, server.url, tmp_path / "f", sha256=hashlib.sha256(CONTENT).hexdigest())
    assert server.ranges == ["", "bytes=100000-", ""]


KEPT = {
    "version": 1, "size": len(CONTENT), "done": [[0, 1000]], "etag": ETAG, "last_modified": "", "mime": "",
    "filename": "", "digests": {},
}  # fmt: skip


@pytest.mark.parametrize(
    "spoiled",
    [
        "not json", "{}", "[]", "x" * 2_000_000,
        *(json.dumps(KEPT | change) for change in (
            {"version": 2}, {"size": 5}, {"size": LIMIT + 1}, {"done": [[0, len(CONTENT) + 1]]}, {"done": [[9, 3]]},
            {"done": [[-4, 3]]}, {"done": [[0, 5], [4, 9]]}, {"done": "x"}, {"digests": {"md4": ""}}, {"more": 1},
        )),
    ],
)  # fmt: skip
async def test_a_spoiled_resume_file_is_not_believed(source: HttpSource, tmp_path: Path, spoiled: str) -> None:
    (tmp_path / "f").write_bytes(OLD.ljust(len(CONTENT), b"x"))
    (tmp_path / "f.resume").write_text(spoiled)
    async with scripted(serve_content) as server:
        await arrived(source, server.url, tmp_path / "f")
    assert content_of(tmp_path / "f") == CONTENT
    assert server.ranges == [""]


async def test_holes_are_filled_and_the_end_is_always_asked_for(source: HttpSource, tmp_path: Path) -> None:
    size = len(CONTENT)
    holes = bytearray(CONTENT)
    holes[1000:2000] = bytes(1000)
    (tmp_path / "f").write_bytes(holes)
    (tmp_path / "f.resume").write_text(json.dumps(KEPT | {"done": [[0, 1000], [2000, 500_000], [500_000, size]]}))
    async with scripted(serve_content) as server:
        await arrived(source, server.url, tmp_path / "f")
    assert content_of(tmp_path / "f") == CONTENT
    assert server.ranges == ["bytes=1000-", f"bytes={size - 1}-{size - 1}"]


async def test_progress_gives_new_tries(tmp_path: Path) -> None:
    """An origin that breaks off every 2 MiB is read to the end with two tries in a row."""
    big = CONTENT * 12

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        start = int(asked.headers.get("range", "bytes=0-")[6:-1])
        headers = {"Content_Range": f"bytes {start}-{len(big) - 1}/{len(big)}"} if start else {}
        length = str(len(big) - start)
        await answer(
            writer, 206 if start else 200, big[start : start + 2**21], Content_Length=length, ETag=ETAG, **headers
        )

    source = HttpSource(Guard("127.0.0.0/8"), HttpLimits(tries=2, pauses=(0,)))
    async with scripted(play) as server:
        await arrived(source, server.url, tmp_path / "f", limit=2**30)
    await source.close()
    assert len(server.asked) == 6


async def test_a_killed_process_is_gone_on_with(source: HttpSource, tmp_path: Path) -> None:
    """SIGKILL in the middle of a download: the next process asks for the rest."""
    big = CONTENT * 4

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        start = int(asked.headers.get("range", "bytes=0-")[6:-1])
        told = {"ETag": ETAG, "Content_Length": str(len(big) - start)}
        if start:
            await answer(writer, 206, big[start:], Content_Range=f"bytes {start}-{len(big) - 1}/{len(big)}", **told)
            return
        await answer(writer, 200, big[:-300_000], **told)
        await asyncio.Event().wait()

    async with asyncio.timeout(30), scripted(play) as server:
        command = [sys.executable, "-m", "tests.fetch.download_child", f"{server.url}/f", str(tmp_path / "f")]
        child = await asyncio.create_subprocess_exec(*command)
        try:
            while not has_kept(tmp_path / "f.resume"):  # noqa: ASYNC110  (another process makes it)
                await asyncio.sleep(0.02)
        finally:
            child.kill()
            await child.wait()
        await arrived(source, f"{server.url}/f", tmp_path / "f", limit=len(big))
    assert content_of(tmp_path / "f") == big
    assert len(server.asked) == 2
    assert server.ranges[1].startswith("bytes=")


def has_kept(path: Path) -> bool:
    """Whether some of the file is written down there."""
    return path.exists() and bool(json.loads(path.read_text())["done"])
