"""What comfyui-api's storages got wrong (stateless-comfyui-api.md sections 3 and 9), shown to work here."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import obstore
import pytest

from comfyserve.blobs.targets import OpenTargets, TargetOptions
from comfyserve.core.credentials import Auth, BearerAuth, Credential, S3Auth
from comfyserve.core.errors import FetchFailed
from comfyserve.core.targets import HfTarget
from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.fetching import Fetching
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.outbound import Outbound
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.ports import SystemEvent
from tests.emulators.servers import ACCESS_KEY, SECRET_KEY, Bucket
from tests.emulators.test_servers import store_of
from tests.fetch.git_server import GitServer, make_repository
from tests.fetch.hub import TOKEN as HUB_TOKEN
from tests.fetch.hub import Hub
from tests.fetch.origin import PNG, Origin
from tests.ports.blobs_suite import stream
from tests.ports.hub_uploads import TOKEN, upload_hub


class Opening:
    """Opens fetchings over one folder, with one policy."""

    def __init__(self, folder: Path) -> None:
        self.guard = Guard("127.0.0.1, localhost")
        self.proxy = GuardingProxy(self.guard)
        self.folder = folder
        self.opened: list[Fetching] = []

    async def __call__(self, **options: Any) -> Fetching:
        made = await open_fetching(self.guard, self.proxy, FetchOptions(self.folder, **options))
        self.opened.append(made)
        return made

    async def close(self) -> None:
        for made in self.opened:
            await made.close()
        await self.proxy.close()


@pytest.fixture
async def opening(tmp_path: Path) -> AsyncIterator[Opening]:
    made = Opening(tmp_path / "cache")
    yield made
    await made.close()


async def content(fetching: Fetching, url: str, auth: Auth | None = None, **more: Any) -> bytes:
    credentials = [] if auth is None else [Credential(url, auth)]
    async with fetching.fetch(url, credentials=credentials, **more) as file:
        return file.path.read_bytes()


def read(path: str) -> bytes:
    return Path(path).read_bytes()


async def test_a_download_from_azure_ends(azure_bucket: Bucket, opening: Opening) -> None:
    await obstore.put_async(store_of(azure_bucket), "folder/a b.png", PNG)
    fetching = await opening(environment=azure_bucket.environment)
    async with asyncio.timeout(30):
        assert await content(fetching, f"az://{azure_bucket.name}/folder/a b.png") == PNG


@pytest.mark.parametrize("written", ["folder/a b.png", "folder/a%20b.png"])
async def test_a_key_with_spaces_is_found_as_people_write_it(s3_bucket: Bucket, opening: Opening, written: str) -> None:
    await obstore.put_async(store_of(s3_bucket), "folder/a b.png", PNG)
    fetching = await opening(environment=s3_bucket.environment)
    assert await content(fetching, f"s3://{s3_bucket.name}/{written}") == PNG


async def test_credentials_of_a_request_need_no_region_of_the_server(s3_bucket: Bucket, opening: Opening) -> None:
    await obstore.put_async(store_of(s3_bucket), "a.png", PNG)
    auth = S3Auth(ACCESS_KEY, SECRET_KEY, endpoint=s3_bucket.url)
    assert await content(await opening(), f"s3://{s3_bucket.name}/a.png", auth) == PNG


async def test_credentials_of_a_request_open_hugging_face(opening: Opening) -> None:
    hub = Hub()
    await hub.start()
    fetching = await opening(hf_endpoint=hub.url)
    url = "hf://closed/r/config.json"
    with pytest.raises(FetchFailed):
        await content(fetching, url)
    found = await content(fetching, url, BearerAuth(HUB_TOKEN), limit=50_000_000)
    assert found
    await hub.stop()


async def test_the_default_directory_gives_no_empty_folders(opening: Opening, tmp_path: Path) -> None:
    async with upload_hub() as hub:
        targets = OpenTargets(
            Outbound(opening.guard, opening.proxy), TargetOptions(tmp_path, hub=hub.url, hub_token=TOKEN)
        )
        async with targets.open(HfTarget("me/pictures", directory="/")) as target:
            address = await target.put("a.png", stream(PNG), size=len(PNG), mime="image/png")
        assert address == f"{hub.url}/me/pictures/resolve/main/a.png"
        assert ("me/pictures", "main", "a.png") in hub.files


async def test_a_failed_clone_does_not_spoil_the_next(opening: Opening, tmp_path: Path) -> None:
    server = GitServer(tmp_path / "served")
    await server.start()
    fetching, url = await opening(), f"git+{server.url}/open/r.git"
    with pytest.raises(FetchFailed):
        async with fetching.fetch(url, purpose="model"):
            pass
    make_repository(server.folder, {"model_index.json": "{}"})
    async with fetching.fetch(url, purpose="model") as repository:
        assert (repository.path / "model_index.json").is_file()
    await server.stop()


async def test_twenty_equal_addresses_are_one_download_and_one_event(origin: Origin, opening: Opening) -> None:
    events: list[SystemEvent] = []
    fetching = await opening(tell=events.append)
    url = f"{origin.url}/a.png?token=secret-word"
    assert set(await asyncio.gather(*(content(fetching, url) for _ in range(20)))) == {PNG}
    assert [(event.label, event.name) for event in events] == [("storage", "file_downloaded")]
    data = events[0].data
    assert set(data) == {"url", "local_path", "size", "duration"}
    assert data["size"] == len(PNG) and read(data["local_path"]) == PNG
    assert "secret-word" not in str(data) and data["url"].startswith(f"{origin.url}/a.png")


async def test_an_eviction_is_told(origin: Origin, opening: Opening) -> None:
    events: asyncio.Queue[SystemEvent] = asyncio.Queue()
    fetching = await opening(tell=events.put_nowait, cache_bytes=len(PNG) * 3 // 2)
    for name in ("one.png", "two.png"):
        await content(fetching, f"{origin.url}/{name}")
    told = {event.name: event for event in [await asyncio.wait_for(events.get(), 10) for _ in range(3)]}
    deleted = told["file_deleted"].data
    assert set(deleted) == {"url", "local_path", "size"}
    assert deleted["url"] == f"{origin.url}/one.png" and deleted["size"] >= len(PNG)
    with pytest.raises(FileNotFoundError):
        read(deleted["local_path"])
