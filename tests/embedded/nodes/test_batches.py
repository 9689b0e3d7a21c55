import numpy as np
import pytest

from comfyserve.embedded.context import NodeContext
from comfyserve.embedded.nodes import batches
from comfyserve.embedded.nodes.animation import save_apng, save_webp
from comfyserve.embedded.nodes.video import create_video, get_video_components
from comfyserve.embedded.pixels.arrays import Image


def counted(batch: int, size: int = 2, channels: int = 3) -> Image:
    """The i-th picture has the value i / 10 everywhere."""
    return np.broadcast_to(np.arange(batch, dtype=np.float32).reshape(-1, 1, 1, 1) / 10, (batch, size, size, channels))


def test_the_second_picture_is_fitted_to_the_first() -> None:
    assert batches.batch(counted(1, 4), counted(2, 9)).shape == (3, 4, 4, 3)


def test_different_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="3 and 4 channels"):
        batches.batch(counted(1), counted(1, channels=4))


def test_a_batch_is_repeated_as_a_whole() -> None:
    assert (batches.repeat(counted(2), 2)[:, 0, 0, 0] * 10).round().tolist() == [0, 1, 0, 1]
    with pytest.raises(ValueError, match="Ask for less"):
        batches.repeat(counted(100, 128), 4096)


@pytest.mark.parametrize(("index", "length", "items"), [(0, 1, [0]), (1, 9, [1, 2]), (9, 9, [2])])
def test_items_are_taken_inside_the_batch(index: int, length: int, items: list[int]) -> None:
    assert (batches.from_batch(counted(3), index, length)[:, 0, 0, 0] * 10).round().tolist() == items


def test_rebatching_regroups_the_whole_list() -> None:
    groups = batches.rebatch([counted(3), counted(2)], [2])
    assert [len(group) for group in groups] == [2, 2, 1]
    with pytest.raises(ValueError, match="different sizes"):
        batches.rebatch([counted(1, 4), counted(1, 5)], [2])
    assert [group.shape[1] for group in batches.rebatch([counted(1, 4), counted(1, 5)], [1])] == [4, 5]


def test_a_video_keeps_what_it_was_made_of() -> None:
    images, audio, fps = get_video_components(create_video(counted(3), 12.5))
    assert (images.shape[0], audio, fps) == (3, None, 12.5)


def test_animations_are_one_file_with_their_graph(context: NodeContext) -> None:
    graph = {"1": {"class_type": "EmptyImage", "inputs": {}}}
    webp = save_webp(counted(3), 8.0, "a", True, 80, "default", graph, {"workflow": {"x": 1}})
    assert webp == {
        "images": [{"filename": "a_00001_.webp", "subfolder": "", "type": "output"}],
        "animated": [True],
    }
    assert save_webp(counted(1), 8.0, "b", True, 80, "fastest")["animated"] == [False]
    assert b'workflow:{"x": 1}' in (context.folders.output / "a_00001_.webp").read_bytes()
    assert save_apng(counted(1), 8.0, 4, "c", graph)["animated"] == [True]
    assert b"comfprompt\0{" in (context.folders.output / "c_00001_.png").read_bytes()
