"""What the links of a graph carry: models with their patches, conditionings, controls, noise, guiders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .families import Family, family_of
from .noise_scale import NoiseScale

Bytes = NDArray[np.uint8]
Latent = Mapping[str, Any]
Conditioning = list[list[Any]]
"""ComfyUI's form: pairs [embedding, options]; the first is an `Embedding` here."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that was added to a model: a LoRA, a patch, a merged model."""

    kind: str
    name: str
    strength: float = 1.0

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{self.strength:g}"


@dataclass(frozen=True, slots=True)
class Control:
    """Pictures whose structure the result must show, from the share `start` of the way to `end`."""

    pictures: Bytes = field(repr=False)
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """A picture whose colours the result takes on, by `strength` 0..1 (style models, unCLIP, PhotoMaker)."""

    picture: Bytes = field(repr=False)
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Model:
    """A MODEL, CLIP, VAE or other loaded file: its name, its family and what was added."""

    name: str
    family: Family
    parts: tuple[Part, ...] = ()
    controls: tuple[Control, ...] = ()
    looks: tuple[Look, ...] = ()

    @classmethod
    def loaded(cls, *names: str) -> Model:
        """The model of these files; the first that names a family decides it."""
        return cls(" + ".join(names), family_of(names[0]))

    def add(self, kind: str, name: str, strength: float = 1.0) -> Model:
        """With one part more."""
        return replace(self, parts=(*self.parts, Part(kind, name, strength)))

    def with_noise(self, noise: NoiseScale) -> Model:
        """With another noise scale (the ModelSampling nodes)."""
        return replace(self, family=replace(self.family, noise=noise))

    @property
    def identity(self) -> str:
        """A text that is equal exactly when name and parts are."""
        return "+".join([self.name, *map(str, self.parts)])


@dataclass(frozen=True, slots=True)
class Embedding:
    """What the first place of a conditioning pair carries: the text itself; `other` is blended in by `share`."""

    text: str
    other: str = ""
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Noise:
    """A NOISE link; no seed means no noise."""

    seed: int | None


@dataclass(frozen=True, slots=True)
class Method:
    """A SAMPLER link: the algorithm and its options."""

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return "/".join([self.name, *(f"{key}={value}" for key, value in self.options)])


@dataclass(frozen=True, slots=True)
class Guider:
    """A GUIDER link: a model and what it is asked for."""

    model: Model
    positive: Conditioning
    negative: Conditioning
    cfg: float
