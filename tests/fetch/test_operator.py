"""An address of the operator's is reached wherever it is, and no other one by the same way."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest

from comfyserve.core.errors import DomainError, FetchRefused
from comfyserve.fetch.build import FetchOptions, fetching_from, open_store
from comfyserve.fetch.fetching import Fetching
from comfyserve.fetch.guard import AllowPrivate, Guard
from comfyserve.fetch.operator import REALM, OperatorFetch, hosts_of, only_host, put_to, sender_to
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.ports import Fetch
from tests.emulators.servers import Bucket
from tests.emulators.test_servers import store_of
from tests.fetch.git_server import GitServer, make_repository
from tests.fetch.origin import Origin
from tests.ports.sender_suite import post


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    made = Origin()
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_host_may_be_private_and_no_other(origin: Origin, host: str) -> None:
    sender = sender_to(f"http://{host}:{origin.port}/hook/200")
    assert await post(sender, f"http://{host}:{origin.port}/hook/200") == 200
    assert await put_to(sender, f"http://{host}:{origin.port}/hook/204", b"{}", {"Metadata": "true"}) == 204
    assert origin.headers[1]["Metadata"] == "true" and origin.bodies[1] == b"{}"
    for other in ("127.0.0.2", "10.0.0.1", "169.254.169.254"):
        with pytest.raises(FetchRefused):
            await post(sender, f"http://{other}:{origin.port}/hook/200")
    await sender.close()


def test_the_metadata_address_is_reached_when_it_is_the_operators() -> None:
    url = "http://169.254.169.254/v1/deletion-cost"
    guard = Guard(only_host(url))
    assert guard.check_url(url).host == "169.254.169.254"
    for other in ("http://169.254.170.2/v1", "http://127.0.0.1/", "http://[fd00:ec2::254]/"):
        with pytest.raises(FetchRefused):
            guard.check_url(other)


@dataclass
class Both:
    """What callers fetch by, and what the operator's own addresses are fetched by, over one cache."""

    callers: Fetching
    operator: OperatorFetch
    proxies: tuple[GuardingProxy, GuardingProxy]

    @classmethod
    async def open(cls, folder: Path, *configured: str, own: Mapping[str, str], lends: bool = True) -> "Both":
        guard, wide = Guard("off"), Guard(AllowPrivate.parse("off").and_also(hosts_of(configured)))
        proxies = GuardingProxy(guard), GuardingProxy(wide)
        options = FetchOptions(folder, environment=own if lends else {})
        store = await open_store(options)
        callers = fetching_from(store, guard, proxies[0], options)
        alone = fetching_from(store, wide, proxies[1], FetchOptions(folder, environment=own), REALM)
        return cls(callers, OperatorFetch(callers, alone, guard, lends=lends), proxies)

    async def close(self) -> None:
        await self.operator.close()
        await self.callers.close()
        for proxy in self.proxies:
            await proxy.close()


async def get(fetch: Fetch, url: str) -> tuple[Path, bool]:
    """Where the file lies, and whether it was there."""
    async with fetch.fetch(url, purpose="model") as fetched:
        return fetched.path, fetched.cached


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_what_the_operator_named_is_fetched_and_no_caller_is_given_it(
    origin: Origin, host: str, tmp_path: Path
) -> None:
    url = f"http://{host}:{origin.port}/one/same.ckpt"
    both = await Both.open(tmp_path / "cache", url, "hf://a/b", own={})
    path, cached = await get(both.operator, url)
    assert not cached and await get(both.operator, url) == (path, True)
    with pytest.raises(FetchRefused, match="allow_private_network"):
        await get(both.callers, url)
    for other in (f"http://127.0.0.2:{origin.port}/x.ckpt", "http://169.254.169.254/x.ckpt"):
        with pytest.raises(FetchRefused):
            await get(both.operator, other)
    await both.operator.link(path, tmp_path / "models" / "a.ckpt")
    assert (tmp_path / "models" / "a.ckpt").resolve() == path.resolve()
    await both.close()


async def test_a_repository_of_the_operators_may_be_private(tmp_path: Path) -> None:
    server = GitServer(tmp_path / "served")
    make_repository(server.folder, {"unet/model.bin": "w"})
    await server.start()
    url = f"git+{server.url}/open/r.git@main"
    both = await Both.open(tmp_path / "cache", url, own={})
    path, _ = await get(both.operator, url)
    assert (path / "unet" / "model.bin").read_text() == "w"
    with pytest.raises(FetchRefused):
        await get(both.callers, url)
    await both.close()
    await server.stop()


async def test_the_servers_credentials_serve_the_operator_also_where_callers_get_none(
    s3_bucket: Bucket, tmp_path: Path
) -> None:
    await obstore.put_async(store_of(s3_bucket), "dir/model.bin", b"w")
    url = f"s3://{s3_bucket.name}/dir/model.bin"
    both = await Both.open(tmp_path / "cache", url, own=s3_bucket.environment, lends=False)
    path, _ = await get(both.operator, url)
    assert path.read_bytes() == b"w"
    with pytest.raises(DomainError):
        await get(both.callers, url)
    await both.close()


async def test_what_callers_may_fetch_as_well_is_one_copy(s3_bucket: Bucket, tmp_path: Path) -> None:
    await obstore.put_async(store_of(s3_bucket), "dir/model.bin", b"w")
    url = f"s3://{s3_bucket.name}/dir/model.bin"
    both = await Both.open(tmp_path / "cache", url, own=s3_bucket.environment)
    path, _ = await get(both.operator, url)
    assert await get(both.callers, url) == (path, True)
    await both.close()
