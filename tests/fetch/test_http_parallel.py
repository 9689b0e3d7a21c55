"""Large files come over several connections, when that pays."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from comfyserve.core.errors import FetchFailed
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpLimits, HttpSource
from tests.fetch.downloads import arrived, content_of
from tests.fetch.scripted import CONTENT, ETAG, Asked, answer, scripted, serve_content

EAGER = HttpLimits(
    parallel_after=0, parallel_rest=0, parallel_from=100_000, piece=100_000, connections=3, pauses=(0.01,), tries=2
)


async def first_waits(asked: Asked, writer: asyncio.StreamWriter, others: asyncio.Event) -> None:
    """The first answer stalls after 50000 bytes until somebody else has come."""
    body = CONTENT[:50_000]
    await answer(writer, 200, body, Content_Length=str(len(CONTENT)), ETag=ETAG, Accept_Ranges="bytes")
    await others.wait()
    writer.write(CONTENT[50_000:])
    await writer.drain()


async def read(limits: HttpLimits, url: str, path: Path) -> None:
    source = HttpSource(Guard("127.0.0.0/8"), limits)
    try:
        async with asyncio.timeout(10):
            await arrived(source, url, path)
    finally:
        await source.close()
    assert content_of(path) == CONTENT


async def test_others_take_pieces_while_the_first_answer_is_read(tmp_path: Path) -> None:
    others = asyncio.Event()

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.span is None:
            await first_waits(asked, writer, others)
        else:
            await serve_content(asked, writer)
            if len(server.asked) > 4:
                others.set()

    async with scripted(play) as server:
        await read(EAGER, server.url, tmp_path / "f")
    spans = sorted(asked.span for asked in server.asked if asked.span)
    assert server.ranges[0] == ""
    assert len(spans) > 4
    assert all(mine[1] <= other[0] for mine, other in pairwise(spans))
    assert {asked.headers["if-range"] for asked in server.asked[1:]} == {ETAG}


@pytest.mark.parametrize("case", ["no ranges", "no validator", "small", "just begun", "soon done", "one connection"])
async def test_one_connection_is_enough(tmp_path: Path, case: str) -> None:
    limits = {
        "small": replace(EAGER, parallel_from=300_000),
        "just begun": replace(EAGER, parallel_after=9),
        "soon done": replace(EAGER, parallel_rest=9, parallel_from=1),
        "one connection": replace(EAGER, connections=1),
    }.get(case, EAGER)
    headers = {"ETag": "" if case == "no validator" else ETAG}
    headers["Accept_Ranges"] = "none" if case == "no ranges" else "bytes"

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answer(writer, 200, CONTENT[:800_000], Content_Length=str(len(CONTENT)), **headers)
        await asyncio.sleep(0.3)  # some ticks, in which nobody else must come
        writer.write(CONTENT[800_000:])
        await writer.drain()

    async with scripted(play) as server:
        await read(limits, server.url, tmp_path / "f")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [200, 429, 503, 403])
async def test_an_origin_that_grants_no_more_connections_is_read_over_one(tmp_path: Path, status: int) -> None:
    others = asyncio.Event()

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.span is None:
            await first_waits(asked, writer, others)
            return
        await answer(writer, status, b"", Content_Length=str(len(CONTENT) if status == 200 else 0), ETag=ETAG)
        if len(server.asked) == EAGER.connections:
            others.set()
        if status != 200 and len(server.asked) > EAGER.connections:
            await serve_content(asked, writer)

    async with scripted(play) as server:
        if status == 200:
            await read(EAGER, server.url, tmp_path / "f")
            return
        await read(replace(EAGER, tries=9), server.url, tmp_path / "f")


async def test_a_file_that_changes_meanwhile_begins_anew(tmp_path: Path) -> None:
    others = asyncio.Event()

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.span is not None:
            others.set()
            await answer(writer, 200, CONTENT, ETag='"v2"', Content_Length=str(len(CONTENT)))
        elif len(server.asked) == 1:
            body = b"old" * 20_000
            await answer(writer, 200, body, Content_Length=str(len(CONTENT)), ETag=ETAG, Accept_Ranges="bytes")
            await asyncio.Event().wait()
        else:
            await answer(writer, 200, CONTENT, ETag='"v2"')

    async with scripted(play) as server:
        await read(EAGER, server.url, tmp_path / "f")
    assert others.is_set()


async def test_pieces_that_came_are_kept_when_all_connections_break(tmp_path: Path) -> None:
    """The next try asks for what is missing only."""
    taken: list[tuple[int, int]] = []

    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.span is None:
            body = CONTENT[:50_000]
            await answer(writer, 200, body, Content_Length=str(len(CONTENT)), ETag=ETAG, Accept_Ranges="bytes")
            await asyncio.sleep(0.5)
        elif len(server.asked) < 6:
            await serve_content(asked, writer)
            taken.append(asked.span)
        elif len(server.asked) < 9:
            await answer(writer, 503)
        else:
            await serve_content(asked, writer)

    async with scripted(play) as server:
        await read(replace(EAGER, tries=9), server.url, tmp_path / "f")
    later = [asked.span for asked in server.asked[9:] if asked.span]
    assert not any(span in taken for span in later)


async def test_an_origin_that_never_gives_the_parts_is_given_up(tmp_path: Path) -> None:
    async def play(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.span is None:
            await answer(writer, 200, CONTENT[:500], Content_Length=str(len(CONTENT)), ETag=ETAG)
        else:
            await answer(writer, 503)

    async with scripted(play) as server:
        with pytest.raises(FetchFailed, match="status 503"):
            await read(EAGER, server.url, tmp_path / "f")
