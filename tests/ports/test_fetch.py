"""Every Fetch adapter keeps the promises of the port."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpFetch
from comfyserve.ports import Fetch
from tests.fetch.origin import PNG, Origin
from tests.ports.fetch_suite import FetchSuite, Urls


class TestHttp(FetchSuite):
    @pytest.fixture
    async def urls(self) -> AsyncIterator[Urls]:
        origin = Origin()
        await origin.start()
        yield Urls(f"{origin.url}/a/cat.png", PNG, f"{origin.url}/status/404", "http://10.0.0.1/cat.png")
        await origin.stop()

    @pytest.fixture
    async def fetch(self, tmp_path: Path) -> AsyncIterator[Fetch]:
        made = HttpFetch(tmp_path, Guard("127.0.0.0/8"))
        yield made
        await made.close()
