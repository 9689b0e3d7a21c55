"""Pictures and sound as packs get them: NumPy arrays that also answer to the few tensor methods simple packs use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


class Size(int):
    """The number of samples, as NumPy has it; called, the shape, as tensors have it."""

    shape: tuple[int, ...]

    def __call__(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]


class PackArray(np.ndarray[Any, np.dtype[Any]]):
    """A view of an array. Packs without torch write `image.cpu().numpy()`: both are here, and little more."""

    @property
    def size(self) -> Size:
        size = Size(super().size)
        size.shape = self.shape
        return size

    def cpu(self) -> PackArray:
        return self

    def detach(self) -> PackArray:
        return self

    def contiguous(self) -> PackArray:
        return self

    def to(self, *_: object, **__: object) -> PackArray:
        """Devices and types are one here."""
        return self

    def float(self) -> PackArray:
        return self.astype(np.float32, copy=False).view(PackArray)

    def numpy(self) -> npt.NDArray[Any]:
        """The plain array."""
        return self.view(np.ndarray)

    def clone(self) -> PackArray:
        return self.copy()

    def unsqueeze(self, dim: int) -> PackArray:
        """One more axis of length 1."""
        return np.expand_dims(self, dim).view(PackArray)

    def permute(self, *dims: int) -> PackArray:
        """The axes in another order."""
        return self.transpose(*dims)

    def movedim(self, source: int, destination: int) -> PackArray:
        """One axis at another place."""
        return np.moveaxis(self, source, destination)


def pack_values(arguments: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """The arguments of a pack's node, arrays as PackArray, also those inside a latent or a sound."""
    return {name: [_view(value) for value in values] for name, values in arguments.items()}


def _view(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.view(PackArray)
    if type(value) is dict and any(isinstance(inner, np.ndarray) for inner in value.values()):
        return {key: inner.view(PackArray) if isinstance(inner, np.ndarray) else inner for key, inner in value.items()}
    return value
