"""A storage that an operator adds by a package: the sample of docs/extending.md, with real entry-point metadata."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from comfyserve.app.storages import load_storages
from comfyserve.blobs.targets import OpenTargets, TargetOptions, check_wish
from comfyserve.core import addresses
from comfyserve.core.credentials import BearerAuth, Credential
from comfyserve.core.errors import FetchFailed, FetchRefused, InvalidInput, TargetFailed, TooLarge
from comfyserve.core.targets import StorageTarget, read_target, write_target
from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.fetching import Fetching
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.outbound import Outbound
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.ports import Storages, SystemEvent
from tests.ports.blobs_suite import stream

SAMPLE = Path(__file__).parent / "sample_storage"


@pytest.fixture
def storages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storages]:
    """What the installed packages add, the sample among them."""
    monkeypatch.syspath_prepend(str(SAMPLE))
    monkeypatch.setenv("SHELF_FOLDER", str(tmp_path / "shelf"))
    monkeypatch.setattr(addresses, "_added", set())
    load_storages.cache_clear()
    yield load_storages()
    load_storages.cache_clear()


@pytest.fixture
def events() -> list[SystemEvent]:
    return []


@pytest.fixture
async def fetching(storages: Storages, tmp_path: Path, events: list[SystemEvent]) -> AsyncIterator[Fetching]:
    guard = Guard("off")
    proxy = GuardingProxy(guard)
    options = FetchOptions(tmp_path / "cache", storages=storages, tell=events.append)
    made = await open_fetching(guard, proxy, options)
    yield made
    await made.close()
    await proxy.close()


def targets(storages: Storages, folder: Path, events: list[SystemEvent]) -> OpenTargets:
    guard = Guard("off")
    return OpenTargets(
        Outbound(guard, GuardingProxy(guard)), TargetOptions(folder, storages=storages, tell=events.append)
    )


async def test_what_is_sent_there_comes_back(
    storages: Storages, fetching: Fetching, tmp_path: Path, events: list[SystemEvent]
) -> None:
    wish = read_target({"type": "storage", "url": "shelf://results/today/", "names": "plain"})
    assert read_target(write_target(wish)) == wish
    async with targets(storages, tmp_path, events).open(wish) as target:
        address = await target.put("a b.png", stream(b"pic", b"ture"), size=7, mime="image/png")
    assert address == "shelf://results/today/a%20b.png"
    assert (tmp_path / "shelf/results/today/a b.png").read_bytes() == b"picture"
    assert addresses.is_url(address) and addresses.is_outside(address)
    for cached in (False, True):
        async with fetching.fetch(address) as file:
            assert (file.path.read_bytes(), file.cached) == (b"picture", cached)
    assert [event.name for event in events] == ["file_uploaded", "file_downloaded"]
    for event in events:
        assert event.label == "storage" and (event.data["url"], event.data["size"]) == (address, 7)
        assert set(event.data) == {"url", "local_path", "size", "duration"}


async def test_its_errors_are_told(storages: Storages, fetching: Fetching, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="shelf has no such file"):
        async with fetching.fetch("shelf://results/none"):
            pass
    with pytest.raises(FetchRefused, match="no address of the storage shelf"):
        async with fetching.fetch("shelf://results/../../../etc/passwd"):
            pass
    with pytest.raises(FetchRefused, match="takes no credentials"):
        async with fetching.fetch("shelf://x/y", credentials=[Credential("shelf://**", BearerAuth("t"))]):
            pass
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf/big").write_bytes(b"x" * 100)
    with pytest.raises(TooLarge):
        async with fetching.fetch("shelf://big", limit=10):
            pass
    async with targets(storages, tmp_path, []).open(StorageTarget("shelf://big")) as target:
        with pytest.raises(TargetFailed, match=r"The storage shelf"):
            await target.put("a.png", stream(b"x"), size=1, mime="")


@pytest.mark.parametrize(
    "url", ["other://x", "shelf://x?sig=secret", "shelf://me:secret@x", "no address", "shelf://x#f"]
)
def test_a_wish_that_cannot_be(storages: Storages, tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_wish(StorageTarget(url), TargetOptions(tmp_path, storages=storages))
    assert "secret" not in caught.value.message


def test_a_storage_that_cannot_be_loaded_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[comfyserve.storages]\nbroken = no_such_module:X\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    load_storages.cache_clear()
    with pytest.raises(InvalidInput, match="The storage broken"):
        load_storages()
    load_storages.cache_clear()


@pytest.mark.parametrize("scheme", ["https", "s3", "file", "data", "Upper", "x"])
def test_a_scheme_that_cannot_be_added(scheme: str) -> None:
    with pytest.raises(InvalidInput, match="No storage can be added"):
        addresses.add_schemes([scheme])
