"""Files and repositories of Hugging Face, from a small hub on loopback."""

import asyncio
import hashlib
import os
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.credentials import Auth, BasicAuth, BearerAuth
from comfyserve.core.errors import FetchFailed, FetchRefused, TooLarge
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.hf import HfSource
from comfyserve.fetch.hf_url import HfPlace, is_hf_url, read_hf_url
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.fetch.source import Arrived, Order, Unchanged, Validators
from tests.fetch.hub import BIG, COMMIT, FILES, TOKEN, Hub

LIMIT = 10_000_000
LARGE = "unet/model.safetensors"


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    """The hub."""
    made = Hub()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def proxy() -> AsyncIterator[GuardingProxy]:
    """A proxy that leads to the hub's store of large files, as to a public host; the hub itself is the operator's."""
    made = GuardingProxy(Guard("localhost"))
    yield made
    await made.close()


@pytest.fixture
def source(hub: Hub, proxy: GuardingProxy) -> HfSource:
    """A source without a token of the server's."""
    return HfSource(proxy, endpoint=hub.url, delays=())


def order(url: str, auth: Auth | None = None, **more: Any) -> Order:
    """An order."""
    return Order(url, more.pop("limit", LIMIT), auth, **more)


async def arrives(source: HfSource, what: Order, path: Path) -> Arrived:
    """Download, which must give something."""
    arrived = await source.download(what, path)
    assert isinstance(arrived, Arrived)
    return arrived


def left(folder: Path) -> list[str]:
    """What a folder holds."""
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------------------------ addresses

