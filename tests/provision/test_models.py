"""Models of a manifest, through the real Fetch from an origin on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from comfyserve.core.errors import InvalidInput
from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.fetching import Fetching
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.provision import Provision, ProvisionFailed
from tests.fetch.conftest import origin
from tests.fetch.origin import PNG, Origin
from tests.provision.yard import Yard

__all__ = ["origin"]


@pytest.fixture
async def fetch(tmp_path: Path) -> AsyncIterator[Fetching]:
    guard = Guard("127.0.0.1")
    proxy = GuardingProxy(guard)
    made = await open_fetching(guard, proxy, FetchOptions(tmp_path / "cache"))
    yield made
    await made.close()
    await proxy.close()


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def order(yard: Yard, fetch: Fetching, *files: tuple[str, str], when: str = "before_start", **more: Path) -> Provision:
    """The provision of a manifest that has these models alone."""
    items = [{"url": url, "local_path": path} for url, path in files]
    return yard.provision(json.dumps({"models": {when: items}}), fetch, models=more.get("models"))


async def test_files_are_linked_under_their_own_names(
    yard: Yard, fetch: Fetching, origin: Origin, tmp_path: Path
) -> None:
    away = tmp_path / "elsewhere" / "c.pt"
    wanted = (
        (f"{origin.url}/one/same.ckpt", "models/checkpoints/a.ckpt"),
        (f"{origin.url}/typed/x?as=text/plain", "models/loras/same.ckpt"),
        (f"{origin.url}/two/same.ckpt", str(away)),
        (f"{origin.url}/three/noext", "vae/d.ckpt"),
    )
    await order(yard, fetch, *wanted).before_start()
    models = yard.home / "models"
    assert (models / "checkpoints" / "a.ckpt").read_bytes() == PNG == away.read_bytes()
    assert (models / "loras" / "same.ckpt").read_bytes() == b"some text"
    assert (yard.home / "vae" / "d.ckpt").is_symlink()
    await order(yard, fetch, *wanted).before_start()
    assert set(origin.asked.values()) == {1}


async def test_what_is_below_models_goes_where_the_models_are(
    yard: Yard, fetch: Fetching, origin: Origin, tmp_path: Path
) -> None:
    wanted = (f"{origin.url}/m.ckpt", "models/loras/m.ckpt")
    await order(yard, fetch, wanted, models=tmp_path / "disk").before_start()
    assert (tmp_path / "disk" / "loras" / "m.ckpt").read_bytes() == PNG


async def test_a_folder_and_a_name_without_an_ending(yard: Yard, fetch: Fetching, origin: Origin) -> None:
    named = f"{origin.url}/named/555?as=attachment%3Bfilename%3Dreal.ckpt"
    await order(yard, fetch, (named, "models/loras/"), (named, "models/vae/mine")).before_start()
    assert (yard.home / "models" / "loras" / "real.ckpt").read_bytes() == b"x"
    assert (yard.home / "models" / "vae" / "mine.ckpt").read_bytes() == b"x"


async def test_what_lies_there_stays(yard: Yard, fetch: Fetching, origin: Origin) -> None:
    loras = yard.home / "models" / "loras"
    loras.mkdir(parents=True)
    (loras / "own.ckpt").write_text("mine")
    (loras / "linked.ckpt").symlink_to(loras / "own.ckpt")
    (loras / "dangling.ckpt").symlink_to(loras / "gone")
    names = ("own", "linked", "dangling")
    wanted = [(f"{origin.url}/{name}", f"models/loras/{name}.ckpt") for name in names]
    await order(yard, fetch, *wanted).before_start()
    found = [(loras / f"{name}.ckpt").read_bytes() for name in names]
    assert found == [b"mine", b"mine", PNG] and origin.asked["own"] == 0


@pytest.mark.parametrize("path", ["../x.pt", "models/../../x.pt", "/srv/../etc/x.pt", "models/loras/..", "/", "."])
def test_a_path_that_leaves_its_folder_is_refused(path: str, yard: Yard, fetch: Fetching) -> None:
    for when in ("before_start", "after_start"):
        with pytest.raises(InvalidInput, match=rf"models\.{when}\[0\]\.local_path"):
            order(yard, fetch, ("https://host/x.pt", path), when=when)


async def test_one_that_fails_ends_the_start(yard: Yard, fetch: Fetching, origin: Origin) -> None:
    url = f"{origin.url}/status/404?token=s3cret".replace("://", "://ann:s3cret@")
    with pytest.raises(ProvisionFailed, match=r"The model models/vae/x\.pt from ") as failed:
        await order(yard, fetch, (url, "models/vae/x.pt"), (f"{origin.url}/never", "y.pt")).before_start()
    assert "s3cret" not in failed.value.message and origin.asked["never"] == 0
    assert not (yard.home / "models" / "vae").exists()


async def test_after_the_start_one_that_fails_kills_nobody(yard: Yard, fetch: Fetching, origin: Origin) -> None:
    wanted = ((f"{origin.url}/status/403?token=s3cret", "models/vae/x.pt"), (f"{origin.url}/m", "models/vae/y.pt"))
    made = order(yard, fetch, *wanted, when="after_start")
    await made.before_start()
    assert origin.asked.total() == 0
    with structlog.testing.capture_logs() as logged:
        made.after_start.begin()
        made.after_start.begin()
        async with asyncio.timeout(20):
            await made.after_start.ended()
    assert (yard.home / "models" / "vae" / "y.pt").read_bytes() == PNG
    assert list(made.after_start.failures) == ["models/vae/x.pt"]
    assert [line["path"] for line in logged if line["event"] == "model_not_fetched"] == ["models/vae/x.pt"]
    assert [(event.label, event.name) for event in yard.events] == [("storage", "download_failed")]
    assert yard.events[0].data["local_path"] == "models/vae/x.pt"
    assert "s3cret" not in str(yard.events[0].data) and "status 403" in yard.events[0].data["error"]
    await made.close()


async def test_a_stop_ends_what_is_under_way(yard: Yard, fetch: Fetching, origin: Origin) -> None:
    made = order(yard, fetch, (f"{origin.url}/drip", "models/vae/x.pt"), when="after_start")
    made.after_start.begin()
    async with asyncio.timeout(20):
        while not origin.asked["drip"]:  # noqa: ASYNC110  (the origin announces nothing)
            await asyncio.sleep(0.01)
        await made.close()
    assert not (yard.home / "models" / "vae" / "x.pt").exists() and made.after_start.failures == {}
