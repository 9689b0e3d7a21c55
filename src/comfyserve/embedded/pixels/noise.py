"""Normal noise as torch's CPU generator makes it (protocol spec section 12), so that seeds mean the same here."""

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from comfyserve.embedded.pixels.bands import PART_SAMPLES, share_out

BLOCK = 16
# Half a block as one item, which NumPy copies as a whole.
EIGHT = np.dtype((np.void, BLOCK // 2 * 4))


def normal_noise(shape: Sequence[int], seed: int) -> npt.NDArray[np.float32]:
    """Standard normal samples of that shape; only the lower 32 bits of the seed count."""
    count = prod(shape)
    source = np.random.RandomState(seed % 2**32)
    if count < BLOCK:
        return _few(source, count).reshape(shape)
    samples = np.empty(count, np.float32)
    parts = range(0, count, PART_SAMPLES)
    # The words come from one sequence, so they are made in order; what follows them is shared out.
    words = ((start, _words(source, min(PART_SAMPLES, count - start))) for start in parts)
    share_out(words, lambda part: _fill(samples[part[0] : part[0] + PART_SAMPLES], part[1]))
    if count % BLOCK:
        _fill(samples[-BLOCK:], _words(source, BLOCK))
    return samples.reshape(shape)


def _words(source: np.random.RandomState, count: int) -> npt.NDArray[np.uint32]:
    return source.randint(0, 2**32, size=count, dtype=np.uint32)


def _fill(samples: npt.NDArray[np.float32], words: npt.NDArray[np.uint32]) -> None:
    """Per block of 16: the first eight words give radii, the last eight angles. An odd rest is left as it is."""
    whole = len(words) - len(words) % BLOCK
    words &= np.uint32(0xFFFFFF)
    halves = words[:whole].view(EIGHT)
    radius, angle = (halves[start::2].copy().view(np.int32).astype(np.float32) for start in range(2))
    radius *= np.float32(-(2**-24))
    radius += 1
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.sqrt(radius, out=radius)
    angle *= np.float32(2**-24)
    angle *= np.float32(2 * np.pi)
    filled = samples[:whole].view(EIGHT)
    filled[0::2] = (np.cos(angle) * radius).view(EIGHT)
    filled[1::2] = (np.sin(angle) * radius).view(EIGHT)


def _few(source: np.random.RandomState, count: int) -> npt.NDArray[np.float32]:
    """Fewer samples than a block: pairs from 53-bit uniforms."""
    words = _words(source, 4 * BLOCK).astype(np.uint64)
    wide = (words[0::2] << np.uint64(32) | words[1::2]) & np.uint64(2**53 - 1)
    uniform = wide.astype(np.float64) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log1p(-uniform[1::2])), 2 * np.pi * uniform[0::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
    return pairs[:count].astype(np.float32)
