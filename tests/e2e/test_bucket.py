"""A server whose files are in a bucket: outputs are kept there, and callers are sent there."""

import asyncio
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.e2e.faults import submit
from tests.e2e.program import colour_graph, finished, program, ready
from tests.emulators.servers import Bucket

PNG = b"\x89PNG\r\n\x1a\n"


async def test_outputs_are_kept_in_the_bucket_and_served_by_it(
    tmp_path: Path, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_bucket.environment.items():
        monkeypatch.setenv(name, value)
    settings = {"example": "none", "blobs": f"{s3_bucket.location}/files", "file_links": "redirect"}
    data_dir = tmp_path / "data"
    async with program(data_dir, **settings) as running, running.client() as client:
        await ready(client)
        run = await finished(client, await submit(client, colour_graph()))
        answer = await asyncio.to_thread(urlopen, run["outputs"][0]["url"], timeout=30)
        assert answer.read().startswith(PNG)
        assert answer.url.startswith(f"{s3_bucket.url}/{s3_bucket.name}/files/runs/{run['id']}/")
        assert answer.headers["content-type"] == "image/png"
    assert not (data_dir / "blobs").exists()
