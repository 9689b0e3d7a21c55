import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from comfyserve.embedded.context import EngineSettings, NodeContext, activate
from comfyserve.embedded.nodes.io import (
    empty_image,
    image_digest,
    image_exists,
    load_image,
    load_image_mask,
    load_image_output,
    preview_image,
    preview_mask,
    save_image,
)

GRAPH = {
    "7": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    "1": {"class_type": "EmptyImage", "inputs": {}},
}


def pictures(count: int = 1, width: int = 3, height: int = 2) -> np.ndarray:
    return np.zeros((count, height, width, 3), np.float32)


def test_a_loaded_picture_is_saved_with_the_same_pixels(context: NodeContext) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8)
    Pillow.fromarray(noise).save(context.folders.input / "in.png")
    image, _ = load_image("in.png")
    saved = save_image(image, "out")["images"][0]
    assert saved == {"filename": "out_00001_.png", "subfolder": "", "type": "output"}
    assert (np.asarray(Pillow.open(context.folders.output / "out_00001_.png")) == noise).all()


def test_a_batch_takes_consecutive_counters_in_a_subfolder(context: NodeContext) -> None:
    names = [item["filename"] for item in save_image(pictures(3), "sub/%width%x%height%_%batch_num%")["images"]]
    assert names == ["3x2_0_00001_.png", "3x2_1_00002_.png", "3x2_2_00003_.png"]
    assert {path.name for path in (context.folders.output / "sub").iterdir()} == set(names)


def test_the_next_save_counts_on(context: NodeContext) -> None:
    save_image(pictures(2), "a")
    assert save_image(pictures(), "a")["images"][0]["filename"] == "a_00003_.png"


@pytest.mark.parametrize("prefix", ["../a", "/etc/a", "x/../../a"])
def test_a_prefix_cannot_leave_the_output_folder(context: NodeContext, prefix: str) -> None:
    with pytest.raises(ValueError):
        save_image(pictures(), prefix)
    assert list(context.folders.output.iterdir()) == []


def test_graph_and_workflow_are_written_unless_switched_off(context: NodeContext) -> None:
    extra = {"workflow": {"name": "Größe"}}
    save_image(pictures(), "a", GRAPH, extra)
    with Pillow.open(context.folders.output / "a_00001_.png") as picture:
        assert json.loads(picture.info["prompt"]) == GRAPH
        assert json.loads(picture.info["workflow"]) == extra["workflow"]
        assert set(picture.info) == {"prompt", "workflow"}
    activate(NodeContext(context.folders, node_id="7", settings=EngineSettings(disable_metadata=True)))
    save_image(pictures(), "b", GRAPH, extra)
    with Pillow.open(context.folders.output / "b_00001_.png") as picture:
        assert picture.info == {}


def test_only_what_a_simulated_node_had_a_part_in_is_marked(context: NodeContext) -> None:
    graph = {
        **GRAPH,
        "2": {"class_type": "VAEDecode", "inputs": {}},
        "8": {"class_type": "SaveImage", "inputs": {"images": ["2", 0]}},
    }
    save_image(pictures(), "real", graph)
    activate(NodeContext(context.folders, node_id="8"))
    save_image(pictures(), "made", graph)
    with Pillow.open(context.folders.output / "real_00001_.png") as picture:
        assert "simulated" not in picture.info
    with Pillow.open(context.folders.output / "made_00001_.png") as picture:
        assert picture.info["simulated"] == "true"


def test_previews_go_to_the_temp_folder_under_a_name_of_their_node(context: NodeContext) -> None:
    first = preview_image(pictures())["images"][0]
    second = preview_mask(np.ones((2, 2), np.float32))["images"][0]
    activate(NodeContext(context.folders, node_id="8"))
    other = preview_image(pictures())["images"][0]
    assert first["type"] == second["type"] == "temp"
    assert first["filename"].startswith("ComfyUI_temp_") and first["filename"].endswith("_00001_.png")
    assert second["filename"] == first["filename"].replace("00001", "00002")
    assert other["filename"][:18] != first["filename"][:18]
    with Pillow.open(context.folders.temp / second["filename"]) as picture:
        assert (picture.mode, picture.getpixel((0, 0))) == ("RGB", (255, 255, 255))


def test_only_pictures_with_four_axes_are_saved(context: NodeContext) -> None:
    with pytest.raises(ValueError, match="four axes"):
        save_image(np.zeros((2, 2, 3), np.float32), "a")


@pytest.mark.parametrize("name", ["missing.png", "../secret.png", "a.png [nowhere]", "x\0y.png", ""])
def test_a_picture_that_is_not_there_is_refused_at_validation(context: NodeContext, name: str) -> None:
    assert image_exists(name) == f"Invalid image file: {name}"


def test_the_fingerprint_follows_the_content(context: NodeContext) -> None:
    path: Path = context.folders.input / "a.png"
    path.write_bytes(b"one")
    assert image_exists("a.png") is True
    first = image_digest("a.png", channel="red")
    path.write_bytes(b"two")
    assert image_digest("a.png") != first


def test_an_annotated_name_is_read_from_its_folder(context: NodeContext) -> None:
    save_image(pictures(width=9), "a")
    assert load_image_output("a_00001_.png [output]")[0].shape == (1, 2, 9, 3)


def test_an_unknown_channel_is_refused(context: NodeContext) -> None:
    with pytest.raises(ValueError, match="alpha"):
        load_image_mask("a.png", "luma")


def test_an_empty_image_has_one_colour() -> None:
    image = empty_image(4, 3, 2, 0xFF0033)
    assert image.shape == (2, 3, 4, 3)
    assert image[1, 2, 3].tolist() == pytest.approx([1, 0, 0.2])
    assert image.flags.writeable
    with pytest.raises(ValueError, match="Ask for less"):
        empty_image(16384, 16384, 4096)
