"""Buckets, Hugging Face and git behind the Fetch port, with the cache before them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import obstore
import pytest

from comfyserve.core.credentials import Auth, BasicAuth, BearerAuth, Credential
from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.fetching import Fetching
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.ports import Purpose
from tests.emulators.servers import AZURE_ACCOUNT, AZURE_KEY, Bucket
from tests.emulators.test_servers import store_of
from tests.fetch.git_server import GitServer, make_repository
from tests.fetch.hub import TOKEN, Hub


class World:
    """A Fetch with everything that it may ask: addresses by name."""

    def __init__(self, fetch: Fetching, addresses: dict[str, str]) -> None:
        self.fetch = fetch
        self.addresses = addresses

    async def get(self, name: str, auth: Auth | None = None, purpose: Purpose = "model") -> tuple[Sequence[str], bool]:
        """The files of an address, and whether they were in the cache already."""
        credentials = (Credential("**", auth),) if auth is not None else ()
        async with self.fetch.fetch(
            self.addresses[name], purpose=purpose, credentials=credentials, on_bytes=_on_the_loop
        ) as fetched:
            assert fetched.path.is_dir() is fetched.is_folder
            files = sorted(path.name for path in fetched.path.rglob("*") if path.is_file())
            return files or [fetched.filename], fetched.cached


def _on_the_loop(received: int, total: int | None) -> None:
    """What is told of a download may move clocks: it must not come from a thread."""
    asyncio.get_running_loop()


@pytest.fixture
async def world(s3_bucket: Bucket, tmp_path: Path) -> AsyncIterator[World]:
    """A bucket, a hub, a git server, and a cache in front of them."""
    hub, server = Hub(), GitServer(tmp_path / "served")
    make_repository(server.folder, {"unet/model.bin": "w"})
    await obstore.put_async(store_of(s3_bucket), "dir/model.bin", b"w")
    proxy = GuardingProxy(Guard("127.0.0.1, localhost"))
    async with AsyncExitStack() as stack:
        for service in (hub, server):
            await service.start()
            stack.push_async_callback(service.stop)
        stack.push_async_callback(proxy.close)
        options = FetchOptions(tmp_path / "cache", hf_endpoint=hub.url, environment=s3_bucket.environment)
        fetch = await open_fetching(Guard("127.0.0.1"), proxy, options)
        stack.push_async_callback(fetch.close)
        addresses = {
            "object": f"s3://{s3_bucket.name}/dir/model.bin",
            "file": "hf://open/r/unet/model.safetensors",
            "page": "https://huggingface.co/open/r/blob/main/unet/model.safetensors",
            "repository": "https://huggingface.co/open/r",
            "private repository": "hf://closed/r",
            "git": f"git+{server.url}/open/r.git@main",
            "private git": f"{server.url}/closed/r.git",
        }
        yield World(fetch, addresses)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("object", ["model.bin"]),
        ("file", ["model.safetensors"]),
        ("page", ["model.safetensors"]),
        ("repository", ["config.json", "model.safetensors", "é.txt"]),
        ("git", ["first.txt", "model.bin"]),
    ],
)
async def test_a_model_arrives_once(world: World, name: str, files: list[str]) -> None:
    assert await world.get(name) == (files, False)
    assert await world.get(name) == (files, True)


@pytest.mark.parametrize("variable", ["AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ENDPOINT"])
async def test_a_web_address_of_the_servers_own_azure_is_read_with_its_credentials(
    azure_bucket: Bucket, variable: str, tmp_path: Path
) -> None:
    await obstore.put_async(store_of(azure_bucket), "dir/a b.png", b"pixels")
    connection = f"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={azure_bucket.url};"
    single = {
        "AZURE_STORAGE_ACCOUNT": AZURE_ACCOUNT,
        "AZURE_STORAGE_KEY": AZURE_KEY,
        "AZURE_STORAGE_ENDPOINT": azure_bucket.url,
    }
    own = {variable: connection} if "CONNECTION" in variable else single
    guard = Guard("off")
    proxy = GuardingProxy(guard)
    fetch = await open_fetching(guard, proxy, FetchOptions(tmp_path / "cache", environment=own))
    url = f"{azure_bucket.url}/{azure_bucket.name}/dir/a%20b.png"
    for cached in (False, True):
        async with fetch.fetch(url) as fetched:
            assert (fetched.path.read_bytes(), fetched.filename, fetched.cached) == (b"pixels", "a b.png", cached)
    for other, auth in ((url + "?sig=x", None), (url, BearerAuth("t")), (azure_bucket.url + "x/c/k", None)):
        with pytest.raises(FetchRefused):
            async with fetch.fetch(other, credentials=(Credential("**", auth),) if auth else ()):
                pass
    await fetch.close()
    await proxy.close()


@pytest.mark.parametrize("name", ["object", "file", "page"])
async def test_an_input_arrives(world: World, name: str) -> None:
    files, cached = await world.get(name, purpose="input")
    assert files[0].startswith("model.")
    assert not cached


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("private repository", BearerAuth(TOKEN), BearerAuth("hf_other")),
        ("private git", BasicAuth("ann", "s3cret"), BasicAuth("ann", "other")),
    ],
)
async def test_what_is_private_stays_so_in_the_cache(world: World, name: str, good: Auth, bad: Auth) -> None:
    assert not (await world.get(name, good))[1]
    assert (await world.get(name, good))[1]
    for auth in (None, bad):
        with pytest.raises((FetchRefused, FetchFailed)):
            await world.get(name, auth)
