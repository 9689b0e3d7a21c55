"""What a comparison with the real nodes over awkward pictures and parameters brought to light, one case each."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS

pytestmark = pytest.mark.usefixtures("context")


def run(name: str, **inputs: Any) -> Any:
    result = NODE_CLASS_MAPPINGS[name].run(**inputs)
    return result[0] if len(result) == 1 else result


def picture(channels: int, *, height: int = 6, width: int = 8, count: int = 1, value: float = 0.5) -> np.ndarray:
    return np.full((count, height, width, channels), value, np.float32)


def test_a_gray_picture_blends_into_a_colour_one_which_gains_alpha() -> None:
    blended = run("ImageBlend", image1=picture(3), image2=picture(1), blend_factor=0.5, blend_mode="multiply")
    assert blended.shape == (1, 6, 8, 4)
    assert_allclose(blended[0, 0, 0], [0.375, 0.375, 0.375, 0.75])


def test_batches_that_do_not_fit_are_not_blended() -> None:
    with pytest.raises(ValueError, match="2, 3"):
        run("ImageBlend", image1=picture(3, count=2), image2=picture(3, count=3), blend_factor=1.0, blend_mode="normal")


def test_the_border_of_a_stitched_picture_gains_alpha_after_its_colour() -> None:
    small, large = picture(3, height=2), picture(4)
    joined = run(
        "ImageStitch",
        image1=small,
        image2=large,
        direction="right",
        match_image_size=False,
        spacing_width=0,
        spacing_color="black",
    )
    assert joined[0, 0, 0].tolist() == [0, 0, 0, 1]


def test_an_even_kernel_dilates_to_the_left_and_erodes_to_the_right() -> None:
    dot = np.zeros((1, 9, 9, 3), np.float32)
    dot[0, 4, 4] = 1
    dilated = run("Morphology", image=dot, operation="dilate", kernel_size=4)
    assert np.flatnonzero(dilated[0, 4, :, 0]).tolist() == [2, 3, 4, 5]
    eroded = run("Morphology", image=1 - dot, operation="erode", kernel_size=4)
    assert np.flatnonzero(1 - eroded[0, 4, :, 0]).tolist() == [3, 4, 5, 6]


def test_values_outside_of_the_range_wrap_when_quantized() -> None:
    bright = run("ImageQuantize", image=picture(3, value=1.5), colors=4, dither="none")
    assert_allclose(bright, (382 - 256) / 255)


def test_colour_spaces_come_back_exactly() -> None:
    colours = np.random.default_rng(4).random((1, 6, 8, 3), np.float32)
    y, u, v = run("ImageRGBToYUV", image=colours)
    assert_allclose(run("ImageYUVToRGB", Y=y, U=u, V=v), colours, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "inputs", "says"),
    [
        ("ImageRGBToYUV", {"image": picture(4)}, "3 channels"),
        ("ImageQuantize", {"image": picture(4), "colors": 4, "dither": "none"}, "3 channels"),
        ("Canny", {"image": picture(3), "low_threshold": 0.8, "high_threshold": 0.4}, "above"),
        ("Canny", {"image": picture(4), "low_threshold": 0.1, "high_threshold": 0.4}, "without alpha"),
        ("Canny", {"image": picture(3, height=2), "low_threshold": 0.1, "high_threshold": 0.4}, "3 x 3"),
        ("ImageColorToMask", {"image": picture(1), "color": 0}, "no colours"),
        ("JoinImageWithAlpha", {"image": picture(3, count=2), "alpha": np.zeros((6, 8), np.float32)}, "as many masks"),
        (
            "MaskComposite",
            {
                "destination": np.zeros((1, 4, 4), np.float32),
                "source": np.zeros((1, 4, 4), np.float32),
                "x": 6,
                "y": 0,
                "operation": "add",
            },
            "outside",
        ),
    ],
)
def test_what_the_original_cannot_do_is_a_clear_error(name: str, inputs: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        run(name, **inputs)


@pytest.mark.parametrize(("pattern", "found"), [("b.", ""), ("(b)(.)", "bc\nbd")])
def test_all_groups_of_a_pattern_without_groups_are_none(pattern: str, found: str) -> None:
    flags = {"case_insensitive": False, "multiline": False, "dotall": False}
    assert (
        run("RegexExtract", string="abcbd", regex_pattern=pattern, mode="All Groups", group_index=0, **flags) == found
    )


@pytest.mark.parametrize("method", ["bilinear", "area", "nearest-exact"])
@pytest.mark.parametrize(("width", "height"), [(97, 53), (7, 3), (1, 200), (200, 1)])
def test_a_flat_colour_stays_exactly_itself(method: str, width: int, height: int) -> None:
    flat = picture(3, height=31, width=47, value=float(np.float32(77) / np.float32(255)))
    resized = run("ImageScale", image=flat, upscale_method=method, width=width, height=height, crop="disabled")
    assert (resized == flat[0, 0, 0, 0]).all()


def test_what_is_no_number_stays_where_it_is() -> None:
    spoiled = picture(3, height=64, width=64)
    spoiled[0, 10, 10] = np.nan
    resized = run("ImageScaleBy", image=spoiled, upscale_method="bilinear", scale_by=2.0)
    assert np.isnan(resized[0, ..., 0]).sum() == 16
