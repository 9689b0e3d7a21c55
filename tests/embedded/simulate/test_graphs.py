"""The usual graphs of each family run unchanged, and their results are marked as simulated."""

import io
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from PIL import Image

from comfyserve.embedded.graph.graph_view import Graph
from tests.embedded.conftest import Seat
from tests.embedded.simulate import drafts
from tests.embedded.simulate.drafts import CLIPS, PICTURES


async def pictures(engine: Seat, graph: Graph) -> list[np.ndarray[Any, Any]]:
    """What the graph saves; it must run to its end and be marked."""
    _, record = await engine.run(graph)
    assert record["status"]["status_str"] == "success", record["status"]["messages"][-1]
    (output,) = record["outputs"].values()
    assert output["simulated"] == [True]
    found = []
    for image in output["images"]:
        status, body = await engine.call("GET", "/view", params=image)
        assert status == 200
        saved = Image.open(io.BytesIO(body))
        assert saved.info["simulated"] == "true"
        found.append(np.asarray(saved, np.int16))
    return found


def distance(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    return float(np.abs(first - second).mean())


@pytest.mark.parametrize(("draft", "side"), PICTURES.values(), ids=PICTURES)
async def test_a_graph_of_pictures_runs(engine: Seat, draft: Callable[[], Graph], side: int) -> None:
    (made,) = await pictures(engine, draft())
    assert made.shape == (side, side, 3)
    assert made.std() > 5


@pytest.mark.parametrize(("draft", "frames"), CLIPS.values(), ids=CLIPS)
async def test_a_graph_of_clips_runs_and_moves_smoothly(engine: Seat, draft: Callable[[], Graph], frames: int) -> None:
    made = await pictures(engine, draft())
    assert len(made) == frames
    steps = [distance(*pair) for pair in pairwise(made)]
    assert distance(made[0], made[-1]) > 1
    assert max(steps) < 20


@pytest.mark.parametrize("name", ["wan image to video", "ltxv image to video", "svd"])
async def test_a_clip_starts_with_the_picture_given(engine: Seat, name: str) -> None:
    made = await pictures(engine, CLIPS[name][0]())
    assert abs(made[0][64, 64] - (0xE0, 0x20, 0x20)).max() <= 2
    assert abs(made[0][4, 4] - 0x80).max() <= 2


async def test_a_refiner_keeps_the_composition_and_takes_the_noise_away(engine: Seat) -> None:
    graph = drafts.sdxl_refiner()
    (refined,) = await pictures(engine, graph)
    graph[list(graph)[-2]]["inputs"]["samples"][0] = next(
        number for number, node in graph.items() if node["class_type"] == "KSamplerAdvanced"
    )
    (noisy,) = await pictures(engine, graph)
    (plain,) = await pictures(engine, drafts.sd15())
    assert distance(refined, plain) < 12
    assert distance(noisy, refined) > 3
    assert noisy[:24, :24].std(axis=(0, 1)).min() > 1.3 * refined[:24, :24].std(axis=(0, 1)).max()


async def test_a_second_pass_at_twice_the_size_keeps_the_composition(engine: Seat) -> None:
    (large,) = await pictures(engine, drafts.hires_fix())
    (small,) = await pictures(engine, drafts.sd15())
    assert distance(large.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3)), small) < 8


async def test_a_control_shows_by_its_strength(engine: Seat) -> None:
    async def made(strength: float) -> np.ndarray[Any, Any]:
        graph = drafts.controlnet()
        next(n for n in graph.values() if n["class_type"] == "ControlNetApplyAdvanced")["inputs"]["strength"] = strength
        return (await pictures(engine, graph))[0]

    without, weak, full = await made(0.0), await made(0.4), await made(1.0)
    (plain,) = await pictures(engine, drafts.sd15())
    assert distance(without, plain) == 0
    assert 0.5 < distance(weak, plain) < distance(full, plain)
    # The square's outline, two pixels wide, is where the result differs most.
    outline = np.abs(full - plain).sum(axis=-1)[30:34, 40:88]
    assert outline.max(axis=0).mean() > 60


async def test_a_lora_changes_the_picture_visibly_and_by_its_strength(engine: Seat) -> None:
    async def made(strength: float) -> np.ndarray[Any, Any]:
        graph = drafts.lora()
        loader = next(n for n in graph.values() if n["class_type"] == "LoraLoader")["inputs"]
        loader["strength_model"] = strength
        return (await pictures(engine, graph))[0]

    without, weak, full = await made(0.0), await made(0.4), await made(1.0)
    assert distance(without, full) > distance(without, weak) > 2


async def test_a_reference_is_edited_not_replaced(engine: Seat) -> None:
    (edited,) = await pictures(engine, drafts.flux(kontext=True))
    middle, edge = edited[512, 512].mean(), edited[40, 40].mean()
    assert abs(middle - edge) > 15
    assert edited[300:700, 300:700].std(axis=(0, 1)).max() < 12


async def test_a_box_holds_its_subject(engine: Seat) -> None:
    (placed,) = await pictures(engine, drafts.gligen())
    yellow = (placed[..., 0] > 150) & (placed[..., 2] < 110)
    assert yellow[40:88, 40:88].mean() > 0.15
    assert yellow[:24].mean() < 0.02


@pytest.mark.parametrize("name", ["sd15", "flux", "lora", "controlnet"])
async def test_the_same_graph_gives_the_same_bytes(engine: Seat, name: str) -> None:
    first = await pictures(engine, PICTURES[name][0]())
    graph = PICTURES[name][0]()
    graph[list(graph)[-1]]["inputs"]["filename_prefix"] = "again"
    assert np.array_equal(first, await pictures(engine, graph))


@pytest.mark.parametrize("class_type", ["CheckpointSave", "VAEDecodeHunyuan3D", "TrainLoraNode"])
async def test_what_cannot_be_simulated_says_so_in_the_catalogue(engine: Seat, class_type: str) -> None:
    _, info = await engine.call("GET", f"/object_info/{class_type}")
    assert info[class_type]["simulated"] is True


async def test_saving_weights_is_refused_when_it_runs(engine: Seat) -> None:
    draft = drafts.Draft()
    model, clip, vae = draft.add("CheckpointLoaderSimple", 3, ckpt_name="v1-5-pruned-emaonly.safetensors")
    draft.add("CheckpointSave", model=model, clip=clip, vae=vae, filename_prefix="t")
    _, record = await engine.run(draft.graph)
    error = next(data for kind, data in record["status"]["messages"] if kind == "execution_error")
    assert error["exception_message"].startswith("The embedded engine has no model weights")
