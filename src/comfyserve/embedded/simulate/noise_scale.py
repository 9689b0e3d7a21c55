"""How a family counts noise: sigma as a function of time, 1 being nothing but noise and 0 the finished picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
TIMES: Final = 1000
FINE_TIMES: Final = 10000
"""Of the families that are sampled as Flux is."""
# The noise schedule of Stable Diffusion: the square roots of beta are evenly spaced between these squares.
BETA_FIRST, BETA_LAST = 0.00085, 0.012


@dataclass(frozen=True, slots=True)
class NoiseScale:
    """`discrete` (Stable Diffusion), `flow` (straight lines, with a shift) or `log` (even in log sigma)."""

    kind: Literal["discrete", "flow", "log"] = "discrete"
    shift: float = 1.0
    low: float = 0.0
    high: float = 0.0
    times: int = TIMES

    def table(self) -> Floats:
        """The sigmas of all times, smallest first."""
        return _table(self)

    def sigma(self, time: float) -> float:
        """The noise at a time, 0..1."""
        return float(self.sigmas(np.array([time]))[0])

    def sigmas(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The noise at each of these times, 0..1."""
        if self.kind == "flow":
            return self.shift * times / (1 + (self.shift - 1) * times)
        logs = np.log(self.table())
        return np.exp(np.interp(times * (TIMES - 1), np.arange(TIMES), logs))

    def time(self, sigma: float) -> float:
        """The time at which the noise is this, within 0..1."""
        if sigma <= 0:
            return 0.0
        if self.kind == "flow":
            return min(1.0, sigma / (self.shift - (self.shift - 1) * min(sigma, 1.0)))
        logs = np.log(self.table())
        return float(np.interp(np.log(sigma), logs, np.arange(TIMES))) / (TIMES - 1)

    def at_share(self, done: float) -> float:
        """The noise when this share of the way is done: very large at 0, none at 1."""
        if done <= 0:
            return 1.0 if self.kind == "flow" else 999999999.9
        return 0.0 if done >= 1 else self.sigma(1 - done)


@lru_cache(64)
def _table(scale: NoiseScale) -> Floats:
    if scale.kind == "flow":
        times = np.arange(1, scale.times + 1, dtype=np.float64) / scale.times
        return np.asarray(scale.shift * times / (1 + (scale.shift - 1) * times), np.float32)
    if scale.kind == "log":
        return np.exp(np.linspace(np.log(scale.low), np.log(scale.high), TIMES)).astype(np.float32)
    kept = np.cumprod(1 - np.linspace(BETA_FIRST**0.5, BETA_LAST**0.5, TIMES) ** 2)
    return np.sqrt((1 - kept) / kept).astype(np.float32)
