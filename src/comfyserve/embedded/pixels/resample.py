"""Resizing as ComfyUI's `common_upscale` does it (protocol spec section 12).

Every method but lanczos is separable: per axis a short list of taps (source index, weight), along x, then along y.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from comfyserve.embedded.pixels.arrays import Image, Mask, as_masks, check_room, from_bytes, to_bytes
from comfyserve.embedded.pixels.bands import each_band

Samples = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]
Weight = npt.NDArray[np.float64]
Taps = list[tuple[Index, Weight]]

METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
CUBIC = -0.75
# So many are summed up one by one, more as a matrix product.
FEW_TAPS = 4
# Results that share one matrix product.
BAND = 24


def upscale(image: Image, width: int, height: int, method: str, crop: str = "disabled") -> Image:
    """The picture at width x height; crop "center" first cuts it to the new aspect ratio.

    ValueError for an empty size or picture, an unknown method, and lanczos on another number of channels than 3 or 4.
    """
    if width < 1 or height < 1:
        raise ValueError(f"A picture cannot be resized to {width} x {height}: both sides need at least one pixel.")
    check_room((image.shape[0], height, width, image.shape[3]))
    if crop == "center":
        image = crop_to_aspect(image, width, height)
    if 0 in image.shape:
        raise ValueError(
            "There is no pixel to resize: the picture is empty, or its aspect ratio too far from the asked one."
        )
    if image.shape[1:3] == (height, width) and method != "lanczos":
        return image
    if method == "lanczos":
        return _lanczos(image, width, height)
    taps = _TAPS.get(method)
    if taps is None:
        raise ValueError(f"The resize method {method!r} is not known. Use one of: {', '.join(METHODS)}.")
    result = np.empty((image.shape[0], height, width, image.shape[3]), np.float32)
    batch, old_height, old_width, channels = image.shape
    result = np.empty((batch, height, width, channels), np.float32)
    across, down = _for_samples(taps(old_width, width), channels), taps(old_height, height)
    for item, target in zip(image, result.reshape(batch, height, -1), strict=True):
        work = partial(_resize_band, item.reshape(old_height, -1), target, across, down)
        each_band(height, max(width, old_width) * channels, work)
    return result


def _for_samples(taps: Taps, channels: int) -> Taps:
    """Taps of pixels as those of their samples: one weight per sample keeps NumPy's inner loops long."""
    channel = np.arange(channels)
    return [
        ((index[:, np.newaxis] * channels + channel).reshape(-1), np.repeat(weight, channels)) for index, weight in taps
    ]


def _resize_band(rows: Samples, target: Samples, across: Taps, down: Taps, band: slice) -> None:
    """Rows of the target, from the few rows of the source that they depend on."""
    part = [(index[band], weight[band]) for index, weight in down]
    first, last = _reach([index for index, _ in part])
    part = [(index - first, weight) for index, weight in part]
    source = rows[first : last + 1]
    # The cheaper way first: what is between the two steps stays small.
    if len(target) < len(rows):
        target[band] = along(along(source, 0, part), 1, across)
    else:
        target[band] = along(along(source, 1, across), 0, part)


def upscale_mask(mask: Mask, width: int, height: int, method: str, crop: str = "disabled") -> Mask:
    """A mask resized like a picture with one channel; always [B,H,W]."""
    return upscale(as_masks(mask)[..., np.newaxis], width, height, method, crop)[..., 0]


def crop_to_aspect(image: Image, width: int, height: int) -> Image:
    """The symmetric centre cut that gives the aspect ratio width:height."""
    old_height, old_width = image.shape[1:3]
    old, new = old_width / old_height, width / height
    x = round((old_width - old_width * (new / old)) / 2) if old > new else 0
    y = round((old_height - old_height * (old / new)) / 2) if old < new else 0
    return image[:, y : old_height - y, x : old_width - x]


def _lanczos(image: Image, width: int, height: int) -> Image:
    if image.shape[3] not in (3, 4):
        raise ValueError(
            f"lanczos needs a picture with 3 or 4 channels, this one has {image.shape[3]}. Use another method."
        )
    size = (width, height)
    resized = [Pillow.fromarray(item).resize(size, Pillow.Resampling.LANCZOS) for item in to_bytes(image)]
    return from_bytes(np.stack([np.asarray(item) for item in resized]))


def along(rows: Samples, axis: int, taps: Taps) -> Samples:
    """Rows of samples [H,W*C] as the sum of their taps along an axis (0: y, 1: x)."""
    if len(taps) == 1:
        return rows.take(taps[0][0], axis)
    # A product by zero is not zero for what is no number: such pictures take the longer way.
    if not np.isfinite(rows).all():
        return _by_taps(rows, axis, taps)
    return _between(rows, axis, taps) if len(taps) <= FEW_TAPS else _by_bands(rows, axis, taps)


