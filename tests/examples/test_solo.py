"""The custom workflows of examples/solo: the original's fields (stateless-comfyui-api.md section 6.1), the same graphs
from Python and JSON, each run by the embedded engine."""

import io
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from comfyserve.core.errors import InvalidInput
from comfyserve.embedded.context import EngineSettings
from comfyserve.embedded.engine import build_engine
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.packs import load_catalogue
from comfyserve.embedded.simulate.model_files import well_known
from comfyserve.workflows import LoadedWorkflow, WorkflowContext, WorkflowLimits, load_workflows
from tests.embedded.conftest import Seat, serve_engine

SOLO = Path(__file__).parents[2] / "examples" / "solo"

SAMPLING: dict[str, Any] = {"seed": ("random",), "denoise": (1, 0, 1), "checkpoint": ("first",)}
RESIZE: dict[str, Any] = {
    "image": ("required",),
    "interpolation": ("nearest",),
    "resize_condition": ("always",),
}


def sampling(steps: int, cfg: float, sampler: str, scheduler: str) -> dict[str, Any]:
    return SAMPLING | {
        "prompt": ("required",),
        "steps": (steps, 1, 100),
        "cfg_scale": (cfg, 0, 20),
        "sampler_name": (sampler,),
        "scheduler": (scheduler,),
    }


def size(side: int, least: int, most: int) -> dict[str, Any]:
    return {"width": (side, least, most), "height": (side, least, most)}


REFINED = {"negative_prompt": ("text, watermark",), **size(1024, 256, 2048), **sampling(25, 8, "euler", "normal")}
FIELDS: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "sd1.5/txt2img": sampling(20, 8, "euler", "normal") | size(512, 256, 2048) | {"negative_prompt": ("",)},
    "sd1.5/img2img": sampling(15, 8, "euler", "normal")
    | size(512, 64, 2048)
    | RESIZE
    | {
        "negative_prompt": ("text, watermark",),
        "denoise": (0.8, 0, 1),
        "resize_method": ("keep proportion",),
        "multiple_of": (0, 0, None),
    },
    "sdxl/txt2img": sampling(20, 8, "euler", "normal")
    | size(1024, 256, 2048)
    | {"negative_prompt": ("text, watermark",)},
    "sdxl/img2img": sampling(20, 5.5, "dpmpp_2m_sde_gpu", "exponential")
    | size(4096, 256, 4096)
    | {
        "negative_prompt": ("",),
        "denoise": (0.75, 0, 1),
        "image": ("required",),
        "upscale_method": ("nearest-exact",),
        "target_width": (1024, 256, 4096),
        "target_height": (1024, 256, 4096),
    },
    "sdxl/txt2img-with-refiner": {name: fact for name, fact in REFINED.items() if name != "denoise"}
    | {
        "base_start_step": (0, 0, 100),
        "base_end_step": (20, 0, 100),
        "refiner_start_step": (20, 0, 100),
        "refiner_checkpoint": ("sd_xl_refiner_1.0.safetensors",),
    },
    "flux/txt2img": sampling(4, 1, "euler", "simple") | size(1024, 256, 2048),
    "flux/img2img": sampling(4, 1, "euler", "simple")
    | size(1024, 256, 2048)
    | RESIZE
    | {"denoise": (0.8, 0, 1), "resize_method": ("fill / crop",), "multiple_of": (8, None, None)},
}
"""Endpoint -> field -> its default, or one of the words required, random, first; and its bounds."""

SMALL = {"width": 256, "height": 256, "target_width": 256, "target_height": 256, "steps": 4}
PICTURE = "solo.png"

