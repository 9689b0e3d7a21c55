"""POST /download: at once or awaited, what is refused, and failures that nobody waits for."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from comfyserve.apis.build import close_streams
from comfyserve.apis.http.events import Slots
from comfyserve.apis.stateless.download import AT_ONCE, MAX_UNDER_WAY, Downloads
from comfyserve.core.credentials import BearerAuth
from comfyserve.core.errors import Conflict, DomainError, FetchFailed, FetchRefused, StorageFailed
from comfyserve.ports import Fetched, SystemEvent
from comfyserve.services.model_files import ModelArrived, ModelFiles, ModelOrder
from comfyserve.services.model_orders import ModelOrders
from comfyserve.services.sealing import Sealing
from comfyserve.testing import ScriptedEngine
from tests.apis.stateless.desk import Desk

URL = "https://models.example/a/big.safetensors?token=of-the-query"
BODY: dict[str, Any] = {"url": URL, "model_type": "checkpoints"}


@dataclass
class Shelf:
    """Where downloads go. `wrong` is what they meet, `gate` is what they wait for."""

    orders: list[ModelOrder] = field(default_factory=list)
    events: list[SystemEvent] = field(default_factory=list)
    wrong: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def download(self, order: ModelOrder) -> ModelArrived:
        """Take an order."""
        self.orders.append(order)
        self.started.release()
        await self.gate.wait()
        if self.wrong is not None:
            raise self.wrong
        return ModelArrived(order.filename, 12, 1.5)


class NoFetch:
    """A Fetch that nobody asks."""

    def fetch(self, url: str, **options: Any) -> Any:
        """Never."""
        raise AssertionError(url)

    async def link(self, path: Any, destination: Any) -> None:
        """Never."""
        raise AssertionError(Fetched)


@pytest.fixture
def shelf(desk: Desk) -> Shelf:
    """Downloads by hand; names and kinds are checked as they are for real."""
    made = Shelf()
    made.gate.set()
    real = ModelFiles(NoFetch(), ScriptedEngine([]), clock=lambda: 0.0)
    desk.set(download=made.download, check_model=real.check, tell=made.events.append)
    return made


async def settled(desk: Desk) -> None:
    """Nothing is under way in the background."""
    downloads: Downloads = desk.app.state.downloads
    await asyncio.wait_for(downloads.settled(), 10)


async def test_a_download_that_is_awaited(desk: Desk, shelf: Shelf) -> None:
    auth = {"type": "bearer", "token": "secret"}
    told = await desk.json("POST", "/download", json=BODY | {"wait": True, "filename": "mine.ckpt", "auth": auth})
    assert list(told.items()) == [
        ("url", URL),
        ("model_type", "checkpoints"),
        ("filename", "mine.ckpt"),
        ("status", "completed"),
        ("size", 12),
        ("duration", 1.5),
    ]
    assert shelf.orders == [ModelOrder(URL, "checkpoints", "mine.ckpt", BearerAuth("secret"))]


@pytest.mark.parametrize("name", [{}, {"filename": ""}, {"filename": None}])
async def test_a_download_that_is_begun(desk: Desk, shelf: Shelf, name: dict[str, Any]) -> None:
    shelf.gate.clear()
    told = await desk.json("POST", "/download", 202, json=BODY | name)
    assert told == {"url": URL, "model_type": "checkpoints", "filename": "big.safetensors", "status": "started"}
    shelf.gate.set()
    await settled(desk)
    assert [order.filename for order in shelf.orders] == ["big.safetensors"]
    assert shelf.events == []


NAMES = ["..", ".", "../x.ckpt", "a/b.ckpt", "..\\x.ckpt", "/etc/x.ckpt", "a\x00b", ".hidden", "x" * 300]


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("name", NAMES)
async def test_a_name_never_leaves_its_folder(desk: Desk, shelf: Shelf, name: str, wait: bool) -> None:
    told = await desk.json("POST", "/download", 400, json=BODY | {"filename": name, "wait": wait})
    assert list(told) == ["error"]
    assert "filename" in told["error"]
    assert shelf.orders == []


async def test_a_name_in_the_address_never_leaves_its_folder(desk: Desk, shelf: Shelf) -> None:
    await desk.json("POST", "/download", 400, json=BODY | {"url": "https://models.example/a/.."})
    assert shelf.orders == []


async def test_an_unknown_type_is_told_with_the_known_ones(desk: Desk, shelf: Shelf) -> None:
    told = await desk.json("POST", "/download", 400, json=BODY | {"model_type": "clips"})
    assert told == {"error": "Unknown model type: clips. Available types: checkpoints, loras, vae"}


async def test_an_address_that_nobody_fetches(desk: Desk, shelf: Shelf) -> None:
    told = await desk.json("POST", "/download", 400, json=BODY | {"url": "ftp://models.example/x.ckpt"})
    assert told == {"error": "No storage provider found for URL: ftp://models.example/x.ckpt"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "x.ckpt"}, "body/url Invalid url"),
        ({"url": "https://"}, "body/url Invalid url"),
        ({"url": "http://[::1"}, "body/url Invalid url"),
        ({"url": None}, "body/url Expected string, received null"),
        ({"wait": "yes"}, "body/wait Expected boolean, received string"),
        ({"auth": {"type": "bearer"}}, "body/auth/bearer/token Required"),
    ],
)
async def test_a_wrong_shape_is_told_in_full(desk: Desk, shelf: Shelf, change: dict[str, Any], message: str) -> None:
    told = await desk.json("POST", "/download", 400, json=BODY | change)
    assert (told["error"], told["message"]) == ("Bad Request", message)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (FetchFailed("Not Found"), "Error downloading file: Not Found"),
        (FetchRefused("This address is private."), "This address is private."),
        (Conflict("Another file has this name."), "Another file has this name."),
    ],
)
async def test_what_goes_wrong_is_told_to_who_waits(
    desk: Desk, shelf: Shelf, wrong: DomainError, sentence: str
) -> None:
    shelf.wrong = wrong
    assert await desk.json("POST", "/download", 400, json=BODY | {"wait": True}) == {"error": sentence}


async def test_a_full_disk_is_the_servers_fault(desk: Desk, shelf: Shelf) -> None:
    shelf.wrong = StorageFailed("The disk is full.")
    told = await desk.json("POST", "/download", 500, json=BODY | {"wait": True})
    assert told["message"] == "The disk is full."


@pytest.mark.parametrize("wrong", [FetchFailed("It answers 404."), RuntimeError("our own bug")])
async def test_a_failure_that_nobody_waits_for_is_logged_and_told(desk: Desk, shelf: Shelf, wrong: Exception) -> None:
    shelf.wrong = wrong
    url = "https://user:pass-word@models.example/a/big.safetensors?token=of-the-query"
    with capture_logs() as lines:
        told = await desk.json("POST", "/download", 202, json=BODY | {"url": url})
        await settled(desk)
    assert "pass-word" not in str(told)
    (event,) = shelf.events
    assert (event.label, event.name) == ("storage", "download_failed")
    assert event.data["model_type"] == "checkpoints"
    failed = [line for line in lines if line["event"] == "model_download_failed"]
    assert len(failed) == 1
    shown = str(event.data) + str(lines)
    assert "pass-word" not in shown
    assert "of-the-query" not in shown


async def test_a_few_at_once_and_a_bounded_number_in_all(desk: Desk, shelf: Shelf) -> None:
    shelf.gate.clear()
    for _ in range(MAX_UNDER_WAY):
        await desk.json("POST", "/download", 202, json=BODY)
    for _ in range(AT_ONCE):
        await asyncio.wait_for(shelf.started.acquire(), 10)
    answer = await desk.client.post("/download", json=BODY)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert (await desk.client.post("/download", json=BODY | {"wait": True})).status_code == 429
    assert len(shelf.orders) == AT_ONCE
    shelf.gate.set()
    await settled(desk)
    assert len(shelf.orders) == MAX_UNDER_WAY


async def test_what_was_promised_is_begun_again_after_a_stop(desk: Desk, shelf: Shelf, tmp_path: Path) -> None:
    orders = ModelOrders(tmp_path / "orders", Sealing(b"secret"))
    desk.set(orders=orders)
    shelf.gate.clear()
    auth = {"type": "bearer", "token": "of-the-caller"}
    await desk.json("POST", "/download", 202, json=BODY | {"auth": auth})
    await asyncio.wait_for(shelf.started.acquire(), 10)
    (file,) = list_of(tmp_path / "orders")
    assert b"of-the-caller" not in file
    close_streams(desk.app)
    await settled(desk)
    assert shelf.events == []
    shelf.gate.set()
    again = Downloads(desk.options, Slots(1))
    await again.go_on()
    await asyncio.wait_for(again.settled(), 10)
    assert shelf.orders == [ModelOrder(URL, "checkpoints", "big.safetensors", BearerAuth("of-the-caller"))] * 2
    assert await orders.left() == []


@pytest.mark.parametrize("wrong", [None, FetchFailed("It answers 404.")])
async def test_what_has_ended_is_promised_no_more(
    desk: Desk, shelf: Shelf, tmp_path: Path, wrong: Exception | None
) -> None:
    orders = ModelOrders(tmp_path / "orders", Sealing(b"secret"))
    desk.set(orders=orders)
    shelf.wrong = wrong
    await desk.json("POST", "/download", 202, json=BODY)
    await settled(desk)
    assert (await orders.left(), len(shelf.events)) == ([], 0 if wrong is None else 1)


async def test_orders_that_cannot_be_read_are_logged_and_let_go(tmp_path: Path) -> None:
    await ModelOrders(tmp_path, Sealing(b"secret")).keep("1", ModelOrder(URL, "vae", ""))
    await asyncio.to_thread((tmp_path / "2.begun").write_text, "half")
    orders = ModelOrders(tmp_path, Sealing(b"another secret"))
    with capture_logs() as lines:
        assert await orders.left() == []
    assert [line["order"] for line in lines] == ["1"]
    assert list_of(tmp_path) == []


def list_of(folder: Path) -> list[bytes]:
    """What the files of a folder hold."""
    return [file.read_bytes() for file in folder.iterdir() if file.is_file()]
