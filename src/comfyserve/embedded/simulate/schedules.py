"""Sigma schedules: how the steps of a sampler are spread over the noise, largest sigma first, 0 last.

The formulas are published (Karras et al. 2022 and the papers named below). All give float32 arrays [steps + 1].
"""

from __future__ import annotations

from collections.abc import Callable
from math import atan, pi
from typing import Final

import numpy as np

from .canvas import Floats
from .noise_scale import NoiseScale

# Published noise levels for few steps: "Align Your Steps" and "Optimal Stepsize"; between them logs are interpolated.
# fmt: off
ALIGNED: Final = {
    "SD1": (14.6146, 6.4746, 3.8637, 2.6946, 1.8842, 1.3944, 0.9643, 0.6524, 0.3977, 0.1515, 0.0292),
    "SDXL": (14.6146, 6.3184, 3.7682, 2.1812, 1.3405, 0.8621, 0.5551, 0.3799, 0.2332, 0.1114, 0.0292),
    "SVD": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
    "FLUX": (0.9968, 0.9886, 0.9819, 0.975, 0.966, 0.9471, 0.9158, 0.8287, 0.5512, 0.2808, 0.001),
    "Wan": (
        1.0, 0.997, 0.995, 0.993, 0.991, 0.989, 0.987,
        0.985, 0.98, 0.975, 0.973, 0.968, 0.96, 0.946,
        0.927, 0.902, 0.864, 0.776, 0.539, 0.208, 0.001,
    ),
    "Chroma": (
        0.992, 0.99, 0.988, 0.985, 0.982, 0.978, 0.973,
        0.968, 0.961, 0.953, 0.943, 0.931, 0.917, 0.9,
        0.881, 0.858, 0.832, 0.802, 0.769, 0.731, 0.69,
        0.646, 0.599, 0.55, 0.501, 0.451, 0.402, 0.355,
        0.311, 0.27, 0.232, 0.199, 0.169, 0.143, 0.12,
        0.101, 0.084, 0.07, 0.058, 0.048, 0.001,
    ),
}
# fmt: on
LINEAR_NOISE = 0.025
MOST_STEPS = 1_000_000


def schedule(name: str, noise: NoiseScale, steps: int) -> Floats:
    """The sigmas of a scheduler by ComfyUI's name. KeyError for an unknown one; `beta` may have fewer entries."""
    return np.asarray(SCHEDULES[name](noise, steps), np.float32)


def with_denoise(name: str, noise: NoiseScale, steps: int, denoise: float) -> Floats:
    """The last `steps` steps of a schedule so long that they are this share of it; empty for 0.

    ValueError when that is too long.
    """
    if denoise >= 1:
        return schedule(name, noise, steps)
    if denoise <= 0:
        return np.zeros(0, np.float32)
    if steps > denoise * MOST_STEPS:
        raise ValueError(f"{steps} steps at denoise {denoise:g} are the end of more than {MOST_STEPS}; ask for fewer.")
    return schedule(name, noise, int(steps / denoise))[-(steps + 1) :]


def karras(steps: int, low: float, high: float, rho: float = 7.0) -> Floats:
    """Even in sigma^(1/rho)."""
    return _ended((high ** (1 / rho) + np.linspace(0, 1, steps) * (low ** (1 / rho) - high ** (1 / rho))) ** rho)


def exponential(steps: int, low: float, high: float) -> Floats:
    """Even in log sigma."""
    return _ended(np.exp(np.linspace(np.log(high), np.log(max(low, 1e-9)), steps)))


def polyexponential(steps: int, low: float, high: float, rho: float = 1.0) -> Floats:
    """A power of the way, in log sigma."""
    way = np.linspace(1, 0, steps) ** rho
    return _ended(np.exp(way * (np.log(high) - np.log(max(low, 1e-9))) + np.log(max(low, 1e-9))))


def laplace(steps: int, low: float, high: float, middle: float, spread: float) -> Floats:
    """Laplace-distributed log sigma, within low and high; as in ComfyUI only `steps` values, without the 0."""
    way = np.linspace(0, 1, steps) - 0.5
    logs = middle + spread * np.sign(way) * np.log(np.maximum(1 - 2 * np.abs(way), 1e-5))
    return np.asarray(np.clip(np.exp(logs), low, high), np.float32)


def variance_preserving(steps: int, beta_d: float, beta_min: float, eps: float) -> Floats:
    """The continuous VP schedule of Song et al. 2021."""
    times = np.linspace(1, eps, steps)
    return _ended(np.sqrt(np.expm1(beta_d * times**2 / 2 + beta_min * times)))


