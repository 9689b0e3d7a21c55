"""Every Blobs adapter keeps the promises of the port."""

from pathlib import Path

import pytest

from comfyserve.blobs.local import LocalBlobs
from comfyserve.ports import Blobs
from comfyserve.testing import MemoryBlobs
from tests.ports.blobs_suite import BlobsSuite


class TestLocal(BlobsSuite):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return LocalBlobs(tmp_path)


class TestMemory(BlobsSuite):
    @pytest.fixture
    def blobs(self) -> Blobs:
        return MemoryBlobs()
