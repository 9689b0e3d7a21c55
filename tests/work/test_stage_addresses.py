"""Files and models by URL: where they go, what the graph names then, what is held and what is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comfyserve.core.credentials import BearerAuth, Credential, auth_for
from comfyserve.core.errors import DomainError, EngineError, EngineLost, FetchFailed, InvalidInput, Place
from comfyserve.core.graph import parse_graph
from comfyserve.core.kept_names import is_kept_name
from comfyserve.core.options import RunOptions
from comfyserve.core.outputs import EngineFile
from comfyserve.core.runs import Fact, FactKind
from comfyserve.fetch.cache.names import cache_key
from comfyserve.ports import (
    ByteStream,
    Claim,
    Clocks,
    Downloading,
    Fetched,
    LiveValue,
    NodeFinished,
    OfferedModel,
    Started,
)
from comfyserve.testing import Hold, MemoryBlobs, ScriptedEngine
from comfyserve.work.limits import WorkLimits
from comfyserve.work.stage import Holding, Reports, Stage, Staged
from tests.services.bundle import PNG, open_bundle
from tests.work.shop import FolderFetch, shop

HOST = "https://files.example.com"
LORA = f"{HOST}/some/style.safetensors?token=secret"
FILES = {
    f"{HOST}/a.png": PNG,
    f"{HOST}/b.png": PNG + b"b",
    LORA: b"weights",
    f"{HOST}/scene.glb": b"glTF\x02\0\0\0",
    f"{HOST}/download/1": b"\x10\0\0\0\0\0\0\0" + b'{"a": 1}',
}
LOADER = {"Mine": {"input": {"required": {"thing": [["known.pt"], {}], "picture": [[], {"image_upload": True}]}}}}


class ShelfEngine(ScriptedEngine):
    """Tells nodes and models, and notes how often it was asked and what it was told to forget."""

    def __init__(self, script: Any = (), *, object_info: Mapping[str, Any] | None = None) -> None:
        super().__init__(script, object_info={**LOADER, **(object_info or {})})
        self.models["upscale_models"] = {"known.pt": Path("known.pt")}
        self.questions = 0
        self.removed: list[EngineFile] = []
        self.link: Path | None = None

    async def object_info(self) -> Mapping[str, Any]:
        """Count the question."""
        self.questions += 1
        return await super().object_info()

    async def add_model(self, folder: str, name: str, path: Path, *, exact: bool = False) -> OfferedModel:
        """With a link, when there is to be one."""
        return replace(await super().add_model(folder, name, path), link=self.link)

    async def forget(self, prompt_ids: Any, files: Any) -> None:
        """Note the files."""
        self.removed.extend(files)


@pytest.fixture
async def claim(tmp_path: Path) -> Claim:
    bundle = await open_bundle(tmp_path)
    await bundle.run()
    claim = await bundle.claim()
    await bundle.db.close()
    return claim


@pytest.fixture
def fetch(tmp_path: Path) -> FolderFetch:
    return FolderFetch(tmp_path, FILES)


async def staged(
    claim: Claim, engine: ScriptedEngine, fetch: FolderFetch, holding: Holding, *nodes: tuple[str, Mapping[str, Any]]
) -> Staged:
    graph = {str(at): {"class_type": name, "inputs": dict(inputs)} for at, (name, inputs) in enumerate(nodes, 1)}
    stage = Stage(engine, MemoryBlobs(), fetch, WorkLimits())
    return await stage.stage(replace(claim, graph=parse_graph(graph)), holding)


def inputs_of(result: Staged, node_id: str = "1") -> Mapping[str, Any]:
    return {key: value for key, value in result.graph[node_id]["inputs"].items() if key != "comfyserve_attempt"}


@pytest.mark.parametrize("as_text", [False, True])
async def test_a_list_of_pictures_becomes_a_folder_in_order(claim: Claim, fetch: FolderFetch, as_text: bool) -> None:
    pictures = [f"{HOST}/b.png", f"{HOST}/a.png", f"{HOST}/b.png"]
    engine, holding = ShelfEngine(), Holding()
    value = json.dumps(pictures) if as_text else pictures
    result = await staged(claim, engine, fetch, holding, ("VHS_LoadImages", {"directory": value}))
    folder = f"comfyserve/{claim.attempt_id}_0"
    assert inputs_of(result) == {"directory": folder}
    assert [engine.uploads[f"{folder}/000{at}.png"] for at in range(3)] == [FILES[url] for url in pictures]
    assert sorted(file.filename for file in holding.files) == ["0000.png", "0001.png", "0002.png"]
    assert {file.subfolder for file in holding.files} == {folder}


async def test_nodes_that_open_paths_are_given_paths(claim: Claim, fetch: FolderFetch) -> None:
    nodes = (
        ("VHS_LoadImagePath", {"image": f"{HOST}/a.png"}),
        ("VHS_LoadImagesPath", {"directory": [f"{HOST}/a.png"]}),
        ("LoadImage", {"image": f"{HOST}/a.png"}),
    )
    engine = ShelfEngine()
    result = await staged(claim, engine, fetch, Holding(), *nodes)
    name = f"comfyserve/{claim.attempt_id}"
    assert inputs_of(result, "1") == {"image": f"/input/{name}_0.png"}
    assert inputs_of(result, "2") == {"directory": f"/input/{name}_1"}
    assert inputs_of(result, "3") == {"image": f"{name}_0.png"}


async def test_a_path_of_an_engine_elsewhere_begins_at_its_own_folder(claim: Claim, fetch: FolderFetch) -> None:
    class Elsewhere(ShelfEngine):
        def input_path(self, name: str) -> str | None:
            return None

    result = await staged(claim, Elsewhere(), fetch, Holding(), ("VHS_LoadImagePath", {"image": f"{HOST}/a.png"}))
    assert inputs_of(result)["image"] == f"input/comfyserve/{claim.attempt_id}_0.png"


async def test_a_scene_lies_where_its_loader_looks(claim: Claim, fetch: FolderFetch) -> None:
    result = await staged(claim, ShelfEngine(), fetch, Holding(), ("Load3D", {"model_file": f"{HOST}/scene.glb"}))
    assert inputs_of(result) == {"model_file": f"3d/comfyserve/{claim.attempt_id}_0.glb"}


async def test_one_file_for_two_kinds_must_suit_both(claim: Claim, fetch: FolderFetch) -> None:
    nodes = (("LoadImage", {"image": f"{HOST}/a.png"}), ("LoadAudio", {"audio": f"{HOST}/a.png"}))
    with pytest.raises(InvalidInput, match="audio needs audio data, but what was sent is image/png"):
        await staged(claim, ShelfEngine(), fetch, Holding(), *nodes)


async def test_a_model_is_offered_under_the_name_of_the_cache_and_held(claim: Claim, fetch: FolderFetch) -> None:
    engine, holding = ShelfEngine(), Holding()
    nodes = (("LoraLoader", {"lora_name": LORA, "strength_model": 1.0}), ("LoraLoaderModelOnly", {"lora_name": LORA}))
    async with holding.pins:
        result = await staged(claim, engine, fetch, holding, *nodes)
        assert fetch.pinned == [LORA]
        assert engine.models["loras"] == {"key2.safetensors": fetch.folder / "key2.safetensors"}
    assert fetch.pinned == []
    assert inputs_of(result, "1") == {"lora_name": "key2.safetensors", "strength_model": 1.0}
    assert inputs_of(result, "2") == {"lora_name": "key2.safetensors"}
    assert [wishes["purpose"] for _, wishes in fetch.asked] == ["model"]
    assert (engine.questions, result.models, holding.files) == (0, 1, [])


async def test_a_link_is_remembered_for_eviction(claim: Claim, fetch: FolderFetch, tmp_path: Path) -> None:
    engine = ShelfEngine()
    engine.link = tmp_path / "models" / "loras" / "key2.safetensors"
    holding = Holding()
    async with holding.pins:
        await staged(claim, engine, fetch, holding, ("LoraLoader", {"lora_name": LORA}))
    assert fetch.links == [(fetch.folder / "key2.safetensors", engine.link)]


async def test_a_loader_that_nobody_listed_is_asked_of_the_engine_once(claim: Claim, fetch: FolderFetch) -> None:
    engine, holding = ShelfEngine(), Holding()
    graph = {"1": {"class_type": "Mine", "inputs": {"thing": f"{HOST}/download/1", "picture": f"{HOST}/a.png"}}}
    stage = Stage(engine, MemoryBlobs(), fetch, WorkLimits())
    async with holding.pins:
        for _ in range(2):
            result = await stage.stage(replace(claim, graph=parse_graph(graph)), holding)
    assert inputs_of(result) == {"thing": "key4.safetensors", "picture": f"{claim.attempt_id}_0.png"}
    assert list(engine.models["upscale_models"]) == ["known.pt", "key4.safetensors"]
    assert engine.questions == 1


async def test_nothing_is_fetched_for_a_graph_with_a_wrong_name(claim: Claim, fetch: FolderFetch) -> None:
    nodes = (("LoadImage", {"image": f"{HOST}/a.png"}), ("VAELoader", {"vae_name": "../../x.pt"}))
    with pytest.raises(InvalidInput, match="leaves its folder") as caught:
        await staged(claim, ShelfEngine(), fetch, Holding(), *nodes)
    assert caught.value.place == Place("2", "vae_name")
    assert fetch.asked == []


async def test_a_run_names_a_bounded_number_of_files(claim: Claim, fetch: FolderFetch) -> None:
    pictures = [f"{HOST}/a.png"] * 3
    graph = {"1": {"class_type": "VHS_LoadImages", "inputs": {"directory": pictures}}}
    stage = Stage(ShelfEngine(), MemoryBlobs(), fetch, WorkLimits(inputs=2))
    with pytest.raises(InvalidInput, match="more than 2 files"):
        await stage.stage(replace(claim, graph=parse_graph(graph)), Holding())
    assert fetch.asked == []


@pytest.mark.parametrize(
    ("inputs", "error"),
    [({"lora_name": f"{HOST}/absent"}, FetchFailed), ({"lora_name": f"{LORA}#folder=nonsense"}, EngineError)],
)
async def test_a_model_that_cannot_be_had_has_its_place(
    claim: Claim, fetch: FolderFetch, inputs: Mapping[str, Any], error: type[DomainError]
) -> None:
    holding = Holding()
    async with holding.pins:
        with pytest.raises(error) as caught:
            await staged(claim, ShelfEngine(), fetch, holding, ("LoraLoader", inputs))
    assert caught.value.place == Place("1", "lora_name")
    assert fetch.pinned == []


async def test_the_callers_credentials_are_passed_on_and_a_nodes_token_is_used_up(
    claim: Claim, fetch: FolderFetch
) -> None:
    mine = Credential("**", BearerAuth("mine"))
    claim = replace(claim, options=RunOptions(credentials=(mine,)))
    node = ("ComfyUIDeployExternalLora", {"input_id": LORA, "lora_url": LORA, "bearer_token": "hidden"})
    holding = Holding()
    async with holding.pins:
        result = await staged(claim, ShelfEngine(), fetch, holding, node, ("LoadImage", {"image": f"{HOST}/a.png"}))
    given = {url: wishes["credentials"] for url, wishes in fetch.asked}
    assert auth_for(LORA, given[LORA]) == BearerAuth("hidden")
    assert given[f"{HOST}/a.png"] == (mine,)
    name = inputs_of(result)["lora_url"]
    assert inputs_of(result) == {"input_id": name, "lora_url": name, "bearer_token": ""}
    assert "hidden" not in str(result) and "secret" not in str(result)


async def test_a_private_model_has_a_name_that_nobody_can_guess(claim: Claim, fetch: FolderFetch) -> None:
    """The same each time, so that the engine still has it; without credentials it is the plain one of the cache."""
    private = replace(claim, options=RunOptions(credentials=(Credential(f"{HOST}/**", BearerAuth("mine")),)))
    names = []
    for asking, key in ((private, b"a"), (private, b"a"), (private, b"b"), (claim, b"a")):
        engine, holding = ShelfEngine(), Holding()
        graph = parse_graph({"1": {"class_type": "LoraLoader", "inputs": {"lora_name": LORA}}})
        stage = Stage(engine, MemoryBlobs(), fetch, WorkLimits(), names_key=key)
        async with holding.pins:
            result = await stage.stage(replace(asking, graph=graph), holding)
        names.append(inputs_of(result)["lora_name"])
        assert list(engine.models["loras"]) == names[-1:]
    assert names[0] == names[1] != names[2]
    assert names[3] == "key2.safetensors"
    assert all(is_kept_name(name) and name.endswith(".safetensors") for name in names[:3])


async def test_a_model_of_another_run_is_not_had_by_its_name(claim: Claim, fetch: FolderFetch) -> None:
    name = f"{cache_key(LORA)}.safetensors"
    with pytest.raises(InvalidInput, match="give its URL"):
        await staged(claim, ShelfEngine(), fetch, Holding(), ("LoraLoader", {"lora_name": name}))


class Watching:
    """A Live that keeps what it is told."""

    def __init__(self) -> None:
        self.values: list[LiveValue] = []

    def put(self, run_id: str, event: LiveValue) -> None:
        """Keep it."""
        self.values.append(event)

    def drop(self, run_id: str) -> None:
        """Nothing."""

    def last(self, run_id: str) -> Sequence[LiveValue]:
        """All of them."""
        return self.values

    def watch(self, run_id: str) -> Any:
        """Nobody watches."""
        raise NotImplementedError


async def test_downloads_are_told_without_their_queries(claim: Claim, fetch: FolderFetch) -> None:
    live, facts, clock = Watching(), list[Fact](), iter(range(1000))
    reports = Reports(live, "run-1", facts.append, lambda: float(next(clock)))
    nodes = (("LoraLoader", {"lora_name": LORA}), ("LoadImage", {"image": f"{HOST}/a.png"}))
    for _ in range(2):
        holding = Holding(reports=reports)
        async with holding.pins:
            await staged(claim, ShelfEngine(), fetch, holding, *nodes)
    name = "files.example.com/style.safetensors"
    told = [value for value in live.values if isinstance(value, Downloading) and value.label == "lora_name"]
    assert told[0] == Downloading("lora_name", name, 3, 7)
    assert told[-1] == Downloading("lora_name", name, 7, 7)
    shown = [(fact.data["label"], fact.data["cached"]) for fact in facts]
    assert sorted(shown) == [("image", False), ("lora_name", False), ("lora_name", True)]
    assert {fact.kind for fact in facts} == {FactKind.DOWNLOADED}
    assert "secret" not in str(facts) + str(live.values)


async def test_progress_is_told_at_most_twice_a_second() -> None:
    live, now = Watching(), [0.0]
    on_bytes, _ = Reports(live, "run-1", lambda fact: None, lambda: now[0]).watch("image", LORA)
    for received in range(100):
        on_bytes(received, None)
        now[0] += 0.125
    assert len(live.values) == 25


def finished(prompt_id: str, graph: Mapping[str, Any]) -> list[Any]:
    return [Started(), NodeFinished("1", ())]


async def test_models_are_held_while_the_engine_executes(tmp_path: Path) -> None:
    hold, fetch = Hold(), FolderFetch(tmp_path, FILES)
    engine = ShelfEngine([Started(), hold], object_info={"LoraLoader": {}})
    async with shop(tmp_path, engine, fetch=fetch) as place:
        run = await place.bundle.run({"1": {"class_type": "LoraLoader", "inputs": {"lora_name": LORA}}})
        await hold.reached.wait()
        assert fetch.pinned == [LORA]
        hold.release()
        assert (await place.ended(run.id)).status == "success"
        assert await place.story(run.id) == [
            "submitted",
            "claimed",
            "downloaded",
            "staged",
            "started",
            "executed",
            "succeeded",
        ]
    assert fetch.pinned == []


@pytest.mark.parametrize(
    "ending", [EngineLost("The engine died."), EngineError("No."), None], ids=["lost", "refused", "cancelled"]
)
async def test_files_go_and_models_are_let_go_whatever_the_ending(tmp_path: Path, ending: DomainError | None) -> None:
    hold, fetch = Hold(), FolderFetch(tmp_path, FILES)
    scripts = iter([[ending] if ending else [Started(), hold]])
    engine = ShelfEngine(
        lambda prompt_id, graph: next(scripts, finished(prompt_id, graph)),
        object_info={"LoraLoader": {}, "VHS_LoadImages": {}},
    )
    graph = {
        "1": {"class_type": "LoraLoader", "inputs": {"lora_name": LORA}},
        "2": {"class_type": "VHS_LoadImages", "inputs": {"directory": [f"{HOST}/a.png", f"{HOST}/b.png"]}},
    }
    async with shop(tmp_path, engine, fetch=fetch) as place:
        run = await place.bundle.run(graph)
        if ending is None:
            await hold.reached.wait()
            await place.bundle.cancel.cancel(place.bundle.caller, run.id)
        await place.ended(run.id)
        await place.drain()
    assert fetch.pinned == []
    assert {file.filename for file in engine.removed} >= {"0000.png", "0001.png"}


async def test_an_engine_that_dies_while_a_file_is_given_to_it_is_not_the_runs_fault(tmp_path: Path) -> None:
    class Dying(ShelfEngine):
        deaths = 0

        async def upload(self, name: str, content: ByteStream, *, subfolder: str = "") -> str:
            if not self.deaths:
                self.deaths += 1
                raise EngineLost("The engine died.")
            return await super().upload(name, content, subfolder=subfolder)

    engine = Dying(finished, object_info={"LoadImage": {}})
    async with shop(tmp_path, engine, fetch=FolderFetch(tmp_path, FILES)) as place:
        run = await place.bundle.run({"1": {"class_type": "LoadImage", "inputs": {"image": f"{HOST}/a.png"}}})
        ended = await place.ended(run.id)
    assert (ended.status, ended.attempts) == ("success", 1)


class SlowModel(FolderFetch):
    """A model that comes in pieces for longer than a run may take to start, or stops coming."""

    def __init__(self, folder: Path, pieces: int) -> None:
        super().__init__(folder, FILES)
        self.pieces = pieces

    @asynccontextmanager
    async def fetch(self, url: str, **wishes: Any) -> AsyncIterator[Fetched]:
        """Piece after piece."""
        for piece in range(self.pieces):
            await asyncio.sleep(0.1)
            wishes["on_bytes"](piece, None)
        if self.pieces < PIECES:
            await asyncio.Event().wait()
        async with super().fetch(url, **wishes) as fetched:
            yield fetched


PIECES = 10


@pytest.mark.parametrize(("pieces", "status", "error"), [(PIECES, "success", None), (2, "timeout", "start_timeout")])
async def test_the_clock_for_starting_waits_for_a_model_that_keeps_arriving(
    tmp_path: Path, pieces: int, status: str, error: str | None
) -> None:
    engine = ShelfEngine(finished, object_info={"LoraLoader": {}})
    async with shop(tmp_path, engine, fetch=SlowModel(tmp_path, pieces), clocks=Clocks(0, 0.5, 0, 0)) as place:
        run = await place.bundle.run({"1": {"class_type": "LoraLoader", "inputs": {"lora_name": LORA}}})
        ended = await place.ended(run.id)
        assert (ended.status, ended.error and ended.error["code"]) == (status, error)
