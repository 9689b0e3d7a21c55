"""What is put at an engine for a run: what goes wrong has its place, and what was put there is known."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.errors import DomainError, FetchFailed, InvalidInput, NotFound, Place, StorageFailed, TooLarge
from comfyserve.core.graph import parse_graph
from comfyserve.core.outputs import EngineFile
from comfyserve.core.runs import Status
from comfyserve.ports import AssetRef, Blobs, ByteStream, Claim, Fetched
from comfyserve.testing import MemoryBlobs, ScriptedEngine
from comfyserve.work.limits import WorkLimits
from comfyserve.work.stage import Holding, Stage
from tests.services.bundle import PNG, open_bundle, pieces
from tests.work.shop import NoFetch, shop

GRAPH = {"1": {"class_type": "LoadImage", "inputs": {"image": "asset:a1"}}}
ZIP = b"PK\x03\x04" + b"pictures"
PICTURE = AssetRef("a1", "assets/a1", "cap.png", "image/png", len(PNG))


class BrokenBlobs(MemoryBlobs):
    """Breaks off in the middle of every file."""

    @asynccontextmanager
    async def open(self, key: str, *, start: int = 0, length: int | None = None) -> AsyncIterator[ByteStream]:
        """One piece, and no more."""

        async def broken() -> ByteStream:
            yield PNG
            raise OSError(5, "Input/output error")

        yield broken()


@pytest.fixture
async def claim(tmp_path: Path) -> Claim:
    bundle = await open_bundle(tmp_path)
    await bundle.run()
    claim = await bundle.claim()
    await bundle.db.close()
    return replace(claim, graph=parse_graph(GRAPH), assets={"a1": PICTURE})


@pytest.mark.parametrize(
    ("assets", "blobs", "error"),
    [
        ({}, MemoryBlobs(), NotFound),
        ({"a1": PICTURE}, MemoryBlobs(), NotFound),
        ({"a1": replace(PICTURE, size=1001)}, BrokenBlobs(), TooLarge),
        ({"a1": PICTURE}, BrokenBlobs(), StorageFailed),
    ],
    ids=["swept", "blob gone", "too large", "breaks off"],
)
async def test_an_asset_that_cannot_be_given(
    claim: Claim, assets: Mapping[str, AssetRef], blobs: Blobs, error: type[DomainError]
) -> None:
    stage = Stage(ScriptedEngine([]), blobs, NoFetch(), WorkLimits(input_bytes=1000))
    with pytest.raises(error) as caught:
        await stage.stage(replace(claim, assets=assets), Holding())
    assert caught.value.place == Place(node_id="1", field="image")


async def test_an_asset_in_capitals_is_one(claim: Claim) -> None:
    blobs, engine = MemoryBlobs(), ScriptedEngine([])
    await blobs.put(PICTURE.blob_key, pieces(PNG))
    graph = parse_graph({"1": {"class_type": "LoadImage", "inputs": {"image": "Asset:a1"}}})
    await Stage(engine, blobs, NoFetch(), WorkLimits()).stage(replace(claim, graph=graph), Holding())
    assert list(engine.uploads.values()) == [PNG]


async def test_a_file_that_was_put_there_is_known_although_another_one_fails(claim: Claim) -> None:
    blobs, files = MemoryBlobs(), list[EngineFile]()
    await blobs.put(PICTURE.blob_key, pieces(PNG))
    await blobs.put("assets/a2", pieces(b"no picture"))
    graph = {**GRAPH, "2": {"class_type": "LoadImage", "inputs": {"image": "asset:a2"}}}
    assets = {"a1": PICTURE, "a2": replace(PICTURE, id="a2", blob_key="assets/a2")}
    stage = Stage(ScriptedEngine([]), blobs, NoFetch(), WorkLimits())
    with pytest.raises(InvalidInput):
        await stage.stage(replace(claim, graph=parse_graph(graph), assets=assets), Holding(files))
    assert files == [EngineFile(f"{claim.attempt_id}_0.png", "comfyserve", "input")]


async def test_each_file_of_a_list_is_put_there(claim: Claim) -> None:
    blobs, files = MemoryBlobs(), list[EngineFile]()
    await blobs.put(PICTURE.blob_key, pieces(PNG))
    await blobs.put("assets/a2", pieces(ZIP))
    inputs = {"input_id": "x", "images": '["asset:a1", "own.png", "asset:a2", "asset:a1"]'}
    graph = {"1": {"class_type": "ComfyUIDeployExternalImageBatch", "inputs": inputs}}
    assets = {"a1": PICTURE, "a2": replace(PICTURE, id="a2", blob_key="assets/a2")}
    stage = Stage(ScriptedEngine([]), blobs, NoFetch(), WorkLimits())
    staged = await stage.stage(replace(claim, graph=parse_graph(graph), assets=assets), Holding(files))
    names = [f"comfyserve/{claim.attempt_id}_{name}" for name in ("0.png", "1.zip")]
    assert json.loads(staged.graph["1"]["inputs"]["images"]) == [names[0], "own.png", names[1], names[0]]


@pytest.mark.parametrize(
    ("filename", "ending"),
    [("notes.CSV", ".csv"), ("notes", ".bin"), ("a.b/../c", ".bin"), ("a.much_too_long", ".bin")],
)
async def test_a_file_of_no_known_kind_keeps_its_ending(claim: Claim, filename: str, ending: str) -> None:
    blobs, files = MemoryBlobs(), list[EngineFile]()
    await blobs.put(PICTURE.blob_key, pieces(b"a,b"))
    graph = {"1": {"class_type": "ComfyUIDeployExternalFile", "inputs": {"input_id": "x", "file_url": "asset:a1"}}}
    stage = Stage(ScriptedEngine([]), blobs, NoFetch(), WorkLimits())
    assets = {"a1": replace(PICTURE, filename=filename)}
    await stage.stage(replace(claim, graph=parse_graph(graph), assets=assets), Holding(files))
    assert files == [EngineFile(f"{claim.attempt_id}_0{ending}", "comfyserve", "input")]


async def test_an_item_of_a_list_that_is_no_picture_is_named(claim: Claim) -> None:
    blobs = MemoryBlobs()
    await blobs.put(PICTURE.blob_key, pieces(b"no picture"))
    node = {"class_type": "ComfyUIDeployExternalImageBatch", "inputs": {"input_id": "x", "images": '["a", "asset:a1"]'}}
    stage = Stage(ScriptedEngine([]), blobs, NoFetch(), WorkLimits())
    with pytest.raises(InvalidInput, match=r"images\[1\] needs image or zip data"):
        await stage.stage(replace(claim, graph=parse_graph({"1": node}), assets={"a1": PICTURE}), Holding())


class TidyEngine(ScriptedEngine):
    """Notes the files that it is told to forget."""

    def __init__(self) -> None:
        super().__init__([], object_info={"LoadImage": {"input": {}}})
        self.removed: list[EngineFile] = []

    async def forget(self, prompt_ids: Any, files: Any) -> None:
        """Note them."""
        self.removed.extend(files)


async def test_what_a_failed_staging_put_there_is_removed(tmp_path: Path) -> None:
    engine = TidyEngine()
    async with shop(tmp_path, engine) as place:
        bundle = place.bundle
        kept = [await bundle.files.upload(bundle.caller, f"{name}.png", "", pieces(data)) for name, data in FILES]
        inputs = [{"image": f"asset:{file.id}"} for file in kept]
        graph = {str(index): {"class_type": "LoadImage", "inputs": inputs[index]} for index in range(len(kept))}
        ended = await place.ended((await bundle.run(graph)).id)
        assert ended.status is Status.FAILED
        await place.drain()
    assert [file.filename.rpartition("_")[2] for file in engine.removed] == ["0.png"]


class AbsentFetch(NoFetch):
    """A Fetch whose host does not exist."""

    def __init__(self) -> None:
        self.tries = 0

    @asynccontextmanager
    async def fetch(self, url: str, **wishes: Any) -> AsyncIterator[Fetched]:
        """Fail as the real one does, after its own tries."""
        self.tries += 1
        raise FetchFailed("The host pictures.invalid cannot be found.", retryable=True)
        yield


async def test_an_input_that_cannot_be_had_is_not_tried_again(tmp_path: Path) -> None:
    fetch = AbsentFetch()
    async with shop(tmp_path, TidyEngine(), fetch=fetch) as place:
        graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "https://pictures.invalid/cap.png"}}}
        ended = await place.ended((await place.bundle.run(graph)).id)
        assert (ended.status, ended.attempts, ended.error and ended.error["code"]) == ("failed", 0, "fetch_failed")
        assert await place.story(ended.id) == ["submitted", "claimed", "failed"]
        assert fetch.tries == 1


FILES = (("good", PNG), ("bad", b"no picture"))
