"""Neighbourhood operations: grow, blur, morphology, edges (protocol spec section 12)."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from comfyserve.embedded.pixels.arrays import Image, Mask
from comfyserve.embedded.pixels.bands import each_band

Samples = npt.NDArray[np.float64]

FEW_PASSES = 15
"""Up to this side of a kernel a pass for each of its samples is quicker than scipy's filter."""


def grow(mask: Mask, steps: int, tapered: bool, check: Callable[[], None]) -> Mask:
    """|steps| dilations (erosions when negative) of [B,H,W] with a 3x3 cross (tapered) or square.

    `check` is called between the steps; what it raises ends the work.
    """
    extreme = np.maximum if steps > 0 else np.minimum
    for _ in range(abs(steps)):
        check()
        if tapered:
            grown = extreme(_spread(mask, 1, extreme), _spread(mask, 2, extreme))
        else:
            grown = _spread(_spread(mask, 1, extreme), 2, extreme)
        if np.array_equal(grown, mask):
            break
        mask = grown
    return mask


def _spread(mask: Mask, axis: int, extreme: np.ufunc) -> Mask:
    """Each sample and its two neighbours along one axis; nothing comes from outside."""
    result = mask.copy()
    into, source = np.moveaxis(result, axis, -1), np.moveaxis(mask, axis, -1)
    extreme(into[..., 1:], source[..., :-1], out=into[..., 1:])
    extreme(into[..., :-1], source[..., 1:], out=into[..., :-1])
    return result


def gaussian_blur(image: Image, radius: int, sigma: float) -> Image:
    """Blur with reflected borders; sigma is relative to the radius. ValueError if the radius reaches a side."""
    result = np.empty(image.shape, np.float32)
    _each_blurred(image, radius, sigma, result, lambda rows, blurred: None)
    return result


def sharpened(image: Image, radius: int, sigma: float, amount: float) -> Image:
    """The picture plus `amount` times what a blur takes away from it, clamped. ValueError as gaussian_blur."""

    def sharpen(rows: Image, blurred: Image) -> None:
        np.subtract(rows, blurred, out=blurred)
        blurred *= np.float32(amount)
        blurred += rows
        np.clip(blurred, 0, 1, out=blurred)

    result = np.empty(image.shape, np.float32)
    _each_blurred(image, radius, sigma, result, sharpen)
    return result


def _each_blurred(
    image: Image, radius: int, sigma: float, result: Image, finish: Callable[[Image, Image], None]
) -> None:
    """Fill the result with the blurred picture; `finish` gets each band of both."""
    if radius >= min(image.shape[1:3]):
        raise ValueError(f"The radius {radius} must be smaller than both sides of the picture. Use a smaller radius.")
    grid = np.linspace(-1, 1, 2 * radius + 1)
    kernel = np.exp(-np.square(grid) / (2 * sigma**2))
    kernel /= kernel.sum()
    height, width, channels = image.shape[1:]
    reflected = np.pad(np.arange(height), radius, mode="reflect")
    for item, target in zip(image, result, strict=True):

        def blur(band: slice, item: Image = item, target: Image = target) -> None:
            first, last = band.start - radius, band.stop + radius
            within = first >= 0 and last <= height
            rows = item[first:last] if within else item.take(reflected[first + radius : last + radius], axis=0)
            _blur_band(rows, kernel, target[band])
            finish(rows[radius : radius + band.stop - band.start], target[band])

        each_band(height, width * channels, blur)


def _blur_band(rows: Image, kernel: Samples, target: Image) -> None:
    """Blur along y, which the rows exceed by the radius above and below, then along x."""
    radius = len(kernel) // 2
    height, width, channels = target.shape
    wide = np.empty((height, width + 2 * radius, channels), np.float32)
    inside = wide[:, radius : radius + width]
    _weigh([rows[start : start + height] for start in range(2 * radius + 1)], kernel, inside)
    wide[:, :radius] = inside[:, radius:0:-1]
    wide[:, radius + width :] = inside[:, -2 : -radius - 2 : -1]
    flat, across = wide.reshape(height, -1), width * channels
    starts = range(0, (2 * radius + 1) * channels, channels)
    _weigh([flat[:, start : start + across] for start in starts], kernel, target.reshape(height, across))


def _weigh(shifted: Sequence[Image], kernel: Samples, out: Image) -> None:
    """The middle and, for each pair of its neighbours, their weighted difference from it: flat colours stay exact."""
    radius = len(kernel) // 2
    total, twice = shifted[radius], shifted[radius] * np.float32(2)
    pair = np.empty_like(twice)
    for offset in range(radius):
        np.add(shifted[offset], shifted[-1 - offset], out=pair)
        pair -= twice
        pair *= np.float32(kernel[offset])
        total = np.add(total, pair, out=out)


def weighed(image: npt.NDArray[np.floating], axis: int, kernel: Samples, border: str) -> Samples:
    """Correlation with a short odd kernel along one axis; border is scipy's word: "mirror" or "nearest"."""
    # Slow to import, and few graphs need it. It has no type stubs.
    from scipy.ndimage import correlate1d  # type: ignore[import-untyped]

    return np.asarray(correlate1d(image, kernel, axis, np.float64, border))


def _eroded(image: Image, size: int) -> Image:
    return _extreme(np.minimum, "minimum_filter1d", image, size, np.inf, 0)


def _dilated(image: Image, size: int) -> Image:
    # An even kernel reaches one sample further to the right and down, where that of the erosion reaches to the left.
    return _extreme(np.maximum, "maximum_filter1d", image, size, -np.inf, size % 2 - 1)


def _extreme(extreme: np.ufunc, name: str, image: Image, size: int, outside: float, origin: int) -> Image:
    """The extreme sample of a size x size window of [B,H,W,C]; nothing comes from outside."""
    if size <= FEW_PASSES:
        first = -(size // 2) - origin
        return _by_shifts(extreme, _by_shifts(extreme, image, 1, first, size), 2, first, size)
    from scipy import ndimage  # type: ignore[import-untyped]

    run = getattr(ndimage, name)
    rows = run(image, size, axis=1, mode="constant", cval=outside, origin=origin)
    return np.asarray(run(rows, size, axis=2, mode="constant", cval=outside, origin=origin))


def _by_shifts(extreme: np.ufunc, image: Image, axis: int, first: int, size: int) -> Image:
    """One axis of `_extreme`, a pass for each offset from `first` on."""
    result, side, before = image.copy(), image.shape[axis], (slice(None),) * axis
    for offset in range(first, first + size):
        near = (*before, slice(max(0, -offset), max(0, side - max(0, offset))))
        far = (*before, slice(max(0, offset), max(0, side + min(0, offset))))
        extreme(result[near], image[far], out=result[near])
    return result


# Flat morphology by name: picture [B,H,W,C] and side of the kernel.
MORPHOLOGY: dict[str, Callable[[Image, int], Image]] = {
    "erode": _eroded,
    "dilate": _dilated,
    "open": lambda image, size: _dilated(_eroded(image, size), size),
    "close": lambda image, size: _eroded(_dilated(image, size), size),
    "gradient": lambda image, size: _dilated(image, size) - _eroded(image, size),
    "bottom_hat": lambda image, size: _eroded(_dilated(image, size), size) - image,
    "top_hat": lambda image, size: image - _dilated(_eroded(image, size), size),
}
