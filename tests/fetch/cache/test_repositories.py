"""Git and Hugging Face through the cache, with their real sources."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comfyserve.core.credentials import BasicAuth, BearerAuth, Credential
from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.fetching import Fetching
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.proxy import GuardingProxy
from tests.fetch.git_server import GitServer, make_repository
from tests.fetch.hub import TOKEN, Hub


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    made = Hub()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GitServer]:
    made = GitServer(tmp_path / "served")
    await made.start()
    make_repository(made.folder, {"unet/weights.bin": "weights"})
    yield made
    await made.stop()


@pytest.fixture
async def fetching(tmp_path: Path, hub: Hub) -> AsyncIterator[Fetching]:
    guard = Guard("127.0.0.0/8, localhost")
    proxy = GuardingProxy(guard)
    made = await open_fetching(guard, proxy, FetchOptions(tmp_path / "cache", hf_endpoint=hub.url))
    yield made
    await made.close()
    await proxy.close()


def left(folder: Path) -> list[str]:
    """What a download left on its way."""
    return [path.name for path in (folder / "cache" / ".incoming").iterdir()]


async def test_a_git_repository_is_a_folder_in_the_cache(fetching: Fetching, server: GitServer, tmp_path: Path) -> None:
    for cached in (False, True):
        async with fetching.fetch(f"{server.url}/open/r.git", purpose="model") as found:
            assert (found.is_folder, found.cached, found.filename) == (True, cached, "r")
            assert (found.path / "unet" / "weights.bin").read_text() == "weights"
            assert found.path.parent == tmp_path / "cache"
    assert left(tmp_path) == []


async def test_a_private_repository_is_not_for_others(fetching: Fetching, server: GitServer) -> None:
    url = f"git+{server.url}/closed/r.git"
    mine = [Credential("git+http://**", BasicAuth("ann", "s3cret"))]
    theirs = [Credential("git+http://**", BasicAuth("ann", "wrong"))]
    for cached in (False, True):
        async with fetching.fetch(url, purpose="model", credentials=mine) as found:
            assert found.cached is cached
    for credentials in (theirs, []):
        with pytest.raises((FetchFailed, FetchRefused), match="credentials"):
            async with fetching.fetch(url, purpose="model", credentials=credentials):
                pass


async def test_a_file_of_hugging_face_comes_once(fetching: Fetching, hub: Hub, tmp_path: Path) -> None:
    for cached in (False, True):
        async with fetching.fetch("hf://open/r/config.json", purpose="model") as found:
            assert (found.is_folder, found.cached, found.path.suffix) == (False, cached, ".json")
            assert found.path.is_file()
    assert left(tmp_path) == []


async def test_a_gated_file_is_for_those_with_a_token(fetching: Fetching, hub: Hub) -> None:
    url = "hf://closed/r/config.json"
    mine = [Credential("hf://**", BearerAuth(TOKEN))]
    for cached in (False, True):
        async with fetching.fetch(url, purpose="model", credentials=mine) as found:
            assert found.cached is cached
    with pytest.raises((FetchFailed, FetchRefused), match=r"credentials|token"):
        async with fetching.fetch(url, purpose="model"):
            pass
