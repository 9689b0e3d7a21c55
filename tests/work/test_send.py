"""Sending outputs to a caller's place: names as they are, and the newest run to an address wins."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comfyserve.blobs.targets import OpenTargets, TargetOptions
from comfyserve.core.credentials import BearerAuth
from comfyserve.core.targets import HttpTarget
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.outbound import Outbound
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.ports import StoredOutput
from comfyserve.testing import MemoryBlobs
from comfyserve.work.collect.send import Sending
from comfyserve.work.limits import WorkLimits
from tests.ports.blobs_suite import stream
from tests.ports.putting import put_server


@pytest.fixture
async def targets(tmp_path: Path) -> AsyncIterator[OpenTargets]:
    guard = Guard("127.0.0.1")
    proxy = GuardingProxy(guard)
    yield OpenTargets(Outbound(guard, proxy), TargetOptions(tmp_path))
    await proxy.close()


async def stored(blobs: MemoryBlobs, key: str, content: bytes) -> StoredOutput:
    await blobs.put(key, stream(content))
    return StoredOutput(
        "9", "SaveImage", "images", 0, "id_a.png", "", blob_key=key, mime="image/png", size=len(content)
    )


async def test_plain_names_have_no_run_before_them(targets: OpenTargets) -> None:
    blobs = MemoryBlobs()
    async with put_server() as server:
        output = await stored(blobs, "k", b"picture")
        sent = await Sending(blobs, targets, WorkLimits()).send(
            "run-1", HttpTarget(f"{server.url}/in", names="plain"), [output]
        )
        assert [one.url for one in sent.outputs] == [f"{server.url}/in/id_a.png"]
        assert sent.error is None and sent.facts == [] and blobs.files == {}
        assert server.files["/in/id_a.png"][0] == b"picture"


async def test_a_newer_run_takes_an_address_over_also_from_another_worker(targets: OpenTargets) -> None:
    """The older run succeeds, with a warning; the file of the newer one is there."""
    blobs = MemoryBlobs()
    async with put_server() as server:
        wish = HttpTarget(f"{server.url}/in", names="plain")
        older, newer = await stored(blobs, "older", b"older"), await stored(blobs, "newer", b"newer!")
        server.silent = True
        waiting = asyncio.create_task(Sending(blobs, targets, WorkLimits()).send("run-1", wish, [older]))
        await asyncio.wait_for(server.asked.wait(), 10)
        server.silent = False
        sent = await Sending(blobs, targets, WorkLimits()).send("run-2", wish, [newer])
        first = await asyncio.wait_for(waiting, 10)
        assert sent.error is None and sent.facts == []
        assert first.error is None and [fact.data["code"] for fact in first.facts] == ["upload_superseded"]
        assert [one.url for one in first.outputs] == [f"{server.url}/in/id_a.png"]
        assert server.files["/in/id_a.png"][0] == b"newer!"


async def test_others_credentials_to_the_same_address_stop_nobody(targets: OpenTargets) -> None:
    blobs = MemoryBlobs()
    async with put_server() as server:
        url = f"{server.url}/in"
        plain = HttpTarget(url, names="plain")
        theirs = HttpTarget(url, BearerAuth("t"), names="plain")
        outputs = [await stored(blobs, name, name.encode()) for name in ("one", "two")]
        sending = Sending(blobs, targets, WorkLimits())
        sent = await asyncio.gather(
            *(sending.send(f"run-{n}", wish, [outputs[n]]) for n, wish in enumerate((plain, theirs)))
        )
        assert [(one.error, one.facts) for one in sent] == [(None, []), (None, [])]
