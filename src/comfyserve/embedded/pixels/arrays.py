"""The shapes every node speaks: IMAGE [B,H,W,C] and MASK [B,H,W], float32, nominally 0..1 (protocol spec section 9)."""

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from comfyserve.embedded.context import EngineSettings, current
from comfyserve.embedded.pixels.bands import each_band

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

SAMPLE_BYTES = 4


class TooLarge(ValueError):
    """A picture that is refused before it takes memory."""


def check_room(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape itself, if float32 samples of it may exist here; otherwise TooLarge, which names the limit."""
    limit = _settings().picture_bytes
    if min(shape, default=0) < 0 or prod(shape) * SAMPLE_BYTES > limit:
        raise TooLarge(
            f"A picture or batch of the shape {list(shape)} needs {prod(shape) * SAMPLE_BYTES >> 20} MB; at most "
            f"{limit >> 20} MB are allowed. Ask for less, or start the engine with a larger --picture-megabytes."
        )
    return tuple(shape)


def most_samples(*, decoded: bool = False) -> int:
    """How many float32 samples one picture or batch may have; decoded from a video it may have more."""
    settings = _settings()
    limit = max(settings.picture_bytes, settings.media_bytes) if decoded else settings.picture_bytes
    return limit // SAMPLE_BYTES


def _settings() -> EngineSettings:
    try:
        return current().settings
    except LookupError:
        return EngineSettings()


def to_bytes(samples: npt.NDArray[np.float32]) -> Bytes:
    """8-bit samples as ComfyUI saves them: clip(255 x), then truncate, never round (protocol spec section 12)."""
    levels, flat = np.empty(samples.size, np.uint8), samples.reshape(-1)

    def convert(band: slice) -> None:
        part = flat[band] * np.float32(255)
        levels[band] = np.clip(part, 0, 255, out=part)

    each_band(samples.size, 1, convert)
    return levels.reshape(samples.shape)


def from_bytes(samples: Bytes) -> npt.NDArray[np.float32]:
    """uint8 to float32 / 255: the inverse of to_bytes for all 256 levels."""
    return samples.astype(np.float32) / np.float32(255)


def as_masks(mask: Mask) -> Mask:
    """[H,W] or [B,H,W] as [B,H,W]; a mask with more axes is flattened to a batch."""
    return mask.reshape((-1, *mask.shape[-2:]))


def fit_batch(samples: npt.NDArray[np.float32], size: int) -> npt.NDArray[np.float32]:
    """Exactly `size` items: cut when there are more, repeated from the start when there are fewer."""
    have = samples.shape[0]
    if have == size:
        return samples
    check_room((size, *samples.shape[1:]))
    fitted: npt.NDArray[np.float32] = samples[np.arange(size) % have]
    return fitted


def match_channels(destination: Image, source: Image) -> tuple[Image, Image]:
    """Both as the original makes them fit: surplus channels of the source are cut.

    A destination with more channels gets one more, opaque; then it fits a gray source only, else ValueError (the
    original fails there too: spec 13, ImageCompositeMasked).
    """
    want, have = destination.shape[-1], source.shape[-1]
    if want <= have:
        return destination, source[..., :want]
    if have > 1:
        raise ValueError(f"The first picture has {want} channels, the second {have}. Give both the same channels.")
    return np.concatenate([destination, np.ones_like(destination[..., :1])], axis=-1), source


def check_batches(*sizes: int) -> None:
    """ValueError unless these batches fit each other: all of one size, or single items."""
    if len(set(sizes) - {1}) > 1:
        raise ValueError(f"Batches of {', '.join(map(str, sizes))} do not fit each other: give one item or as many.")
