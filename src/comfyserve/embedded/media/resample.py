"""Sample rate conversion by windowed sinc interpolation, with the parameters that ComfyUI's torchaudio uses.

Hann window over 6 zero crossings on either side, cut off at 0.99 of the lower Nyquist frequency.
"""

from __future__ import annotations

from math import ceil, gcd

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float32]

ZERO_CROSSINGS = 6
ROLLOFF = 0.99
BLOCK = 1 << 20
# Weights of the filter: two rates without a common divisor need one set for every sample of a second.
MAX_WEIGHTS = 1 << 24


def resample(wave: Wave, rate: int, target: int) -> Wave:
    """The last axis at another sample rate; ceil(length * target / rate) samples. ValueError for a rate below 1 Hz."""
    if rate < 1 or target < 1:
        raise ValueError(f"A sample rate of {min(rate, target)} Hz is not possible. Use 1 or more.")
    if rate == target:
        return wave
    divisor = gcd(rate, target)
    old, new = rate // divisor, target // divisor
    weights, reach = _weights(old, new)
    padded = np.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(reach, reach + old)])
    result = np.empty((*wave.shape[:-1], ceil(wave.shape[-1] * new / old)), np.float32)
    taps = np.arange(weights.shape[1])
    step = BLOCK // len(taps) + 1
    for start in range(0, result.shape[-1], step):
        at = np.arange(start, min(start + step, result.shape[-1]))
        # Output sample i stands at i * old / new; the table has a row of weights for each of its `new` phases.
        windows = padded[..., (at * old // new)[:, None] + taps]
        result[..., at] = np.einsum("...ik,ik->...i", windows, weights[at % new], optimize=True)
    return result


def _weights(old: int, new: int) -> tuple[Wave, int]:
    """[phase, tap] and how many taps lie left of the centre."""
    base = min(old, new) * ROLLOFF
    reach = ceil(ZERO_CROSSINGS * old / base)
    taps = 2 * reach + 2
    if taps * new > MAX_WEIGHTS:
        raise ValueError(
            "These two sample rates are too far apart to convert between. Use common ones, as 44100, 48000."
        )
    phase = (np.arange(new) * old % new)[:, None] / new
    distance = (np.arange(-reach, reach + 2) - phase) / old * base
    window = np.cos(np.clip(distance, -ZERO_CROSSINGS, ZERO_CROSSINGS) * np.pi / ZERO_CROSSINGS / 2) ** 2
    weights: Wave = (np.sinc(np.clip(distance, -ZERO_CROSSINGS, ZERO_CROSSINGS)) * window * base / old).astype(
        np.float32
    )
    return weights, reach
