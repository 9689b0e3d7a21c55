"""Normal noise as torch's CPU generator makes it (protocol spec section 12), so that seeds mean the same here."""

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

BLOCK = 16
HALF = BLOCK // 2


def normal_noise(shape: Sequence[int], seed: int) -> npt.NDArray[np.float32]:
    """Standard normal samples of that shape; only the lower 32 bits of the seed count."""
    count = prod(shape)
    source = np.random.RandomState(seed % 2**32)
    if count < BLOCK:
        return _few(source, count).reshape(shape)
    samples = _uniform(source, count)
    whole = count - count % BLOCK
    samples[:whole] = _box_muller(samples[:whole])
    if whole < count:
        samples[-BLOCK:] = _box_muller(_uniform(source, BLOCK))
    return samples.reshape(shape)


def _words(source: np.random.RandomState, count: int) -> npt.NDArray[np.uint32]:
    return source.randint(0, 2**32, size=count, dtype=np.uint32)


def _uniform(source: np.random.RandomState, count: int) -> npt.NDArray[np.float32]:
    return (_words(source, count) & np.uint32(0xFFFFFF)).astype(np.float32) * np.float32(2**-24)


def _box_muller(uniform: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Per block of 16: the first eight samples give radii, the last eight angles."""
    blocks = uniform.reshape(-1, 2, HALF)
    radius = np.sqrt(np.float32(-2) * np.log(1 - blocks[:, 0]))
    angle = np.float32(2 * np.pi) * blocks[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)


def _few(source: np.random.RandomState, count: int) -> npt.NDArray[np.float32]:
    """Fewer samples than a block: pairs from 53-bit uniforms."""
    words = _words(source, 4 * BLOCK).astype(np.uint64)
    wide = (words[0::2] << np.uint64(32) | words[1::2]) & np.uint64(2**53 - 1)
    uniform = wide.astype(np.float64) * 2.0**-53
    radius, angle = np.sqrt(-2 * np.log1p(-uniform[1::2])), 2 * np.pi * uniform[0::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
    return pairs[:count].astype(np.float32)
