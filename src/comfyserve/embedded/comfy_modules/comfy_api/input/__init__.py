"""Types of values: NumPy arrays here, where ComfyUI has torch tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

ImageInput = npt.NDArray[np.float32]
MaskInput = npt.NDArray[np.float32]


class AudioInput(TypedDict):
    """Samples [B,C,T] and their rate."""

    waveform: Any
    sample_rate: int


class LatentInput(TypedDict, total=False):
    """Latents [B,C,H,W]."""

    samples: Any
    noise_mask: Any
    batch_index: list[int]


class VideoInput(ABC):
    """A video; the engine's own nodes make and save them."""

    @abstractmethod
    def get_components(self) -> Any:
        """Frames, sound and rate."""

    @abstractmethod
    def save_to(self, path: Any, format: Any = "auto", codec: Any = "auto", metadata: Any = None) -> None:
        """Write a file."""