pytestmark = pytest.mark.asyncio(loop_scope="module")
Folder = Mapping[str, LoadedWorkflow]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seat]:
    folders = Folders(tmp_path_factory.mktemp("engine"), well_known())
    folders.create()
    Image.new("RGB", (320, 200), (200, 60, 20)).save(folders.base / "input" / PICTURE)
    async with serve_engine(build_engine(folders, load_catalogue(folders), None, EngineSettings(step_ms=0))) as seat:
        yield seat


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(engine: Seat) -> AsyncIterator[tuple[Folder, Folder]]:
    """The Python files and the JSON files, by their paths."""

    async def catalogue() -> Any:
        return (await engine.call("GET", "/object_info"))[1]

    async def models() -> Any:
        return {"checkpoints": (await engine.call("GET", "/models/checkpoints"))[1]}

    context = WorkflowContext(catalogue=catalogue, models=models)
    folders = [await load_workflows(SOLO / kind, context, WorkflowLimits()) for kind in ("python", "json")]
    assert [dict(folder.unreadable) for folder in folders] == [{}, {}]
    python, mapped = ({one.path: one for one in folder.endpoints} for folder in folders)
    yield python, mapped
    for folder in folders:
        await folder.close()


def given(name: str, **fields: Any) -> dict[str, Any]:
    """The least input of an endpoint."""
    required = {"prompt": "a red cap", "image": PICTURE}
    return {field: required[field] for field, (first, *_) in FIELDS[name].items() if first == "required"} | fields


async def test_the_endpoints_are_those_of_the_original(both: tuple[Folder, Folder]) -> None:
    for folder in both:
        assert folder.keys() == FIELDS.keys()


@pytest.mark.parametrize("name", FIELDS)
async def test_fields_defaults_and_bounds_are_those_of_the_original(both: tuple[Folder, Folder], name: str) -> None:
    for folder in both:
        workflow = folder[name]
        assert workflow.input_schema["properties"].keys() == FIELDS[name].keys()
        parsed = await workflow.read(given(name))
        for field, (default, *bounds) in FIELDS[name].items():
            if default not in ("required", "random", "first"):
                assert parsed[field] == default, field
            ends = [(bound, beyond) for bound, beyond in zip(bounds, (-1, 1), strict=False) if bound is not None]
            for bound, beyond in ends:
                assert (await workflow.read(given(name, **{field: bound})))[field] == bound
                assert await _refused_at(workflow, given(name, **{field: bound + beyond})) == f"input.{field}"


async def _refused_at(workflow: LoadedWorkflow, given: Mapping[str, Any]) -> str | None:
    with pytest.raises(InvalidInput) as raised:
        await workflow.read(given)
    return raised.value.place.field


@pytest.mark.parametrize("name", FIELDS)
async def test_a_seed_is_drawn_and_a_checkpoint_is_found(both: tuple[Folder, Folder], name: str, engine: Seat) -> None:
    first = (await engine.call("GET", "/models/checkpoints"))[1][0]
    for folder in both:
        drawn = [(await folder[name].read(given(name)))["seed"] for _ in range(2)]
        assert drawn[0] != drawn[1]
        parsed = await folder[name].read(given(name))
        graph = await folder[name].graph(parsed)
        assert graph["1"]["inputs"]["ckpt_name"] == parsed["checkpoint"] == first
        with pytest.raises(InvalidInput):
            await folder[name].read(given(name, checkpoint="nobody.safetensors"))


@pytest.mark.parametrize("name", FIELDS)
async def test_python_and_json_make_the_same_graph_and_it_runs(
    both: tuple[Folder, Folder], name: str, engine: Seat
) -> None:
    small = {field: value for field, value in SMALL.items() if field in FIELDS[name]}
    python, mapped = [
        await folder[name].graph(await folder[name].read(given(name, seed=7, **small))) for folder in both
    ]
    assert python == mapped
    _, record = await engine.run(dict(python))
    assert record["status"]["status_str"] == "success", record["status"]["messages"][-1]
    (output,) = record["outputs"].values()
    place = {key: output["images"][0][key] for key in ("filename", "subfolder", "type")}
    _, body = await engine.call("GET", "/view", params=place)
    picture = Image.open(io.BytesIO(body))
    assert picture.info["simulated"] == "true"
    assert max(picture.size) == 256
