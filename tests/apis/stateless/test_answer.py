"""The body of a 200: its form, its order, and that files of any size are never in memory."""

import base64
import json
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from comfyserve.apis.stateless.answer import answer_body, answer_size, echo, images_of, typed_outputs
from comfyserve.core.javascript import json_text
from comfyserve.core.runs import Status
from comfyserve.services.postings import Snapshot
from comfyserve.services.records import OutputView, RunView
from tests.apis.stateless.desk import Desk

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MEGABYTE = 1024 * 1024
GRAPH: dict[str, Any] = {
    "10": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}},
    "9": {"class_type": "LoadImage", "inputs": {"image": "asset:img_1", "strength": 8.0}, "_meta": {"title": "In"}},
}


class Disk:
    """Files of any size that lie nowhere: `files` as the answer needs them, and how much of them is read at a time."""

    def __init__(self, size: int, piece: int = 100_000) -> None:
        self.size = size
        self.piece = piece

    async def stored(self, asset_id: str) -> str:
        """What `open` takes."""
        return asset_id

    @asynccontextmanager
    async def open(self, asset: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The file in pieces whose sizes no triple of bytes divides."""

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, self.size, self.piece):
                yield bytes([start // self.piece % 251]) * min(self.piece, self.size - start)

        yield pieces()

    @property
    def content(self) -> bytes:
        """The whole of a file."""
        starts = range(0, self.size, self.piece)
        return b"".join(bytes([at // self.piece % 251]) * min(self.piece, self.size - at) for at in starts)


def output(number: int = 0, size: int = 4, **changes: Any) -> OutputView:
    made = OutputView(
        f"o{number}", "r", "9", "SaveImage", "images", number, "image", NOW, f"{number}.png", "", "output",
        "image/png", size, "ab", f"img_{number}", "https://example.com/f",
    )  # fmt: skip
    return replace(made, **changes)


def told(*outputs: OutputView, graph: Any = None, **memo: Any) -> Snapshot:
    run = RunView("r", "w", "k", Status.SUCCESS, "m", "stateless", "api", {}, 0, 1, 3, NOW, NOW, outputs=outputs)
    request = {"request": {"id": "mine", "webhook_v2": "https://example.com"}}
    return Snapshot(run, [], GRAPH if graph is None else graph, {**request, **memo})


async def body_of(snapshot: Snapshot, files: Any, first: Any = ()) -> bytes:
    return b"".join([piece async for piece in answer_body(snapshot, files, first)])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": 2}, '{"b":1,"a":2}'),
        ({"b": 1, "10": 2, "9": 3, "007": 4}, '{"9":3,"10":2,"b":1,"007":4}'),
        ([8.0, 8.5, -0.5, 1e3], "[8,8.5,-0.5,1000]"),
        ({"a": "ä語\n"}, '{"a":"ä語\\n"}'),
        ([True, None, 18446744073709551615], "[true,null,18446744073709551615]"),
        ({"a": {"2": [], "1": {}}}, '{"a":{"1":{},"2":[]}}'),
    ],
)
def test_json_is_written_as_javascript_does(value: Any, text: str) -> None:
    assert json_text(value) == text.encode()


def test_the_echo_shows_names_for_data_and_the_originals_order() -> None:
    shown = echo(told())
    assert [*shown] == ["prompt", "id", "webhook_v2"]
    assert shown["prompt"]["9"] == {
        "inputs": {"image": "img_1", "strength": 8.0},
        "class_type": "LoadImage",
        "_meta": {"title": "In"},
    }
    assert [*json.loads(json_text(shown))["prompt"]] == ["9", "10"]


def test_lists_of_files_are_shown_by_their_names() -> None:
    inputs = {"directory": ["asset:img_1", "https://example.com/2.png"], "images": '["asset:img_1"]'}
    shown = echo(told(graph={"1": {"class_type": "VHS_LoadImagesPath", "inputs": inputs}}))["prompt"]["1"]["inputs"]
    assert shown == {"directory": ["img_1", "https://example.com/2.png"], "images": '["img_1"]'}


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 99_999, 100_000, 100_001, 250_000])
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_files_of_every_length_are_whole(size: int, count: int) -> None:
    disk = Disk(size)
    snapshot = told(*(output(number, size) for number in range(count)))
    body = await body_of(snapshot, disk)
    assert len(body) == answer_size(snapshot)
    read = json.loads(body)
    assert [base64.b64decode(image, validate=True) for image in read["images"]] == [disk.content] * count
    assert read["filenames"] == [f"{number}.png" for number in range(count)]


async def test_pairs_that_stand_first_and_input_that_stands_last() -> None:
    snapshot = told(output(), input={"prompt": "a cap", "image": "asset:img_7"})
    first = [("type", "prompt.complete"), ("timestamp", "now")]
    body = json.loads(await body_of(snapshot, Disk(4), first))
    keys = ["type", "timestamp", "prompt", "id", "webhook_v2", "images", "filenames", "stats", "outputs", "input"]
    assert [*body] == keys
    assert body["input"] == {"prompt": "a cap", "image": "img_7"}
    assert answer_size(snapshot, first) == len(await body_of(snapshot, Disk(4), first))


async def test_a_file_at_a_target_is_its_address() -> None:
    snapshot = told(output(asset_id=None, target_url="s3://b/mine_0.png"))
    body = await body_of(snapshot, Disk(4))
    assert json.loads(body)["images"] == ["s3://b/mine_0.png"]
    assert len(body) == answer_size(snapshot)


def test_values_are_outputs_and_no_images() -> None:
    text = output(1, kind="text", asset_id=None, value="hello")
    snapshot = told(output(), text)
    assert images_of(snapshot) == [output()]
    assert typed_outputs(snapshot)[1] == {
        "node_id": "9",
        "class_type": "SaveImage",
        "key": "images",
        "kind": "text",
        "value": "hello",
    }


def test_previews_are_images_only_where_nothing_is_saved() -> None:
    preview = output(1, type="temp")
    assert images_of(told(preview, output())) == [output()]
    assert images_of(told(preview)) == [preview]


async def test_32_files_of_12_megabytes_are_not_in_memory() -> None:
    size = 12 * MEGABYTE + 1
    snapshot = told(*(output(number, size) for number in range(32)))
    disk: Any = Disk(size, 256 * 1024)
    sent = 0
    tracemalloc.start()
    async for piece in answer_body(snapshot, disk):
        sent += len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent == answer_size(snapshot)
    assert peak < 4 * MEGABYTE


async def test_the_files_are_those_of_the_services(desk: Desk) -> None:
    bundle = desk.bundle

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"a", b"bcd", b"", b"ef"):
            yield piece

    asset = await bundle.files.upload(bundle.caller, "x.png", "image/png", pieces())
    snapshot = told(output(asset_id=asset.id, size=asset.size))
    assert json.loads(await body_of(snapshot, bundle.files))["images"] == [base64.b64encode(b"abcdef").decode()]
