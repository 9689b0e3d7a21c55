import numpy as np
import pytest

from comfyserve.embedded.context import NodeContext
from comfyserve.embedded.nodes import geometry
from comfyserve.embedded.pixels.arrays import Image


def gradient(width: int, height: int, channels: int = 3, batch: int = 1) -> Image:
    """Every sample its own value."""
    count = batch * height * width * channels
    samples = np.arange(count, dtype=np.float32) / np.float32(count)
    return samples.reshape(batch, height, width, channels)


@pytest.mark.parametrize(
    ("asked", "size"),
    [((0, 0), (30, 20)), ((15, 0), (15, 10)), ((0, 7), (10, 7)), ((1, 0), (1, 1)), ((5, 9), (5, 9))],
)
def test_a_side_of_zero_follows_the_other(asked: tuple[int, int], size: tuple[int, int]) -> None:
    scaled = geometry.scale(gradient(30, 20), "area", *asked, "disabled")
    assert scaled.shape == (1, size[1], size[0], 3)


def test_scale_by_rounds_half_to_even() -> None:
    assert geometry.scale_by(gradient(5, 3), "bilinear", 0.5).shape[1:3] == (2, 2)


def test_scaling_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        geometry.scale_by(gradient(10, 10), "bilinear", 0.01)
    with pytest.raises(ValueError, match="at least one pixel"):
        geometry.scale_to_max_dimension(gradient(10, 10), "area", 0)


def test_total_pixels_and_the_longer_side_keep_the_aspect_ratio() -> None:
    assert geometry.scale_to_total_pixels(gradient(40, 10), "area", 0.01).shape[1:3] == (51, 205)
    assert geometry.scale_to_max_dimension(gradient(40, 10), "area", 20).shape[1:3] == (5, 20)
    assert geometry.scale_to_max_dimension(gradient(10, 40), "area", 20).shape[1:3] == (20, 5)
    assert geometry.scale_to_max_dimension(gradient(10, 10), "area", 20).shape[1:3] == (20, 20)


@pytest.mark.parametrize(
    ("size", "chosen"), [((10, 10), (1024, 1024)), ((10, 30), (672, 1568)), ((16, 9), (1392, 752))]
)
def test_kontext_sizes_are_chosen_by_aspect_ratio(size: tuple[int, int], chosen: tuple[int, int]) -> None:
    assert geometry.scale_for_kontext(gradient(*size)).shape[1:3] == (chosen[1], chosen[0])


def test_a_crop_stays_inside() -> None:
    image = gradient(10, 8)
    assert geometry.crop(image, 4, 3, 2, 1).tolist() == image[:, 1:4, 2:6].tolist()
    assert geometry.crop(image, 4, 3, 8, 7).shape == (1, 1, 2, 3)
    assert geometry.crop(image, 4, 3, 500, 500).tolist() == image[:, 7:, 9:].tolist()


def test_padding_is_gray_and_masked() -> None:
    padded, mask = geometry.pad_for_outpaint(gradient(10, 8, batch=2), 1, 2, 3, 4, 0)
    assert padded.shape == (2, 14, 14, 3)
    assert mask.shape == (1, 14, 14)
    assert padded[0, 0, 0].tolist() == [0.5, 0.5, 0.5]
    assert mask.sum() == 14 * 14 - 80


def test_feathering_falls_off_only_towards_borders() -> None:
    _, mask = geometry.pad_for_outpaint(gradient(10, 10), 2, 0, 0, 0, 4)
    assert mask[0, 5].tolist() == pytest.approx([1, 1, 1, 9 / 16, 4 / 16, 1 / 16, 0, 0, 0, 0, 0, 0])


def test_too_much_feathering_is_ignored() -> None:
    _, mask = geometry.pad_for_outpaint(gradient(10, 10), 2, 0, 0, 0, 5)
    assert mask.sum() == 20


def test_padding_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        geometry.pad_for_outpaint(gradient(10, 10, batch=9), 16384, 16384, 16384, 16384, 0)


def test_resize_and_pad_centres_the_whole_picture() -> None:
    image = np.full((1, 10, 20, 3), 0.5, np.float32)
    padded = geometry.resize_and_pad(image, 20, 15, "white", "area")
    assert padded[0, :, 0, 0].tolist() == [1, 1] + [0.5] * 10 + [1, 1, 1]


@pytest.mark.parametrize(("turn", "first"), [("none", 0), ("90 degrees", 2), ("180 degrees", 3), ("270 degrees", 1)])
def test_turns_are_clockwise(turn: str, first: int) -> None:
    square = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    assert geometry.rotate(square, turn)[0, 0, 0, 0] == first


def test_flips() -> None:
    square = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
    assert geometry.flip(square, "x-axis: vertically").ravel().tolist() == [2, 3, 0, 1]
    assert geometry.flip(square, "y-axis: horizontally").ravel().tolist() == [1, 0, 3, 2]


def test_the_size_is_told_and_shown(context: NodeContext) -> None:
    assert geometry.get_image_size(gradient(5, 4, batch=3)) == (5, 4, 3)
    assert context.reporter.texts == ["width: 5, height: 4\n batch size: 3"]  # type: ignore[attr-defined]  # is Heard


def test_stitching_needs_no_second_picture() -> None:
    image = gradient(4, 4)
    assert geometry.stitch(image, "right", True, 8, "red") is image


@pytest.mark.parametrize(
    ("direction", "shape"), [("right", (8, 16)), ("left", (8, 16)), ("down", (12, 8)), ("up", (12, 8))]
)
def test_a_matched_second_picture_gets_the_common_side(direction: str, shape: tuple[int, int]) -> None:
    stitched = geometry.stitch(gradient(8, 8), direction, True, 0, "white", gradient(4, 2))
    assert stitched.shape[1:3] == ((8, 24) if direction in ("right", "left") else shape)


def test_stitching_equalises_batches_and_channels() -> None:
    first, second = gradient(4, 4, 3, batch=1), gradient(4, 4, 4, batch=3)
    stitched = geometry.stitch(first, "left", False, 3, "red", second)
    assert stitched.shape == (3, 4, 12, 4)
    assert stitched[0, 0, 4].tolist() == [1, 0, 0, 1]
    assert (stitched[2, :, :4] == second[2]).all()
    assert (stitched[2, :, 8:, :3] == first[0]).all()
    assert (stitched[..., 8:, 3] == 1).all()


def test_unmatched_pictures_are_centred() -> None:
    stitched = geometry.stitch(np.full((1, 4, 2, 3), 0.5, np.float32), "right", False, 0, "black", gradient(1, 1) + 0.5)
    assert stitched.shape == (1, 4, 3, 3)
    assert (stitched[0, :, 2, 0] > 0).tolist() == [False, True, False, False]
