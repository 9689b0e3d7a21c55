"""Every Fetch adapter keeps the promises of the port."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.ports import Fetch
from tests.fetch.origin import PNG, Origin
from tests.ports.fetch_suite import KINDS, FetchSuite, Urls


class TestFetching(FetchSuite):
    @pytest.fixture
    async def urls(self) -> AsyncIterator[Urls]:
        origin = Origin()
        await origin.start()
        data = "data:image/png;base64," + base64.b64encode(PNG).decode()
        yield Urls(
            good=f"{origin.url}/a/cat.png",
            content=PNG,
            absent=f"{origin.url}/status/404",
            forbidden="http://10.0.0.1/cat.png",
            data=data,
            private={kind: f"{origin.url}/private/{kind.replace(' tagged', '?tag')}" for kind in KINDS},
        )
        await origin.stop()

    @pytest.fixture
    async def fetch(self, tmp_path: Path) -> AsyncIterator[Fetch]:
        guard = Guard("127.0.0.0/8")
        proxy = GuardingProxy(guard)
        made = await open_fetching(guard, proxy, FetchOptions(tmp_path / "cache"))
        yield made
        await made.close()
        await proxy.close()
