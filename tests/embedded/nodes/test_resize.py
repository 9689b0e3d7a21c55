from typing import Any

import numpy as np
import pytest

from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS
from comfyserve.embedded.nodes.resize import resize_essentials

pytestmark = pytest.mark.usefixtures("context")

PICTURE = np.random.default_rng(1).random((1, 30, 40, 3), np.float32)
MASK = PICTURE[..., 0]


def resized(samples: np.ndarray, way: str, method: str = "area", **options: Any) -> np.ndarray:
    inputs = {f"resize_type.{name}": value for name, value in options.items()}
    node = NODE_CLASS_MAPPINGS["ResizeImageMaskNode"]
    (result,) = node.run(input=samples, resize_type=way, scale_method=method, **inputs)
    return np.asarray(result)


@pytest.mark.parametrize(
    ("way", "options", "size"),
    [
        ("scale dimensions", {"width": 20, "height": 20, "crop": "center"}, (20, 20)),
        ("scale dimensions", {"width": 0, "height": 15, "crop": "disabled"}, (15, 20)),
        ("scale dimensions", {"width": 0, "height": 0, "crop": "disabled"}, (30, 40)),
        ("scale by multiplier", {"multiplier": 0.5}, (15, 20)),
        ("scale longer dimension", {"longer_size": 80}, (60, 80)),
        ("scale shorter dimension", {"shorter_size": 60}, (60, 80)),
        ("scale width", {"width": 20}, (15, 20)),
        ("scale height", {"height": 15}, (15, 20)),
        ("scale total pixels", {"megapixels": 0.01, "multiple": 8}, (88, 120)),
        ("match size", {"match": np.zeros((1, 7, 9), np.float32), "crop": "center"}, (7, 9)),
        ("scale to multiple", {"multiple": 16}, (16, 32)),
        ("scale to multiple", {"multiple": 64}, (30, 40)),
    ],
)
def test_every_way_gives_its_size(way: str, options: dict[str, Any], size: tuple[int, int]) -> None:
    assert resized(PICTURE, way, **options).shape == (1, *size, 3)
    assert resized(MASK, way, **options).shape == (1, *size)


def test_a_multiple_is_covered_and_cut_in_the_centre() -> None:
    # 40 x 30 covers 32 x 16 at a scale of 0.8: 32 x 24, cut by 4 above and below.
    scaled = resized(PICTURE, "scale dimensions", width=32, height=24, crop="disabled")
    assert (resized(PICTURE, "scale to multiple", multiple=16) == scaled[:, 4:20]).all()


ESSENTIALS = [
    # width, height, method, condition, multiple_of -> width, height
    (64, 64, "stretch", "always", 0, 64, 64),
    (0, 60, "stretch", "always", 0, 40, 60),
    (64, 64, "keep proportion", "always", 0, 64, 48),
    (0, 60, "keep proportion", "always", 0, 80, 60),
    (0, 15, "keep proportion", "always", 0, 20, 15),
    (64, 64, "fill / crop", "always", 0, 64, 64),
    (64, 64, "pad", "always", 0, 64, 64),
    (64, 64, "stretch", "downscale if bigger", 0, 40, 30),
    (20, 64, "stretch", "downscale if bigger", 0, 20, 64),
    (64, 20, "stretch", "upscale if smaller", 0, 64, 20),
    (20, 20, "stretch", "upscale if smaller", 0, 40, 30),
    (20, 20, "stretch", "if bigger area", 0, 20, 20),
    (20, 20, "stretch", "if smaller area", 0, 40, 30),
    (70, 70, "keep proportion", "always", 16, 64, 48),
    (64, 64, "stretch", "downscale if bigger", 16, 32, 16),
]


@pytest.mark.parametrize(
    ("width", "height", "method", "condition", "multiple_of", "new_width", "new_height"), ESSENTIALS
)
def test_image_resize_of_essentials(
    width: int, height: int, method: str, condition: str, multiple_of: int, new_width: int, new_height: int
) -> None:
    image, *size = resize_essentials(PICTURE, width, height, "bilinear", method, condition, multiple_of)
    assert size == [new_width, new_height]
    assert image.shape == (1, new_height, new_width, 3)


def test_padding_is_black_and_centred() -> None:
    image, _, _ = resize_essentials(PICTURE, 40, 40, "nearest", "pad", "always", 0)
    assert (image[:, 5:35] == PICTURE).all()
    assert (image[:, :5] == 0).all()
    assert (image[:, 35:] == 0).all()


def test_nearest_takes_the_sample_at_the_left() -> None:
    image, _, _ = resize_essentials(PICTURE, 20, 15, "nearest", "stretch", "always", 0)
    assert (image == PICTURE[:, ::2, ::2]).all()


def test_the_result_is_clamped() -> None:
    image, _, _ = resize_essentials(PICTURE * 3 - 1, 20, 15, "bicubic", "stretch", "always", 0)
    assert image.min() == 0
    assert image.max() == 1