ADDRESSES = [
    ("hf://o/r/f.bin", HfPlace("model", "o/r", "main", "f.bin")),
    ("hf://o/r@v1/a/f.bin", HfPlace("model", "o/r", "v1", "a/f.bin")),
    ("hf://datasets/o/r@refs/pr/1/f", HfPlace("dataset", "o/r", "refs/pr/1", "f")),
    ("hf://datasets/o/r@refs%2Fpr%2F1/f", HfPlace("dataset", "o/r", "refs/pr/1", "f")),
    ("hf://o/r", HfPlace("model", "o/r", "main", "")),
    ("hf://spaces/o/r@abc/", HfPlace("space", "o/r", "abc", "")),
    ("https://huggingface.co/o/r/resolve/main/f.bin?download=true", HfPlace("model", "o/r", "main", "f.bin")),
    ("https://huggingface.co/datasets/o/r/blob/v1/a%20b/f", HfPlace("dataset", "o/r", "v1", "a b/f")),
    ("https://huggingface.co/o/r/resolve/main///f", HfPlace("model", "o/r", "main", "f")),
    ("https://huggingface.co/o/r/resolve/refs%2Fpr%2F1/f", HfPlace("model", "o/r", "refs/pr/1", "f")),
    ("https://huggingface.co/o/r/resolve/refs/pr/1/f", HfPlace("model", "o/r", "refs/pr/1", "f")),
    ("https://hf.co/o/r", HfPlace("model", "o/r", "main", "")),
    ("https://huggingface.co/o/r/tree/v1", HfPlace("model", "o/r", "v1", "")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place"), ADDRESSES)
def test_addresses_are_read(text: str, place: HfPlace) -> None:
    assert read_hf_url(text) == place


@pytest.mark.parametrize(
    "text",
    ["hf://", "hf://o", "hf://o/", "hf://../r/f", "hf://o/r/../f", "hf://o/r/a%2F..%2Ff", "hf://o/r@..%2Fx/f", "hf://o/r/a\\b",
     "hf://o/r/%0a", "https://huggingface.co/o", "https://huggingface.co/o/r/resolve/main", "https://huggingface.co/o/r/x/main/f",
     "https://example.com/o/r/resolve/main/f", "ftp://huggingface.co/o/r/resolve/main/f", "https://huggingface.co/api/models/o/r"],
)  # fmt: skip
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(FetchRefused):
        read_hf_url(text)
    assert is_hf_url(text) is text.startswith("hf://")


def test_a_mirrors_addresses_are_read_too() -> None:
    page = "https://mirror.local:8080/o/r/resolve/main/f"
    assert not is_hf_url(page)
    assert is_hf_url(page, "mirror.local:8080")
    assert HfPlace("dataset", "o/r", "a/b", "x y").file_route == "/datasets/o/r/resolve/a%2Fb/x%20y"


# ------------------------------------------------------------------------------------------------ downloads


@pytest.mark.parametrize("name", list(FILES))
async def test_a_file_arrives(source: HfSource, name: str, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    what = order(f"hf://open/r/{name}", on_bytes=lambda *bytes_: told.append(bytes_))
    arrived = await arrives(source, what, tmp_path / "got")
    data = FILES[name]
    assert (tmp_path / "got").read_bytes() == data
    assert (arrived.size, arrived.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert arrived.names == (name.rpartition("/")[2],)
    assert arrived.head == data[:64]
    assert told[-1] == (len(data), len(data))
    assert left(tmp_path) == ["got"]
    held = order(what.url, held=arrived.validators)
    assert isinstance(await source.download(held, tmp_path / "again"), Unchanged)
    assert left(tmp_path) == ["got"]


async def test_a_repository_arrives_as_a_folder(source: HfSource, tmp_path: Path) -> None:
    arrived = await arrives(source, order("hf://open/r"), tmp_path / "got")
    got = tmp_path / "got"
    assert {str(path.relative_to(got)): path.read_bytes() for path in got.rglob("*") if path.is_file()} == FILES
    assert arrived.is_folder
    assert arrived.names == ("r",)
    assert arrived.validators.etag == COMMIT
    assert arrived.size == sum(map(len, FILES.values()))
    assert left(tmp_path) == ["got"]
    held = order("hf://open/r", held=arrived.validators)
    assert isinstance(await source.download(held, tmp_path / "again"), Unchanged)


async def test_a_moved_repository_and_a_revision_arrive(source: HfSource, tmp_path: Path) -> None:
    assert (await arrives(source, order(f"hf://moved/r/{LARGE}"), tmp_path / "got")).size == len(BIG)
    assert (await arrives(source, order("hf://open/r@refs/pr/1/config.json"), tmp_path / "got")).size == 2


async def test_a_token_does_not_follow_to_another_host(source: HfSource, hub: Hub) -> None:
    await source.check(f"hf://elsewhere/r/{LARGE}", BearerAuth(TOKEN))
    assert hub.asked.total() == 1


@pytest.mark.parametrize("what", [f"/{LARGE}", "/config.json", ""])
@pytest.mark.parametrize("owner", ["closed", "gated"])
async def test_private_repositories_open_for_a_token_only(
    source: HfSource, hub: Hub, proxy: GuardingProxy, owner: str, what: str, tmp_path: Path
) -> None:
    url = f"hf://{owner}/r{what}"
    for auth in (None, BearerAuth("hf_wrong")):
        for call in (source.download(order(url, auth), tmp_path / "got"), source.check(url, auth)):
            with pytest.raises(FetchFailed, match="gated" if owner == "gated" else "token") as caught:
                await call
            assert not caught.value.retryable
    got = await arrives(source, order(url, BearerAuth(TOKEN)), tmp_path / "got")
    assert got.size
    assert await source.check(url, BearerAuth(TOKEN), got.validators)
    assert not await source.check(url, BearerAuth(TOKEN), Validators("other"))
    own = HfSource(proxy, token=TOKEN, endpoint=hub.url, delays=())
    await own.check(url, None)
    with pytest.raises(FetchFailed):
        await own.check(url, BearerAuth("hf_wrong"))
    with pytest.raises(FetchRefused, match="bearer"):
        await own.check(url, BasicAuth("a", "b"))


async def test_secrets_stay_out_of_logs_and_errors(
    source: HfSource, hub: Hub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "hf_" + "x" * 20
    hub.to = "http://169.254.169.254/x?signature=" + "y" * 20
    for url in (f"hf://closed/r/{LARGE}", f"hf://away/r/{LARGE}", f"hf://xet/r/{LARGE}"):
        with pytest.raises((FetchFailed, FetchRefused)) as caught:
            await source.download(order(url, BearerAuth(secret)), tmp_path / "got")
        said = "".join(capfd.readouterr()) + "".join(traceback.format_exception(caught.value))
        assert secret not in said
        assert "y" * 20 not in said


async def test_the_machines_own_token_is_never_used(
    source: HfSource, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_machine")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text("hf_of_the_machine")
    await arrives(source, order(f"hf://open/r/{LARGE}"), tmp_path / "got")
    assert hub.tokens == {""}
    assert any("hf_hub" in agent for agent in hub.agents)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("hf://open/r/none", "no such file"),
        ("hf://open/r@none/config.json", "no such revision"),
        ("hf://none/r/f", "no such repository"),
        ("hf://none/r", "no such repository"),
    ],
)
async def test_what_is_not_there(source: HfSource, url: str, says: str, tmp_path: Path) -> None:
    for call in (source.download(order(url), tmp_path / "got"), source.check(url, None)):
        with pytest.raises(FetchFailed, match=says) as caught:
            await call
        assert not caught.value.retryable
    assert left(tmp_path) == []


async def test_too_large_is_refused_before_anything_is_downloaded(source: HfSource, hub: Hub, tmp_path: Path) -> None:
    for url in (f"hf://open/r/{LARGE}", "hf://open/r"):
        with pytest.raises(TooLarge):
            await source.download(order(url, limit=len(BIG) - 1), tmp_path / "got")
    assert not any(key.startswith("blob") for key in hub.asked)


@pytest.mark.parametrize("to", ["http://169.254.169.254/x", "http://10.0.0.1/x", "http://127.0.0.1:1/x"])
@pytest.mark.parametrize("owner", ["away", "xet"])
async def test_what_the_hub_leads_to_goes_through_the_guard(
    source: HfSource, hub: Hub, owner: str, to: str, tmp_path: Path
) -> None:
    """The library's own HTTP client (away) and hf-xet's (xet) both obey the proxy."""
    hub.to = to
    with pytest.raises(FetchRefused, match="is not called"):
        await source.download(order(f"hf://{owner}/r/{LARGE}"), tmp_path / "got")


async def test_a_hub_of_a_caller_is_nothing_special(proxy: GuardingProxy, hub: Hub, tmp_path: Path) -> None:
    """Only the configured endpoint is asked, whatever host an address names."""
    source = HfSource(proxy, endpoint="http://127.0.0.1:1", delays=())
    with pytest.raises(FetchRefused):
        await source.download(order(f"{hub.url}/open/r/resolve/main/{LARGE}"), tmp_path / "got")
    with pytest.raises(FetchFailed, match="cannot be reached"):
        await source.download(order(f"hf://open/r/{LARGE}"), tmp_path / "got")


async def test_other_bytes_than_promised_are_refused(source: HfSource, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="SHA-256"):
        await source.download(order(f"hf://wrong/r/{LARGE}"), tmp_path / "got")
    assert left(tmp_path) == []


async def test_a_cancelled_download_leaves_no_process_and_is_continued(
    source: HfSource, hub: Hub, tmp_path: Path, processes_of: Callable[[Path], list[int]]
) -> None:
    download = asyncio.create_task(source.download(order(f"hf://hang/r/{LARGE}"), tmp_path / "got"))
    await asyncio.wait_for(hub.hanging.wait(), 30)
    assert processes_of(tmp_path)
    download.cancel()
    with pytest.raises(asyncio.CancelledError):
        await download
    assert not processes_of(tmp_path)
    arrived = await arrives(source, order(f"hf://open/r/{LARGE}"), tmp_path / "got")
    assert arrived.sha256 == hashlib.sha256(BIG).hexdigest()
    assert left(tmp_path) == ["got"]


async def test_a_cancel_while_the_file_is_put_in_place_waits_for_that(source: HfSource, tmp_path: Path) -> None:
    """Otherwise the next download would begin in the same folder, beside a thread that still moves things."""
    got = tmp_path / "got"
    got.mkdir()
    for number in range(20_000):  # what lies in the way takes a while to remove
        os.mknod(got / str(number))
    download = asyncio.create_task(source.download(order(f"hf://open/r/{LARGE}"), got))
    async with asyncio.timeout(60):
        while (got / "0").exists() and (got / "19999").exists():  # noqa: ASYNC110  (nobody tells when it begins)
            await asyncio.sleep(0.001)
    download.cancel()
    with pytest.raises(asyncio.CancelledError):
        await download
    assert left(tmp_path) == ["got"]
    assert got.read_bytes() == BIG


async def test_a_held_etag_of_another_state_is_fetched_anew(source: HfSource, tmp_path: Path) -> None:
    what = order("hf://open/r/config.json", held=Validators(etag="other"))
    assert isinstance(await source.download(what, tmp_path / "got"), Arrived)
