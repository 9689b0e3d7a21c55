"""Every Engine adapter keeps the promises of the port."""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from comfyserve.core.errors import EngineError, Place
from comfyserve.core.outputs import EngineFile, NodeOutput
from comfyserve.engines.launch import Launch, embedded, free_port
from comfyserve.engines.process import ProcessEngine
from comfyserve.engines.remote import RemoteEngine
from comfyserve.ports import Engine, NodeFinished, NodeStarted, Outcome, Preview, Progress, Started, Warned
from comfyserve.testing import Hold, ScriptedEngine, Step
from tests.ports.engine_suite import EngineSuite, Graphs, one, run

pytestmark = pytest.mark.asyncio(loop_scope="module")


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


EMPTY = node("EmptyImage", width=16, height=16, batch_size=1, color=7)
SAVE = node("SaveImage", images=["1", 0], filename_prefix="suite")
BLEND = node("ImageBlend", image1=["1", 0], image2=["1", 0], blend_factor=0.5, blend_mode="none of them")
SAMPLE = {
    "1": node("CheckpointLoaderSimple", ckpt_name="simulated-sd15.safetensors"),
    "2": node("CLIPTextEncode", text="a cat", clip=["1", 1]),
    "3": node("EmptyLatentImage", width=64, height=64, batch_size=1),
    "4": node(
        "KSampler",
        model=["1", 0],
        positive=["2", 0],
        negative=["2", 0],
        latent_image=["3", 0],
        seed=1,
        steps=10_000,
        cfg=5.0,
        sampler_name="euler",
        scheduler="normal",
        denoise=1.0,
    ),
    "5": node("VAEDecode", samples=["4", 0], vae=["1", 2]),
    "6": node("SaveImage", images=["5", 0], filename_prefix="suite"),
}
GRAPHS = Graphs(
    good={"1": EMPTY, "2": SAVE},
    saves="2",
    refused={"1": EMPTY, "2": SAVE | {"inputs": {"filename_prefix": "x"}}},
    refused_node="2",
    raising={"1": EMPTY, "2": BLEND, "3": SAVE | {"inputs": {"images": ["2", 0], "filename_prefix": "x"}}},
    raising_node="2",
    endless=SAMPLE,
    kinds={
        "1": EMPTY,
        "2": node("SaveImage", images=["1", 0], filename_prefix="suite/sub/saved"),
        "3": node("PreviewImage", images=["1", 0]),
        "4": node("PreviewAny", source="seven"),
    },
    half={"1": EMPTY, "2": SAVE, "3": SAVE | {"inputs": {"filename_prefix": "x"}}},
)


COLOURS = count(1000)


@pytest.fixture
def graphs() -> Graphs:
    """With a colour of its own, so that nothing comes from the engine's cache."""
    return replace(GRAPHS, good={"1": EMPTY | {"inputs": EMPTY["inputs"] | {"color": next(COLOURS)}}, "2": SAVE})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProcessEngine]:
    """The embedded engine as a process of ours."""
    made = ProcessEngine(embedded(tmp_path_factory.mktemp("engine"), "--step-ms", "20"))
    await made.ready()
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def remote(process: ProcessEngine) -> AsyncIterator[RemoteEngine]:
    """The same engine, seen as one at a URL."""
    assert process.url is not None
    made = RemoteEngine(process.url)
    await made.ready()
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wrapped(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProcessEngine]:
    """The embedded engine behind a start script of its own."""
    line = f"{sys.executable} -m comfyserve.embedded --port $COMFYUI_PORT_HOST --base-directory $BASE --step-ms 20"
    made = ProcessEngine(
        Launch(
            ("sh", "-c", f"{line} & exit 0"),
            env={"BASE": str(tmp_path_factory.mktemp("wrapped"))},
            port=free_port("127.0.0.1"),
        )
    )
    await made.ready()
    yield made
    await made.close()


class TestEmbeddedProcess(EngineSuite):
    @pytest.fixture
    def engine(self, process: ProcessEngine) -> Engine:
        return process

    async def test_forget_removes_the_files_of_a_run(self, process: ProcessEngine) -> None:
        prompt_id, events = await run(process, GRAPHS.good)
        assert isinstance(events[-1], Outcome) and process.launch.folders is not None
        files = [output.file for output in events[-1].outputs if output.file]
        path = process.launch.folders.root("output") / files[0].filename
        assert path.exists()
        await process.forget([prompt_id], files)
        assert not path.exists()


