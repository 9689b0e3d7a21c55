"""Schedulers and what changes sigmas: real numbers, as long as a model would get them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.simulate import schedules
from comfyserve.embedded.simulate.latent import Floats
from comfyserve.embedded.simulate.model import Latent, Model

LTXV_PLACES = 4096
TURBO_STEPS = 10


@simulates("BasicScheduler")
def by_scheduler(model: Model, scheduler: str, steps: int, denoise: float) -> Floats:
    """The sigmas of KSampler's scheduler for this model."""
    return schedules.with_denoise(scheduler, model.family.noise, steps, denoise)


@simulates("KarrasScheduler")
def karras(steps: int, sigma_max: float, sigma_min: float, rho: float) -> Floats:
    """See schedules.karras."""
    return schedules.karras(steps, sigma_min, sigma_max, rho)


@simulates("ExponentialScheduler")
def exponential(steps: int, sigma_max: float, sigma_min: float) -> Floats:
    """See schedules.exponential."""
    return schedules.exponential(steps, sigma_min, sigma_max)


@simulates("PolyexponentialScheduler")
def polyexponential(steps: int, sigma_max: float, sigma_min: float, rho: float) -> Floats:
    """See schedules.polyexponential."""
    return schedules.polyexponential(steps, sigma_min, sigma_max, rho)


@simulates("LaplaceScheduler")
def laplace(steps: int, sigma_max: float, sigma_min: float, mu: float, beta: float) -> Floats:
    """See schedules.laplace."""
    return schedules.laplace(steps, sigma_min, sigma_max, mu, beta)


@simulates("VPScheduler")
def variance_preserving(steps: int, beta_d: float, beta_min: float, eps_s: float) -> Floats:
    """See schedules.variance_preserving."""
    return schedules.variance_preserving(steps, beta_d, beta_min, eps_s)


@simulates("BetaSamplingScheduler")
def beta_spread(model: Model, steps: int, alpha: float, beta: float) -> Floats:
    """See schedules.beta_spread."""
    return schedules.beta_spread(model.family.noise, steps, alpha, beta)


@simulates("SDTurboScheduler")
def turbo(model: Model, steps: int, denoise: float) -> Floats:
    """Every hundredth time of the model."""
    times = (np.arange(TURBO_STEPS, 0, -1) * 100 - 1)[TURBO_STEPS - int(TURBO_STEPS * denoise) :][:steps]
    return np.append(model.family.noise.table()[times], np.float32(0)).astype(np.float32)


@simulates("AlignYourStepsScheduler", "OptimalStepsScheduler")
def aligned(model_type: str, steps: int, denoise: float) -> Floats:
    """Published levels of the model type."""
    return schedules.aligned(model_type, steps, denoise)


@simulates("GITSScheduler")
def gits(coeff: float, steps: int, denoise: float) -> Floats:
    """Few steps for Stable Diffusion; a larger coefficient spends more of them on much noise."""
    total = steps if denoise >= 1 else round(steps * denoise)
    if total <= 0:
        return np.zeros(0, np.float32)
    return schedules.karras(steps, 0.0291675, 14.614642, 7.0 * 1.2 / coeff)[-(total + 1) :]


@simulates("LTXVScheduler")
def ltxv(
    steps: int, max_shift: float, base_shift: float, stretch: bool, terminal: float, latent: Latent | None = None
) -> Floats:
    """Shifted by the size of the latent (4096 places if none is given)."""
    places = LTXV_PLACES if latent is None else int(np.prod(np.shape(latent["samples"])[2:]))
    return schedules.stretched_flow(steps, places, base_shift, max_shift, stretch, terminal)


@simulates("SplitSigmas")
def split(sigmas: Floats, step: int) -> tuple[Floats, Floats]:
    """Before and after a step; both have its sigma."""
    return sigmas[: step + 1], sigmas[step:]


@simulates("SplitSigmasDenoise")
def split_by_share(sigmas: Floats, denoise: float) -> tuple[Floats, Floats]:
    """The last share of the steps apart."""
    steps = round(max(len(sigmas) - 1, 0) * denoise)
    return sigmas[: len(sigmas) - steps], sigmas[-(steps + 1) :]


@simulates("FlipSigmas")
def flip(sigmas: Floats) -> Floats:
    """The other way round; a 0 at the start becomes 0.0001."""
    flipped = np.array(sigmas[::-1], np.float32)
    if len(flipped) and flipped[0] == 0:
        flipped[0] = 0.0001
    return flipped


@simulates("SetFirstSigma")
def set_first(sigmas: Floats, sigma: float) -> Floats:
    """With another first sigma."""
    changed = np.array(sigmas, np.float32)
    changed[:1] = sigma
    return changed


@simulates("ExtendIntermediateSigmas")
def extend(sigmas: Floats, steps: int, start_at_sigma: float, end_at_sigma: float, spacing: str) -> Floats:
    """More steps between neighbours whose sigma lies between the two bounds (a start of -1 has none)."""
    high = float("inf") if start_at_sigma < 0 else start_at_sigma
    way = np.linspace(0, 1, steps + 1)[1:-1]
    shares = {"linear": way, "cosine": np.sin(way * np.pi / 2), "sine": 1 - np.cos(way * np.pi / 2)}[spacing]
    result: list[float] = []
    for here, following in pairwise(sigmas):
        result.append(float(here))
        if end_at_sigma <= here <= high:
            result += [float(here + (following - here) * share) for share in shares]
    return np.asarray([*result, *(float(value) for value in sigmas[-1:])], np.float32)


@simulates("SamplingPercentToSigma")
def at_percent(model: Model, sampling_percent: float, return_actual_sigma: bool) -> float:
    """The sigma of the model when this share of the way is done."""
    table = model.family.noise.table()
    if return_actual_sigma and sampling_percent in (0.0, 1.0):
        return float(table[-1] if sampling_percent == 0.0 else table[0])
    return model.family.noise.at_share(sampling_percent)
