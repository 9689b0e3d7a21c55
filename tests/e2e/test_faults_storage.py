"""A bucket that refuses, or stands still: the run says so, nothing is lost, and it goes on when the bucket is back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import pytest_asyncio

from comfyserve.client import ApiError, Client
from tests.e2e.faults import happened, submit
from tests.e2e.program import colour_graph, finished, program, ready
from tests.emulators.flaky import Fault, Flaky, flaky
from tests.emulators.servers import ACCESS_KEY, SECRET_KEY, new_bucket

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"example": "none", "allow_private_network": "127.0.0.1", "storage_seconds": "1"}
WRITES = ("PUT", "POST")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bucket(moto_url: str) -> AsyncIterator[Flaky]:
    """A bucket behind a proxy that misbehaves when told to."""
    async with flaky(new_bucket("s3", moto_url)) as proxy:
        yield proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(bucket: Flaky, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A client of a server that keeps its files there."""
    data_dir = tmp_path_factory.mktemp("storage") / "data"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bucket.bucket.environment.items():
            patch.setenv(name, value)
        async with (
            program(data_dir, blobs=f"{bucket.bucket.location}/files", **SETTINGS) as running,
            running.client() as connected,
        ):
            await ready(connected)
            yield connected
            assert not (data_dir / "blobs").exists()


REFUSES = Fault("answer", WRITES, status=403, word="AccessDenied")
"""As often as it is asked."""
SILENT = Fault("silent", WRITES)


@pytest.mark.parametrize(
    ("fault", "words"), [(REFUSES, "refuses (AccessDenied)"), (SILENT, "did not take")], ids=["refuses", "stands still"]
)
async def test_a_run_waits_for_a_bucket_and_goes_on_with_it(
    client: Client, bucket: Flaky, tmp_path: Path, fault: Fault, words: str
) -> None:
    """What the engine made is not made again: it is one attempt."""
    bucket.faults.append(fault)
    try:
        run_id = await submit(client, colour_graph(len(words)))
        warned = (await happened(client, run_id, "warning")).data["data"]
    finally:
        bucket.faults.clear()
    assert warned["code"] == "storage_waits" and words in warned["message"]
    run = await finished(client, run_id)
    assert (run["status"], run["attempts"], len(run["outputs"])) == ("success", 1, 1), run["error"]
    await client.download(run["outputs"][0]["url"], tmp_path / "kept.png")
    assert (tmp_path / "kept.png").stat().st_size == run["outputs"][0]["size"]


async def test_a_bucket_that_stumbles_costs_nothing(client: Client, bucket: Flaky) -> None:
    bucket.faults += [Fault("answer", WRITES, times=1), Fault("cut_request", WRITES, times=1)]
    run = await finished(client, await submit(client, colour_graph(21)))
    assert bucket.struck.is_set()
    bucket.faults.clear()
    assert (run["status"], run["attempts"], len(run["outputs"])) == ("success", 1, 1)


async def test_a_run_that_waits_for_a_bucket_can_be_cancelled(client: Client, bucket: Flaky) -> None:
    bucket.faults.append(REFUSES)
    try:
        run_id = await submit(client, colour_graph(22))
        await happened(client, run_id, "warning")
        await client.cancel(run_id)
        assert (await finished(client, run_id))["status"] == "cancelled"
    finally:
        bucket.faults.clear()
    assert (await finished(client, await submit(client, colour_graph(22))))["status"] == "success"


async def test_uploads_and_files_say_that_the_bucket_refuses(client: Client, bucket: Flaky, tmp_path: Path) -> None:
    run = await finished(client, await submit(client, colour_graph(23)))
    (tmp_path / "in.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    bucket.faults.append(Fault("answer", status=403, word="AccessDenied"))
    try:
        with pytest.raises(ApiError, match="AccessDenied") as refused:
            await client.upload(tmp_path / "in.png")
        assert (refused.value.code, refused.value.status) == ("storage_failed", 500)
        with pytest.raises(HTTPError) as closed:
            await asyncio.to_thread(urlopen, run["outputs"][0]["url"], timeout=30)
        assert closed.value.code == 500
    finally:
        bucket.faults.clear()
    await client.download(run["outputs"][0]["url"], tmp_path / "out.png")


async def test_a_callers_bucket_that_refuses_leaves_the_outputs_with_us(
    client: Client, bucket: Flaky, tmp_path: Path
) -> None:
    """Ours takes the file; theirs, behind a proxy of its own, does not."""
    async with flaky(bucket.bucket, Fault("answer", WRITES, status=403, word="AccessDenied")) as theirs:
        auth = {"type": "s3", "access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY, "region": "us-east-1"}
        target: dict[str, Any] = {"type": "s3", "bucket": theirs.bucket.name, "prefix": "mine/"}
        target["auth"] = auth | {"endpoint": theirs.bucket.url}
        queued = await client.create_run(None, {}, graph=colour_graph(24), target=target)
        run = await finished(client, queued["id"])
    assert (run["status"], run["error"]["code"]) == ("failed", "target_failed"), run
    assert SECRET_KEY not in str(run) and theirs.struck.is_set()
    [output] = run["outputs"]
    assert "target_url" not in output
    await client.download(output["url"], tmp_path / "kept.png")
    assert (tmp_path / "kept.png").stat().st_size == output["size"]
