import numpy as np
import pytest

from comfyserve.embedded.pixels.arrays import Image, to_bytes
from comfyserve.embedded.pixels.resample import METHODS, crop_to_aspect, upscale, upscale_mask


def row(*values: float) -> Image:
    return np.repeat(np.array(values, np.float32).reshape(1, 1, -1, 1), 3, axis=-1)


def resized(image: Image, width: int, method: str) -> list[float]:
    return [round(float(value), 4) for value in upscale(image, width, 1, method)[0, 0, :, 0]]


# Bicubic has torch's float32 coefficients, which lose a level now and then in the original, too.
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"bicubic"}))
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (40, 5), (129, 64)])
def test_a_flat_colour_stays_that_colour(method: str, size: tuple[int, int]) -> None:
    for level in (1, 77, 128, 200, 255):
        flat = np.full((1, 11, 13, 3), np.float32(level) / np.float32(255), np.float32)
        result = upscale(flat, *size, method)
        assert result.shape == (1, size[1], size[0], 3)
        assert result.dtype == np.float32
        assert (to_bytes(result) == level).all()


def test_nearest_exact_takes_the_middle() -> None:
    assert resized(row(0, 1, 2, 3, 4), 2, "nearest-exact") == [1, 3]
    assert resized(row(0, 1), 4, "nearest-exact") == [0, 0, 1, 1]


def test_bilinear_has_two_taps_even_when_shrinking() -> None:
    assert resized(row(0, 1), 4, "bilinear") == [0, 0.25, 0.75, 1]
    assert resized(row(1, 0, 0, 1, 1, 0, 0, 1), 2, "bilinear") == [0, 0]


def test_area_is_the_mean_of_what_a_pixel_covers() -> None:
    assert resized(row(0, 1, 2, 3), 2, "area") == [0.5, 2.5]
    assert resized(row(0, 3, 6), 2, "area") == [1.5, 4.5]
    assert resized(row(0, 1), 3, "area") == [0, 0.5, 1]


def test_bicubic_overshoots_and_is_not_clamped() -> None:
    assert max(resized(row(0, 0, 1, 1), 9, "bicubic")) > 1
    assert min(resized(row(0, 0, 1, 1), 9, "bicubic")) < 0


def test_the_same_size_is_the_same_picture_except_for_lanczos_bytes() -> None:
    image = row(0.1234, 0.5, 1.7)
    for method in set(METHODS) - {"lanczos"}:
        assert upscale(image, 3, 1, method) is image
    assert resized(image, 3, "lanczos") == [round(31 / 255, 4), round(127 / 255, 4), 1]


@pytest.mark.parametrize("channels", [1, 2])
def test_lanczos_needs_three_or_four_channels(channels: int) -> None:
    with pytest.raises(ValueError, match="lanczos"):
        upscale(np.zeros((1, 4, 4, channels), np.float32), 2, 2, "lanczos")


def test_the_centre_cut_is_symmetric_and_rounds_half_to_even() -> None:
    assert crop_to_aspect(np.zeros((1, 10, 15, 3), np.float32), 10, 10).shape == (1, 10, 11, 3)
    assert crop_to_aspect(np.zeros((1, 17, 10, 3), np.float32), 10, 10).shape == (1, 9, 10, 3)
    assert crop_to_aspect(np.zeros((1, 10, 10, 3), np.float32), 5, 5).shape == (1, 10, 10, 3)


@pytest.mark.parametrize("size", [(0, 4), (4, 0), (-1, 4)])
def test_an_empty_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        upscale(row(0, 1), *size, "area")


def test_an_unknown_method_is_refused_with_the_list() -> None:
    with pytest.raises(ValueError, match="nearest-exact, bilinear"):
        upscale(row(0, 1), 5, 5, "bislerp")


def test_a_size_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        upscale(np.zeros((64, 1, 1, 3), np.float32), 16384, 16384, "bilinear")


def test_masks_are_resized_like_one_channel() -> None:
    mask = np.array([[0, 1]], np.float32)
    assert upscale_mask(mask, 4, 1, "bilinear").tolist() == [[[0, 0.25, 0.75, 1]]]


def test_each_picture_of_a_batch_is_resized_alone() -> None:
    batch = np.concatenate([row(0, 0), row(1, 1)])
    assert upscale(batch, 5, 2, "bicubic")[:, 1, 4, 0].tolist() == pytest.approx([0, 1])


def test_an_empty_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="no pixel to resize"):
        upscale(np.zeros((1, 0, 4, 3), np.float32), 2, 2, "bilinear")
    with pytest.raises(ValueError, match="aspect ratio"):
        upscale(np.zeros((1, 1, 1000, 3), np.float32), 1, 1000, "area", "center")
