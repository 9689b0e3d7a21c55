"""Several processes over one cache folder, against a real origin that counts."""

import asyncio
import hashlib
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.fetch.cache.conftest import until

ROOT = Path(__file__).parents[3]
CONTENT = bytes(range(256)) * 8192
ETAG = '"1"'
HALF = len(CONTENT) // 2


@dataclass
class SlowOrigin:
    """Gives half of a file, the rest when `gate` opens; goes on where a Range says."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    starts: list[int] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", "bytes=0-"))
        assert wanted is not None
        start = int(wanted[1])
        self.starts.append(start)
        response = web.StreamResponse(status=206 if start else 200, headers={"ETag": ETAG})
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        response.content_length = len(CONTENT) - start
        await response.prepare(request)
        if start < HALF:
            await response.write(CONTENT[start:HALF])
        await self.gate.wait()
        await response.write(CONTENT[max(start, HALF) :])
        return response


@pytest.fixture
async def origin() -> AsyncIterator[SlowOrigin]:
    made = SlowOrigin()
    app = web.Application()
    app.router.add_get("/model.ckpt", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/model.ckpt"
    yield made
    await runner.cleanup()


@asynccontextmanager
async def child(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    words = [str(word) for word in arguments]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fetch.cache.child", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def heard(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"heard\n"


async def results(process: asyncio.subprocess.Process) -> list[dict[str, Any]]:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return [json.loads(line) async for line in process.stdout if line != b"heard\n"]


async def test_twenty_from_two_processes_are_one_get(origin: SlowOrigin, tmp_path: Path) -> None:
    async with child("real", tmp_path, origin.url, 10) as one, child("real", tmp_path, origin.url, 10) as two:
        await heard(one)
        await heard(two)
        origin.gate.set()
        found = await results(one) + await results(two)
    assert [result.get("sha256") for result in found] == [hashlib.sha256(CONTENT).hexdigest()] * 20
    assert origin.starts == [0]
    assert sum(result["cached"] for result in found) == 10


async def test_the_next_goes_on_where_a_killed_one_was(origin: SlowOrigin, tmp_path: Path) -> None:
    async with child("plain", tmp_path, origin.url, 1) as one:
        await heard(one)
        async with child("plain", tmp_path, origin.url, 1) as two:
            await heard(two)
            partial = next((tmp_path / ".incoming").iterdir())
            await until(lambda: partial.stat().st_size == HALF)
            one.kill()
            origin.gate.set()
            found = await results(two)
    assert found == [{"sha256": hashlib.sha256(CONTENT).hexdigest(), "cached": False}]
    assert origin.starts == [0, HALF]


@pytest.mark.parametrize("source", ["real", "plain"])
async def test_a_full_disk_leaves_no_half_file(origin: SlowOrigin, tmp_path: Path, source: str) -> None:
    origin.gate.set()
    async with child(source, tmp_path, origin.url, 2, HALF) as process:
        found = await results(process)
    assert [result["error"] for result in found] == ["storage_failed"] * 2
    assert "disk" in found[0]["message"]
    assert files_in(tmp_path) == [".room", ".secret"]
