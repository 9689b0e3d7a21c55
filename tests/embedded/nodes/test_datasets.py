import numpy as np
import pytest
from PIL import Image as Pillow

from comfyserve.embedded.context import NodeContext
from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS
from comfyserve.embedded.nodes.datasets import load_folder


@pytest.fixture
def folder(context: NodeContext) -> str:
    made = context.folders.input / "set"
    made.mkdir()
    Pillow.new("RGB", (6, 4), (255, 0, 0)).save(made / "a.png")
    Pillow.new("RGBA", (3, 8), (0, 255, 0, 0)).save(made / "b.PNG")
    (made / "notes.txt").write_text("no picture")
    return "set"


def test_the_first_picture_gives_the_size(folder: str) -> None:
    images = load_folder(folder, "Stretch")
    assert images.shape == (2, 4, 6, 3)
    assert images[:, 0, 0].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert (load_folder(folder, "Pad") == images).all()


def test_a_cut_picture_is_black_where_it_ends(folder: str) -> None:
    cut = load_folder(folder, "Crop")[1]
    assert (cut[:, :3, 1] == 1).all()
    assert (cut[:, 3:] == 0).all()


def test_sizes_that_differ_need_a_method(folder: str) -> None:
    with pytest.raises(ValueError, match="Choose a resize_method"):
        load_folder(folder)


def test_an_empty_folder_is_an_error(context: NodeContext) -> None:
    (context.folders.input / "empty").mkdir()
    with pytest.raises(ValueError, match="no picture in 'empty'"):
        load_folder("empty")


def test_a_folder_outside_is_refused(context: NodeContext) -> None:
    with pytest.raises(ValueError, match="leaves"):
        load_folder("../output")


def test_folders_are_listed_with_those_inside(context: NodeContext, folder: str) -> None:
    (context.folders.input / "set" / "deep").mkdir()
    listed = NODE_CLASS_MAPPINGS["LoadImageSetFromFolderNode"].INPUT_TYPES()["required"]["folder"][0]
    assert listed == ["set", "set/deep"]


def test_values_are_levels(folder: str, context: NodeContext) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    (context.folders.input / "gray").mkdir()
    Pillow.fromarray(levels).save(context.folders.input / "gray" / "g.png")
    assert (np.rint(load_folder("gray")[0, ..., 0] * 255) == levels).all()
