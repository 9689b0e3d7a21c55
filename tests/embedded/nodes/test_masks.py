import numpy as np
import pytest

from comfyserve.embedded.context import Interrupted, NodeContext
from comfyserve.embedded.nodes import masks
from comfyserve.embedded.pixels.arrays import Image, Mask


def ones(*shape: int) -> Mask:
    return np.ones(shape, np.float32)


def dot(size: int = 7) -> Mask:
    mask = np.zeros((1, size, size), np.float32)
    mask[0, size // 2, size // 2] = 1
    return mask


def test_right_feather_starts_at_the_left_edge() -> None:
    feathered = masks.feather_mask(ones(1, 1, 6), 0, 0, 3, 0)
    assert feathered[0, 0].tolist() == pytest.approx([1 / 3, 1, 1, 1, 1, 2 / 3])


def test_feather_widths_are_limited_to_the_mask() -> None:
    feathered = masks.feather_mask(ones(1, 1, 4), 9, 0, 0, 0)
    assert feathered[0, 0].tolist() == [0.25, 0.5, 0.75, 1]
    assert masks.feather_mask(ones(2, 4), 0, 0, 0, 0).shape == (1, 2, 4)


def test_feathering_leaves_its_input_alone() -> None:
    mask = ones(1, 4, 4)
    masks.feather_mask(mask, 2, 2, 2, 2)
    assert mask.all()


@pytest.mark.parametrize(("tapered", "area"), [(True, 13), (False, 25)])
def test_growing_by_two_makes_a_diamond_or_a_square(context: NodeContext, tapered: bool, area: int) -> None:
    assert masks.grow_mask(dot(), 2, tapered).sum() == area


def test_shrinking_is_growing_of_the_rest(context: NodeContext) -> None:
    assert (masks.grow_mask(1 - dot(), -2, True) == 1 - masks.grow_mask(dot(), 2, True)).all()
    assert masks.grow_mask(ones(1, 4, 4), -3, False).all()


def test_growing_far_ends_when_nothing_changes_and_can_be_interrupted(context: NodeContext) -> None:
    assert masks.grow_mask(dot(), 16384, True).all()
    context.interrupt.set()
    with pytest.raises(Interrupted):
        masks.grow_mask(dot(), 1, True)


def test_a_crop_of_a_mask_may_be_empty() -> None:
    assert masks.crop_mask(ones(4, 4), 2, 1, 10, 2).shape == (1, 2, 2)
    assert masks.crop_mask(ones(4, 4), 9, 9, 10, 2).size == 0


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("multiply", 0.3), ("add", 1), ("subtract", 0.1), ("and", 1), ("or", 1), ("xor", 0)],
)
def test_mask_operations(operation: str, expected: float) -> None:
    a, b = ones(1, 1, 1) * np.float32(0.6), ones(1, 1, 1) * np.float32(0.51 if operation != "multiply" else 0.5)
    if operation == "subtract":
        b = ones(1, 1, 1) * np.float32(0.5)
    assert masks.composite_masks(a, b, 0, 0, operation)[0, 0, 0] == pytest.approx(expected)


def test_a_mask_outside_changes_nothing() -> None:
    assert (masks.composite_masks(ones(1, 3, 3), ones(1, 2, 2), 9, 9, "subtract") == 1).all()
    result = masks.composite_masks(ones(2, 3, 3), ones(1, 2, 2), 2, 2, "subtract")
    assert result.sum() == 16


def test_a_missing_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="no alpha"):
        masks.image_to_mask(ones(1, 2, 2, 3), "alpha")


def test_a_colour_is_matched_exactly() -> None:
    image = np.array([[[[204 / 255, 51 / 255, 0], [204 / 255, 52 / 255, 0], [1.7, -1, 0]]]], np.float32)
    assert masks.image_color_to_mask(image, 0xCC3300)[0, 0].tolist() == [1, 0, 0]
    assert masks.image_color_to_mask(image, 0xFF0000)[0, 0].tolist() == [0, 0, 1]


def test_the_threshold_itself_is_below() -> None:
    assert masks.threshold_mask(np.array([[[0.3, 0.30001]]], np.float32), 0.3)[0, 0].tolist() == [0, 1]


def test_small_ones() -> None:
    assert masks.solid_mask(0.25, 3, 2).shape == (1, 2, 3)
    assert masks.invert_mask(ones(1, 1, 1) * np.float32(0.25))[0, 0, 0] == 0.75
    assert masks.mask_to_image(ones(3, 2)).shape == (1, 3, 2, 3)


def red(width: int, height: int, batch: int = 1, channels: int = 3) -> Image:
    image = np.zeros((batch, height, width, channels), np.float32)
    image[..., 0] = 1
    return image


def test_pasting_is_cut_at_the_edges() -> None:
    black = np.zeros((1, 4, 6, 3), np.float32)
    pasted = masks.composite_masked(black, red(4, 4), 4, 2, False)
    assert pasted[..., 0].sum() == 4
    assert not black.any()
    assert not masks.composite_masked(black, red(4, 4), 100, 100, False).any()


def test_a_linked_negative_place_shows_the_rest() -> None:
    source = red(4, 4)
    source[:, :2] = 0
    pasted = masks.composite_masked(np.zeros((1, 6, 6, 3), np.float32), source, -1, -2, False)
    assert pasted[0, :, :, 0].sum() == 6
    assert not masks.composite_masked(np.zeros((1, 6, 6, 3), np.float32), source, -9, 0, False).any()


def test_batches_and_masks_are_repeated_to_the_destination() -> None:
    mask = np.zeros((1, 2, 2), np.float32)
    mask[0, :, 0] = 1
    pasted = masks.composite_masked(np.zeros((3, 4, 4, 3), np.float32), red(2, 2), 0, 0, True, mask)
    assert pasted.shape == (3, 4, 4, 3)
    assert pasted[2, 0, :, 0].tolist() == pytest.approx([1, 0.75, 0.25, 0])


def test_channels_must_fit() -> None:
    assert masks.composite_masked(red(2, 2), red(2, 2, channels=4), 0, 0, False).shape == (1, 2, 2, 3)
    with pytest.raises(ValueError, match="channels"):
        masks.composite_masked(red(2, 2, channels=4), red(2, 2), 0, 0, False)


def test_batches_of_masks_must_fit() -> None:
    assert masks.composite_masks(ones(3, 2, 2), ones(1, 2, 2), 0, 0, "subtract").shape == (3, 2, 2)
    with pytest.raises(ValueError, match="2 masks cannot lie over 3"):
        masks.composite_masks(ones(3, 2, 2), ones(2, 2, 2), 0, 0, "add")
