"""Canny edges as kornia draws them (protocol spec section 12)."""

import numpy as np
import numpy.typing as npt

from comfyserve.embedded.pixels.arrays import Image
from comfyserve.embedded.pixels.filters import weighed

Samples = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LUMA = (0.299, 0.587, 0.114)
SMOOTH = np.array([1.0, 2.0, 1.0])
SLOPE = np.array([-1.0, 0.0, 1.0])
# Direction of the gradient modulo 180 degrees, in steps of 45: (rows, columns) to the next sample along it.
NEIGHBOURS = ((0, 1), (1, 1), (1, 0), (1, -1))


def canny(picture: Image, low: float, high: float) -> npt.NDArray[np.float32]:
    """1 on the edges of one picture [H,W,C], else 0: [H,W]. Weak edges count where they touch strong ones."""
    # Slow to import, and few graphs need it. It has no type stubs.
    from scipy.ndimage import label  # type: ignore[import-untyped]

    thin = _thinned(*_gradient(picture))
    labels, _ = label(thin > low, structure=np.ones((3, 3)))
    strong = np.unique(labels[thin > high])
    return np.isin(labels, strong[strong > 0]).astype(np.float32)


def _gradient(picture: Image) -> tuple[Samples, Samples]:
    gray = (picture[..., :3] * np.array(LUMA)).sum(axis=-1)[np.newaxis, ..., np.newaxis]
    bell = np.exp(-np.square(np.arange(-2, 3)) / 2)
    bell /= bell.sum()
    soft = weighed(weighed(gray, 1, bell, "mirror"), 2, bell, "mirror")
    across = weighed(weighed(soft, 1, SMOOTH, "nearest"), 2, SLOPE, "nearest")
    down = weighed(weighed(soft, 2, SMOOTH, "nearest"), 1, SLOPE, "nearest")
    return across[0, ..., 0], down[0, ..., 0]


def _thinned(across: Samples, down: Samples) -> Samples:
    """The gradient's magnitude where it is the largest along its own direction, else 0."""
    magnitude = np.sqrt(across**2 + down**2 + 1e-6)
    direction = np.round(np.degrees(np.arctan2(down, across)) / 45).astype(np.int64) % 4
    framed = np.pad(magnitude, 1)
    keep = np.zeros(magnitude.shape, bool)
    for index, (rows, columns) in enumerate(NEIGHBOURS):
        before, after = _shifted(framed, -rows, -columns), _shifted(framed, rows, columns)
        straight = index % 2 == 0
        largest = (magnitude > before) & ((magnitude >= after) if straight else (magnitude > after))
        keep |= largest & (direction == index)
    return np.where(keep, magnitude, 0)


def _shifted(framed: Samples, rows: int, columns: int) -> Samples:
    height, width = framed.shape[0] - 2, framed.shape[1] - 2
    return framed[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]
