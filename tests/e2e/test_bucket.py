"""A server whose files are in a bucket: outputs are kept there, and callers are sent there."""

import asyncio
from pathlib import Path
from urllib.request import urlopen

import obstore
import pytest

from comfyserve.client import ApiError
from tests.e2e.faults import submit
from tests.e2e.program import Program, colour_graph, finished, program, ready
from tests.emulators.servers import ACCESS_KEY, SECRET_KEY, Bucket
from tests.emulators.test_servers import store_of

S3 = {"type": "s3", "access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}
PNG = b"\x89PNG\r\n\x1a\n"


async def test_outputs_are_kept_in_the_bucket_and_served_by_it(
    tmp_path: Path, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_bucket.environment.items():
        monkeypatch.setenv(name, value)
    settings = {"example": "none", "blobs": f"{s3_bucket.location}/files", "file_links": "redirect"}
    settings |= {"allow_private_network": "127.0.0.1"}
    data_dir = tmp_path / "data"
    async with program(data_dir, **settings) as running, running.client() as client:
        await ready(client)
        run = await finished(client, await submit(client, colour_graph()))
        answer = await asyncio.to_thread(urlopen, run["outputs"][0]["url"], timeout=30)
        assert answer.read().startswith(PNG)
        assert answer.url.startswith(f"{s3_bucket.url}/{s3_bucket.name}/files/runs/{run['id']}/")
        assert answer.headers["content-type"] == "image/png"
        target = {"type": "s3", "bucket": s3_bucket.name, "prefix": "mine/", "auth": S3 | {"endpoint": s3_bucket.url}}
        queued = await client.create_run(None, {}, graph=colour_graph(7), target=target)
        sent = (await finished(client, queued["id"]))["outputs"][0]
        assert sent["target_url"].startswith(f"s3://{s3_bucket.name}/mine/")
        found = await obstore.get_async(store_of(s3_bucket), sent["target_url"].removeprefix(f"{s3_bucket.location}/"))
        assert bytes(await found.bytes_async()).startswith(PNG)
        assert found.attributes["Content-Type"] == "image/png"
        with pytest.raises(ApiError, match="needs credentials") as refused:
            await client.create_run(None, {}, graph=colour_graph(), target={"type": "s3", "bucket": "b", "prefix": ""})
        assert refused.value.code == "invalid_input"
    assert not (data_dir / "blobs").exists()


async def test_a_bucket_that_is_not_there_is_told_at_the_start(
    tmp_path: Path, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_bucket.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AssertionError, match="the program ended with 5"):
        await Program.start(tmp_path / "data", blobs=f"{s3_bucket.location}none")
    assert "There is no bucket" in (tmp_path / "up.log").read_text()
