"""The Blobs suite on every adapter."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comfyserve.blobs.build import check_blobs, open_blobs
from comfyserve.blobs.local import LocalBlobs
from comfyserve.ports import Blobs
from comfyserve.testing import MemoryBlobs
from tests.emulators.servers import Bucket
from tests.ports.blobs_suite import BlobsSuite


class TestLocalBlobs(BlobsSuite):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return LocalBlobs(tmp_path)


class TestLocalBlobsWithoutSync(BlobsSuite):
    """The same where only the death of a process has to be survived."""

    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return LocalBlobs(tmp_path, sync=False)


class TestMemoryBlobs(BlobsSuite):
    @pytest.fixture
    def blobs(self) -> Blobs:
        return MemoryBlobs()


async def in_bucket(bucket: Bucket, data_dir: Path) -> Blobs:
    """Blobs below a prefix of a bucket, opened and tried out as a start of the program does it."""
    blobs = open_blobs(f"{bucket.location}/some/prefix", data_dir, environment=bucket.environment, storage_seconds=20)
    await check_blobs(blobs)
    return blobs


class TestS3Blobs(BlobsSuite):
    @pytest.fixture
    async def blobs(self, s3_bucket: Bucket, tmp_path: Path) -> AsyncIterator[Blobs]:
        yield await in_bucket(s3_bucket, tmp_path)


class TestAzureBlobs(BlobsSuite):
    @pytest.fixture
    async def blobs(self, azure_bucket: Bucket, tmp_path: Path) -> AsyncIterator[Blobs]:
        yield await in_bucket(azure_bucket, tmp_path)


class TestGcsBlobs(BlobsSuite):
    @pytest.fixture
    async def blobs(self, gcs_bucket: Bucket, tmp_path: Path) -> AsyncIterator[Blobs]:
        yield await in_bucket(gcs_bucket, tmp_path)