def beta_spread(noise: NoiseScale, steps: int, alpha: float = 0.6, beta: float = 0.6) -> Floats:
    """Times by a beta distribution (arXiv 2407.12173); equal neighbours are left out."""
    from scipy.special import betaincinv  # type: ignore[import-untyped] # no stubs; slow to import

    table = noise.table()
    shares = betaincinv(alpha, beta, 1 - np.linspace(0, 1, steps, endpoint=False))
    places = np.rint(shares * (len(table) - 1)).astype(int)
    kept = places[np.concatenate([[True], places[1:] != places[:-1]])]
    return _ended(table[kept])


def aligned(kind: str, steps: int, denoise: float) -> Floats:
    """The published levels of ALIGNED for this many steps; KeyError for an unknown kind, empty for denoise 0."""
    total = steps if denoise >= 1 else round(steps * denoise)
    if total <= 0:
        return np.zeros(0, np.float32)
    levels = np.log(ALIGNED[kind])
    places = np.linspace(0, len(levels) - 1, steps + 1)
    sigmas = np.exp(np.interp(places, np.arange(len(levels)), levels)).astype(np.float32)[-(total + 1) :]
    sigmas[-1] = 0
    return sigmas


def stretched_flow(steps: int, places: int, low_shift: float, high_shift: float, stretch: bool, end: float) -> Floats:
    """Straight lines with a shift that grows from 1024 to 4096 places; `stretch` lets the last step begin at `end`."""
    shift = low_shift + (high_shift - low_shift) * (places - 1024) / (4096 - 1024)
    times = np.linspace(1, 0, steps + 1)
    power = np.exp(shift)
    sigmas = np.where(times > 0, power / (power + (1 / np.maximum(times, 1e-9) - 1)), 0)
    if stretch and steps > 0:
        rest = 1 - sigmas[:-1]
        sigmas[:-1] = 1 - rest / (rest[-1] / (1 - end) if rest[-1] else 1)
    return np.asarray(sigmas, np.float32)


def _ended(sigmas: object) -> Floats:
    return np.append(np.asarray(sigmas, np.float32), np.float32(0))


def _simple(noise: NoiseScale, steps: int) -> Floats:
    table = noise.table()
    return _ended(table[-(1 + (np.arange(steps) * len(table) / max(steps, 1)).astype(int))])


def _ddim(noise: NoiseScale, steps: int) -> Floats:
    table = noise.table()
    return _ended(table[1 :: max(len(table) // steps, 1)][::-1])


def _even(noise: NoiseScale, steps: int, count: int) -> Floats:
    if noise.kind == "flow":
        times = np.linspace(float(noise.table()[-1]), float(noise.table()[0]), count)
    else:
        times = np.linspace(1, 0, count)
    return _ended(noise.sigmas(times[:steps]))


def _linear_quadratic(noise: NoiseScale, steps: int) -> Floats:
    high = float(noise.table()[-1])
    if steps == 1:
        return np.asarray([high, 0], np.float32)
    linear = steps // 2
    rest = steps - linear
    slope = LINEAR_NOISE / linear
    bend = (1 - LINEAR_NOISE - slope * rest) / rest**2
    first = np.arange(linear) * slope
    after = np.arange(rest)
    done = np.concatenate([first, LINEAR_NOISE + slope * after + bend * after**2, [1.0]])
    return np.asarray((1 - done) * high, np.float32)


def _kl_optimal(noise: NoiseScale, steps: int) -> Floats:
    table = noise.table()
    way = np.linspace(0, 1, steps)
    return _ended(np.tan(np.minimum(way * atan(table[0]) + (1 - way) * atan(table[-1]), pi / 2 - 1e-6)))


def _by_ends(spread: Callable[[int, float, float], Floats]) -> Callable[[NoiseScale, int], Floats]:
    return lambda noise, steps: spread(steps, float(noise.table()[0]), float(noise.table()[-1]))


SCHEDULES: Final[dict[str, Callable[[NoiseScale, int], Floats]]] = {
    "simple": _simple,
    "sgm_uniform": lambda noise, steps: _even(noise, steps, steps + 1),
    "karras": _by_ends(karras),
    "exponential": _by_ends(exponential),
    "ddim_uniform": _ddim,
    "beta": beta_spread,
    "normal": lambda noise, steps: _even(noise, steps, steps),
    "linear_quadratic": _linear_quadratic,
    "kl_optimal": _kl_optimal,
}
