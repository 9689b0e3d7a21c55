"""Samplers: KSampler and the custom ones, guiders, noise. Every step costs the setting step_ms and shows a preview."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from comfyserve.embedded.context import current
from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.simulate import SAMPLER, OnStep, Preview, Task
from comfyserve.embedded.simulate.latent import Floats, clean_part
from comfyserve.embedded.simulate.model import Conditioning, Guider, Latent, Method, Model, Noise
from comfyserve.embedded.simulate.sound import is_audio, walked

KEPT = ("noise_mask", "batch_index", "type", "simulated_keyframes")


@simulates("KSampler")
def sample(
    model: Model,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    denoise: float = 1.0,
) -> Latent:
    """From the share `denoise` of noise to none."""
    method = f"{sampler_name}/{scheduler}"
    return walk(Task(model, positive, negative, seed, steps, cfg, denoise, method=method), latent_image)


@simulates("KSamplerAdvanced")
def sample_part(
    model: Model,
    add_noise: str,
    noise_seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Conditioning,
    negative: Conditioning,
    latent_image: Latent,
    start_at_step: int,
    end_at_step: int,
    return_with_leftover_noise: str,
) -> Latent:
    """A part of the steps; the noise that is left at its end may stay, for the next sampler."""
    last = min(end_at_step, steps)
    first = min(start_at_step, last)
    left = (steps - last) / steps if return_with_leftover_noise == "enable" else 0.0
    task = Task(
        model,
        positive,
        negative,
        None if add_noise == "disable" else noise_seed,
        last - first,
        cfg,
        (steps - first) / steps,
        left,
        f"{sampler_name}/{scheduler}",
    )
    return walk(task, latent_image)


@simulates("SamplerCustom")
def sample_custom(
    model: Model,
    add_noise: bool,
    noise_seed: int,
    cfg: float,
    positive: Conditioning,
    negative: Conditioning,
    sampler: Method,
    sigmas: Floats,
    latent_image: Latent,
) -> tuple[Latent, Latent]:
    """By given sigmas; the second output is without the noise that is left."""
    guider = Guider(model, positive, negative, cfg)
    return sample_guided(Noise(noise_seed if add_noise else None), guider, sampler, sigmas, latent_image)


@simulates("SamplerCustomAdvanced")
def sample_guided(
    noise: Noise, guider: Guider, sampler: Method, sigmas: Floats, latent_image: Latent
) -> tuple[Latent, Latent]:
    """By given noise, guider and sigmas; the second output is without the noise that is left."""
    if len(sigmas) < 2:
        return latent_image, latent_image
    scale = guider.model.family.noise
    task = Task(
        guider.model,
        guider.positive,
        guider.negative,
        noise.seed,
        len(sigmas) - 1,
        guider.cfg,
        scale.time(float(sigmas[0])),
        scale.time(float(sigmas[-1])),
        str(sampler),
    )
    result = walk(replace(task, start=1.0 if task.start > 0.99 else task.start), latent_image)
    return result, clean_part(result)


@simulates("BasicGuider")
def guide(model: Model, conditioning: Conditioning) -> Guider:
    """One conditioning, no negative one."""
    return Guider(model, conditioning, [], 1.0)


@simulates("CFGGuider")
def guide_with_cfg(model: Model, positive: Conditioning, negative: Conditioning, cfg: float) -> Guider:
    """Towards one conditioning and away from another."""
    return Guider(model, positive, negative, cfg)


@simulates("DualCFGGuider")
def guide_twice(
    model: Model,
    cond1: Conditioning,
    cond2: Conditioning,
    negative: Conditioning,
    cfg_conds: float,
    cfg_cond2_negative: float,
    style: str,
) -> Guider:
    """Towards two conditionings, the first in front."""
    return Guider(model, cond1 + cond2, negative, cfg_conds)


@simulates("PerpNegGuider")
def guide_perpendicular(
    model: Model,
    positive: Conditioning,
    negative: Conditioning,
    empty_conditioning: Conditioning,
    cfg: float,
    neg_scale: float,
) -> Guider:
    """As CFGGuider; the scale joins the model's patches."""
    return Guider(model.add("patch", "PerpNegGuider", neg_scale), positive, negative, cfg)


@simulates("RandomNoise")
def random_noise(noise_seed: int) -> Noise:
    """Noise of this seed."""
    return Noise(noise_seed)


@simulates("DisableNoise")
def no_noise() -> Noise:
    """None."""
    return Noise(None)


@simulates("AddNoise")
def add_noise(model: Model, noise: Noise, sigmas: Floats, latent_image: Latent) -> Latent:
    """The latent with noise of the first sigma (the span of first and last, if there are several)."""
    if len(sigmas) == 0 or noise.seed is None:
        return latent_image
    span = abs(float(sigmas[0]) - float(sigmas[-1])) if len(sigmas) > 1 else float(sigmas[0])
    samples = np.asarray(latent_image["samples"], np.float32)
    drawn = np.random.Generator(np.random.PCG64(noise.seed)).standard_normal(samples.shape, np.float32)
    share = np.float32(model.family.noise.time(span))
    return {**latent_image, "samples": np.asarray(samples * (1 - share) + drawn * share, np.float32)}


@simulates("KSamplerSelect")
def select_method(sampler_name: str) -> Method:
    """The algorithm of this name."""
    return Method(sampler_name)


def walk(task: Task, latent: Latent) -> dict[str, Any]:
    """Let the sampler work, with progress, previews and interruption."""
    kept = {key: latent[key] for key in KEPT if key in latent}
    report = _reporting(task.steps)
    if is_audio(latent):
        return {**kept, **walked(task, latent, report)}
    return {**kept, **SAMPLER.sample(task, latent, report, current().check_interrupted)}


def _reporting(steps: int) -> OnStep:
    context = current()

    def report(step: int, preview: Preview) -> None:
        # The wait ends at once when the prompt is interrupted; progress() then raises.
        context.wait(context.settings.step_ms / 1000)
        context.progress(step, steps, preview(context.settings.preview_size))

    return report
