"""Second-order equalizer bands by the formulas of R. Bristow-Johnson's Audio EQ Cookbook, as torchaudio uses them."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin, sqrt

import numpy as np

from comfyserve.embedded.media.resample import Wave

SHELF_Q = 0.707


@dataclass(frozen=True, slots=True)
class Band:
    """The coefficients of one filter: over and under the fraction bar."""

    over: tuple[float, float, float]
    under: tuple[float, float, float]


def low_shelf(rate: int, frequency: float, gain_db: float) -> Band | None:
    """Everything below the frequency by gain_db; None for 0 dB."""
    return _shelf(rate, frequency, gain_db, -1.0)


def high_shelf(rate: int, frequency: float, gain_db: float) -> Band | None:
    """Everything above the frequency by gain_db; None for 0 dB."""
    return _shelf(rate, frequency, gain_db, 1.0)


def peak(rate: int, frequency: float, gain_db: float, q: float) -> Band | None:
    """Around the frequency by gain_db, the narrower the larger q; None for 0 dB."""
    if not gain_db:
        return None
    turn, a = _turn(rate, frequency), 10 ** (gain_db / 40)
    alpha = sin(turn) / (2 * q)
    middle = -2 * cos(turn)
    return Band((1 + alpha * a, middle, 1 - alpha * a), (1 + alpha / a, middle, 1 - alpha / a))


def apply(wave: Wave, band: Band) -> Wave:
    """The filtered sound, kept within -1..1 as torchaudio keeps it."""
    from scipy.signal import lfilter  # type: ignore[import-untyped] # scipy has no types

    scale = band.under[0]
    over, under = [value / scale for value in band.over], [value / scale for value in band.under]
    filtered: Wave = np.clip(lfilter(over, under, wave, axis=-1), -1, 1).astype(np.float32)
    return filtered


def _shelf(rate: int, frequency: float, gain_db: float, side: float) -> Band | None:
    if not gain_db:
        return None
    turn, a = _turn(rate, frequency), 10 ** (gain_db / 40)
    c, slope = side * cos(turn), 2 * sqrt(a) * sin(turn) / (2 * SHELF_Q)
    plus, minus = a + 1, a - 1
    return Band(
        (a * (plus + minus * c + slope), -side * 2 * a * (minus + plus * c), a * (plus + minus * c - slope)),
        (plus - minus * c + slope, side * 2 * (minus - plus * c), plus - minus * c - slope),
    )


def _turn(rate: int, frequency: float) -> float:
    if frequency * 2 >= rate:
        raise ValueError(
            f"A sound of {rate} Hz has nothing at {frequency} Hz. Choose a frequency below {rate // 2} Hz."
        )
    return 2 * pi * frequency / rate
