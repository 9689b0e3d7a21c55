"""Sound: the latents of audio models, their VAE and their encoders."""

from __future__ import annotations

from typing import Any

import numpy as np

from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.simulate import sound
from comfyserve.embedded.simulate.latent import Floats
from comfyserve.embedded.simulate.model import Conditioning, Latent, Model

Audio = dict[str, Any]


@simulates("VAEDecodeAudio")
def decode(samples: Latent, vae: Model) -> Audio:
    """The sound at 44100 Hz."""
    return {"waveform": sound.decode(samples), "sample_rate": sound.RATE}


@simulates("VAEEncodeAudio")
def encode(audio: Audio, vae: Model) -> Latent:
    """The latent of a sound, brought to 44100 Hz."""
    return sound.encode(_at_rate(np.asarray(audio["waveform"], np.float32), int(audio["sample_rate"])))


@simulates("ConditioningStableAudio")
def times(
    positive: Conditioning, negative: Conditioning, seconds_start: float, seconds_total: float
) -> tuple[Conditioning, Conditioning]:
    """The length comes from the latent; nothing changes."""
    return positive, negative


@simulates("AudioEncoderEncode")
def encode_features(audio_encoder: Model, audio: Audio) -> Audio:
    """The sound itself: what the simulated encoder knows of it."""
    return audio


def _at_rate(wave: Floats, rate: int) -> Floats:
    if rate == sound.RATE:
        return wave
    count = round(wave.shape[-1] * sound.RATE / rate)
    places = np.linspace(0, max(wave.shape[-1] - 1, 0), count)
    known = np.arange(wave.shape[-1])
    rows = [np.interp(places, known, row) for row in wave.reshape(-1, wave.shape[-1])]
    return np.asarray(rows, np.float32).reshape(*wave.shape[:-1], count)
