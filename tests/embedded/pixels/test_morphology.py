"""Erosion and dilation: the quick way for small kernels gives what the plain definition gives."""

import numpy as np
import pytest

from comfyserve.embedded.pixels.arrays import Image
from comfyserve.embedded.pixels.filters import FEW_PASSES, MORPHOLOGY


def by_definition(image: Image, size: int, *, dilate: bool) -> Image:
    """The extreme sample of each window, one window after the other."""
    first = -(size // 2) + (1 - size % 2 if dilate else 0)
    result = np.empty_like(image)
    for y in range(image.shape[1]):
        for x in range(image.shape[2]):
            top, left = max(0, y + first), max(0, x + first)
            window = image[:, top : max(top + 1, y + first + size), left : max(left + 1, x + first + size)]
            result[:, y, x] = (window.max if dilate else window.min)(axis=(1, 2))
    return result


@pytest.mark.parametrize("size", [3, 4, 5, 8, FEW_PASSES, FEW_PASSES + 1, FEW_PASSES + 2])
@pytest.mark.parametrize("shape", [(1, 9, 7, 3), (2, 1, 5, 4), (1, 20, 19, 1)])
def test_small_and_large_kernels(shape: tuple[int, ...], size: int) -> None:
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    assert (MORPHOLOGY["erode"](image, size) == by_definition(image, size, dilate=False)).all()
    assert (MORPHOLOGY["dilate"](image, size) == by_definition(image, size, dilate=True)).all()