class TestWrapped(EngineSuite):
    """Behind a start script that does not say where the port belongs and leaves the engine in the background."""

    @pytest.fixture
    def engine(self, wrapped: ProcessEngine) -> Engine:
        return wrapped

    async def test_a_model_of_ours_is_among_its_choices(self, process: ProcessEngine, tmp_path: Path) -> None:
        path = tmp_path / "key-of-the-cache.safetensors"
        path.write_bytes(b"weights")
        for _ in range(2):
            offered = await process.add_model("loras", path.name, path)
        assert offered.link is not None and offered.link.readlink() == path
        assert path.name in (await process.model_folders())["loras"]
        loader = (await process.object_info())["LoraLoader"]
        assert path.name in loader["input"]["required"]["lora_name"][0]

    async def test_an_input_has_a_path(self, process: ProcessEngine) -> None:
        stored = await process.upload("path.png", one(b"\x89PNG"), subfolder="comfyserve")
        assert process.launch.folders is not None
        assert process.input_path(stored) == str(
            process.launch.folders.find(EngineFile("path.png", "comfyserve", "input"))
        )
        assert process.input_path("../../x") is None

    async def test_an_input_may_be_larger_than_an_engine_alone_takes(self, process: ProcessEngine) -> None:
        async def much() -> AsyncIterator[bytes]:
            for _ in range(101):
                yield bytes(1024 * 1024)

        file, folders = EngineFile("large.bin", "comfyserve", "input"), process.launch.folders
        assert folders is not None
        await process.upload(file.filename, much(), subfolder=file.subfolder)
        found = folders.find(file)
        assert found is not None and found.stat().st_size == 101 * 1024 * 1024
        await process.forget([], [file])
        assert not found.exists()


class TestRemote(EngineSuite):
    @pytest.fixture
    def engine(self, remote: RemoteEngine) -> Engine:
        return remote

    async def test_models_cannot_be_brought_to_an_engine_elsewhere(self, remote: RemoteEngine, tmp_path: Path) -> None:
        with pytest.raises(EngineError, match="COMFYSERVE_COMFY_MODELS"):
            await remote.add_model("loras", "x.safetensors", tmp_path / "x.safetensors")
        assert remote.input_path("x.png") is None

    async def test_models_go_to_a_folder_that_is_mounted(self, process: ProcessEngine, tmp_path: Path) -> None:
        assert process.url is not None and process.launch.folders is not None
        path = tmp_path / "mounted.safetensors"
        path.write_bytes(b"weights")
        engine = RemoteEngine(process.url, models=process.launch.folders.root("models"))
        try:
            offered = await engine.add_model("loras", path.name, path)
            assert offered.link is not None and path.name in (await engine.model_folders())["loras"]
        finally:
            await engine.close()


class TestScripted(EngineSuite):
    """The stand-in for tests."""

    FILE = EngineFile("suite_00001_.png")
    KINDS = (
        NodeOutput("2", "images", 0, EngineFile("saved.png", "suite/sub")),
        NodeOutput("3", "images", 0, EngineFile("preview.png", type="temp")),
        NodeOutput("4", "text", 0, value="seven"),
    )

    @pytest.fixture
    def engine(self) -> Engine:
        engine = ScriptedEngine(lambda _, graph: self.script(graph), object_info={"SaveImage": {}})
        for file in (self.FILE, *(output.file for output in self.KINDS if output.file)):
            engine.content[file] = b"\x89PNG..."
        return engine

    def script(self, graph: Mapping[str, Any]) -> Sequence[Step]:
        if graph == GRAPHS.refused:
            return [EngineError("The engine refuses the graph. Node 2.", place=Place(node_id="2"))]
        if graph == GRAPHS.raising:
            details = {"exception_type": "ValueError"}
            error = EngineError("Node 2 failed.", place=Place(node_id="2"), details=details)
            return [Started(), NodeStarted("2"), Outcome("error", error=error.as_dict())]
        if graph == GRAPHS.endless:
            return [
                Started(),
                NodeStarted("4"),
                Progress("4", 1, 9),
                Preview(b"jpeg", "image/jpeg", "4"),
                Progress("4", 2, 9),
                Hold(),
            ]
        if graph == GRAPHS.kinds:
            return [Started(), NodeFinished("2", self.KINDS)]
        output = NodeOutput("2", "images", 0, self.FILE)
        if graph == GRAPHS.half:
            return [Warned("Node 3 is not valid."), Started(), NodeFinished("2", (output,))]
        return [Started(), NodeStarted("1"), NodeStarted("2"), NodeFinished("2", (output,))]
