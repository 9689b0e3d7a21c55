"""Sound of the simulated audio models: a short melody that words and seed decide, and latents that carry it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from PIL import Image

from .chance import generator
from .latent import Floats
from .model import Latent
from .sampler import OnStep, Task
from .wish import words_of

RATE: Final = 44100
CARRIED: Final = "simulated_sound"
MAX_SECONDS: Final = 1000.0
BEAT: Final = 0.4
SCALE: Final = (0, 3, 5, 7, 10, 12, 15)
BASE_HERTZ: Final = 220.0
LOUDNESS: Final = 0.25
SHAPES: Final = ((64,), (8, 16))


def is_audio(latent: Latent) -> bool:
    """Whether the latent is one of sound."""
    return latent.get("type") == "audio"


def walked(task: Task, latent: Latent, on_step: OnStep) -> dict[str, Any]:
    """The latent of the melody that the task makes; previews show its wave."""
    samples = np.asarray(latent["samples"], np.float32)
    seconds = seconds_of(samples.shape)
    words = words_of(task.positive)
    waves = np.stack([melody(words, f"{task.seed}/{index}", seconds) for index in range(len(samples))])
    for step in range(1, task.steps + 1):
        on_step(step, lambda longest, step=step: _picture(waves[0], step / task.steps, longest))  # type: ignore[misc]
    return {"samples": _cells(waves, samples.shape), CARRIED: waves}


def decode(latent: Latent) -> Floats:
    """The waves [B,2,T] of a latent: the carried ones, else a hum of its length."""
    samples = np.asarray(latent["samples"], np.float32)
    carried = latent.get(CARRIED)
    if isinstance(carried, np.ndarray) and len(carried) == len(samples):
        return carried
    seconds = seconds_of(samples.shape)
    return np.stack([melody("", str(index), seconds) for index in range(len(samples))])


def encode(waveform: Floats) -> dict[str, Any]:
    """The latent [B,64,T] of waves [B,C,T] at RATE."""
    two = np.repeat(waveform, 2, axis=1)[:, :2] if waveform.shape[1] < 2 else waveform[:, :2]
    wave = np.ascontiguousarray(two, np.float32)
    shape = (len(wave), 64, max(1, wave.shape[-1] // 2048))
    return {"samples": _cells(wave, shape), CARRIED: wave, "type": "audio"}


def seconds_of(shape: tuple[int, ...]) -> float:
    """How long a latent [B,64,T] or [B,8,16,T] sounds. ValueError for another shape, or when too long."""
    if shape[1:-1] not in SHAPES:
        raise ValueError(f"The simulated audio models decode latents [B,64,T] and [B,8,16,T]; got {list(shape)}.")
    seconds = shape[-1] * (4096 if len(shape) == 4 else 2048) / RATE
    if shape[0] * seconds > MAX_SECONDS:
        raise ValueError(f"{shape[0]} x {seconds:.0f} s is more sound than is simulated ({MAX_SECONDS:.0f} s in all).")
    return seconds


def melody(words: str, seed: str, seconds: float) -> Floats:
    """Notes of a minor pentatonic scale [2,T] with soft ends, a little apart between left and right."""
    chance = generator("melody", words.lower(), seed)
    count = round(seconds * RATE)
    beats = max(1, int(np.ceil(seconds / BEAT)))
    steps = chance.integers(0, len(SCALE), beats)
    time = np.arange(round(BEAT * RATE), dtype=np.float64) / RATE
    fade = np.minimum(1, np.minimum(time / 0.02, (BEAT - time) / 0.15))
    wave = np.zeros((2, beats * len(time)), np.float32)
    for beat, step in enumerate(steps):
        hertz = BASE_HERTZ * 2 ** (SCALE[step] / 12)
        tone = np.sin(2 * np.pi * hertz * time) + 0.3 * np.sin(4 * np.pi * hertz * time)
        note = (tone * fade * LOUDNESS).astype(np.float32)
        left = np.float32(chance.uniform(0.7, 1.0))
        wave[:, beat * len(time) : (beat + 1) * len(time)] = note * np.asarray([[left], [1.7 - left]], np.float32)
    return wave[:, :count]


def _cells(waves: Floats, shape: tuple[int, ...]) -> Floats:
    """Loudness per place, in every channel."""
    places = shape[-1]
    cut = np.abs(waves[:, :, : waves.shape[-1] // places * places]).mean(axis=1) if places else waves[:, 0, :0]
    loud = cut.reshape(len(waves), places, -1).mean(axis=-1) if cut.size else np.zeros((len(waves), places))
    return np.broadcast_to(loud.reshape(len(waves), *(1,) * (len(shape) - 2), places), shape).astype(np.float32)


def _picture(wave: Floats, done: float, longest: int) -> Image.Image:
    height = min(longest, 256)
    sheet = np.full((height, longest), 20, np.uint8)
    for column, part in enumerate(np.array_split(wave[0], longest)):
        reach = int(np.abs(part).max(initial=0) * 2 * height * done)
        sheet[max(0, height // 2 - reach) : height // 2 + reach + 1, column] = 200
    return Image.fromarray(sheet).convert("RGB")