def _between(rows: Samples, axis: int, taps: Taps) -> Samples:
    """Weights that sum to 1: the first tap and the others' differences from it, which keeps a flat colour as it is."""
    (index, _), *others = taps
    first = rows.take(index, axis)
    result = first.copy() if len(others) > 1 else first
    for index, weight in others:
        rest = rows.take(index, axis)
        rest -= first
        rest *= _beside(weight.astype(np.float32), axis)
        result += rest
    return result


def _by_taps(rows: Samples, axis: int, taps: Taps) -> Samples:
    # Added up in float64 and rounded once: plain float32 turns a flat colour into one level less at the save.
    total: Weight = np.zeros(1)
    with np.errstate(invalid="ignore"):
        for index, weight in taps:
            total = total + rows.take(index, axis) * _beside(weight, axis)
    return total.astype(np.float32)


def _beside(weight: npt.NDArray[np.floating], axis: int) -> npt.NDArray[np.floating]:
    return weight[:, np.newaxis] if axis == 0 else weight


def _by_bands(rows: Samples, axis: int, taps: Taps) -> Samples:
    """The same as matrix products: a few neighbouring results depend on a short band of the source."""
    shape = list(rows.shape)
    shape[axis] = len(taps[0][0])
    result = np.empty(shape, np.float32)
    for start in range(0, shape[axis], BAND):
        stop = min(start + BAND, shape[axis])
        first, weights = _band(taps, start, stop)
        last = first + weights.shape[1]
        if axis == 0:
            result[start:stop] = weights @ rows[first:last].astype(np.float64)
        else:
            result[:, start:stop] = rows[:, first:last].astype(np.float64) @ weights.T
    return result


def _band(taps: Taps, start: int, stop: int) -> tuple[int, Weight]:
    """The first source index that these results need, and their weights [results, source samples]."""
    indexes = [index[start:stop] for index, _ in taps]
    first, last = _reach(indexes)
    weights = np.zeros((stop - start, last + 1 - first))
    rows = np.arange(stop - start)
    for index, (_, weight) in zip(indexes, taps, strict=True):
        np.add.at(weights, (rows, index - first), weight[start:stop])
    return first, weights


def _reach(indexes: list[Index]) -> tuple[int, int]:
    return min(int(index.min()) for index in indexes), max(int(index.max()) for index in indexes)


def _scale(source: int, target: int) -> np.float32:
    return np.float32(source) / np.float32(target)


def _centres(source: int, target: int) -> Weight:
    """Source coordinates of the targets' centres: (i + 0.5) * in/out - 0.5."""
    return _fused(np.arange(target, dtype=np.float64) + 0.5, float(_scale(source, target)), -0.5)


def _fused(a: Weight | float, b: Weight | float, c: float) -> Weight:
    """a * b + c rounded once to float32, as the fused multiply-add of torch's kernels does; kept in float64."""
    return (np.multiply(a, b) + c).astype(np.float32).astype(np.float64)


def _nearest(source: int, target: int) -> Taps:
    positions = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * _scale(source, target)
    index = np.minimum(np.floor(positions).astype(np.intp), source - 1)
    return [(index, np.ones(target))]


def _nearest_floor(source: int, target: int) -> Taps:
    positions = np.arange(target, dtype=np.float32) * _scale(source, target)
    index = np.minimum(np.floor(positions).astype(np.intp), source - 1)
    return [(index, np.ones(target))]


def _bilinear(source: int, target: int) -> Taps:
    position = np.maximum(_centres(source, target), 0)
    low = np.minimum(np.floor(position).astype(np.intp), source - 1)
    weight = position - low
    return [(low, 1 - weight), (np.minimum(low + 1, source - 1), weight)]


def _bicubic(source: int, target: int) -> Taps:
    position = _centres(source, target)
    base = np.floor(position)
    fraction = position - base
    index = base.astype(np.intp)
    near, far = fraction, 1 - fraction
    weights = (_cubic_outer(near + 1), _cubic_inner(near), _cubic_inner(far), _cubic_outer(far + 1))
    return [
        (np.clip(index + offset, 0, source - 1), weight) for offset, weight in zip(range(-1, 3), weights, strict=True)
    ]


def _cubic_inner(distance: Weight) -> Weight:
    return _fused(_fused(_fused(CUBIC + 2, distance, -(CUBIC + 3)), distance, 0), distance, 1)


def _cubic_outer(distance: Weight) -> Weight:
    return _fused(_fused(_fused(CUBIC, distance, -5 * CUBIC), distance, 8 * CUBIC), distance, -4 * CUBIC)


def _area(source: int, target: int) -> Taps:
    """Bin i is the plain mean of floor(i in/out) ... ceil((i + 1) in/out) - 1; shorter bins get taps of weight 0."""
    step = np.arange(target + 1) * source
    start, end = step[:-1] // target, -(-step[1:] // target)
    size = end - start
    offsets = range(int(size.max()))
    return [(np.minimum(start + k, source - 1), np.where(k < size, 1 / size, 0)) for k in offsets]


_TAPS: dict[str, Callable[[int, int], Taps]] = {
    "nearest": _nearest_floor,
    "nearest-exact": _nearest,
    "bilinear": _bilinear,
    "area": _area,
    "bicubic": _bicubic,
}
