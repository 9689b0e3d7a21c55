"""Progress, resizing of NumPy pictures, and the dictionary functions of `comfy.utils`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from comfyserve.core.safetensors import read_header_text
from comfyserve.embedded import context
from comfyserve.embedded.packs.host import needs_torch

Samples = npt.NDArray[np.float32]
Hook = Callable[..., None]

MMAP_TORCH_FILES = False
DISABLE_MMAP = False
PROGRESS_BAR_ENABLED = True
PROGRESS_BAR_HOOK: Hook | None = None


def set_progress_bar_enabled(enabled: bool) -> None:
    """Whether progress bars are drawn on the terminal; none are here."""
    global PROGRESS_BAR_ENABLED  # the module itself is the record, as packs expect
    PROGRESS_BAR_ENABLED = enabled


def set_progress_bar_global_hook(function: Hook) -> None:
    """Call function(value, total, preview, node_id=...) as well, for bars made from now on."""
    global PROGRESS_BAR_HOOK  # as above
    PROGRESS_BAR_HOOK = function


class ProgressBar:
    """Progress of the node it is made in, told to the prompt's client; outside of a node it is silent."""

    def __init__(self, total: float, node_id: str | None = None) -> None:
        self.total = total
        self.current: float = 0
        self.hook = PROGRESS_BAR_HOOK
        self.node_id = node_id

    def update(self, value: float) -> None:
        """Go on by value."""
        self.update_absolute(self.current + value)

    def update_absolute(self, value: float, total: float | None = None, preview: Any = None) -> None:
        """Be at value of total, with a preview (format, Pillow image, longest side). Raises Interrupted."""
        self.total = self.total if total is None else total
        self.current = min(value, self.total)
        if self.hook is not None:
            self.hook(self.current, self.total, preview, node_id=self.node_id)
        report(self.current, self.total, preview, self.node_id)


def report(value: float, total: float, preview: Any = None, node_id: str | None = None) -> None:
    """Progress of a node, by default of the one that runs; silent outside of one. Raises Interrupted."""
    try:
        around = context.current()
    except LookupError:
        return
    node = around if node_id is None else replace(around, node_id=node_id)
    node.progress(value, total, _picture(preview))


def _picture(preview: Any) -> Any:
    """The Pillow image of (format, image, longest side), shrunk to that side."""
    if not isinstance(preview, (tuple, list)):
        return preview
    picture, most = preview[1], preview[2] if len(preview) > 2 else None
    if most is not None and max(picture.size) > most:
        picture = picture.copy()
        picture.thumbnail((most, most))
    return picture


def common_upscale(samples: Samples, width: int, height: int, upscale_method: str, crop: str) -> Samples:
    """A batch [B,C,H,W] (or [B,C,T,H,W]) at another size; crop is "disabled" or "center"."""
    from comfyserve.embedded.pixels.resample import upscale

    shape = samples.shape
    flat = samples.reshape(-1, shape[1], *shape[-2:]) if samples.ndim == 4 else _frames(samples)
    sized = np.moveaxis(upscale(np.moveaxis(flat, 1, -1), width, height, upscale_method, crop), -1, 1)
    if samples.ndim == 4:
        return np.ascontiguousarray(sized)
    return np.moveaxis(sized.reshape(shape[0], shape[2], shape[1], *sized.shape[-2:]), 2, 1)


def _frames(samples: Samples) -> Samples:
    batch, channels, time, height, width = samples.shape
    return np.moveaxis(samples, 2, 1).reshape(batch * time, channels, height, width)


def repeat_to_batch_size(tensor: Samples, batch_size: int, dim: int = 0) -> Samples:
    """Repeat items, or cut, until there are batch_size of them."""
    repeated: Samples = np.take(tensor, np.arange(batch_size) % tensor.shape[dim], axis=dim)
    return repeated


def resize_to_batch_size(tensor: Samples, batch_size: int) -> Samples:
    """Items spread evenly over batch_size."""
    have = tensor.shape[0]
    if have == batch_size or batch_size < 1:
        return tensor[:batch_size]
    last = (have - 1) / max(1, batch_size - 1) if batch_size < have else have / batch_size
    places = [round(i * last) if batch_size < have else int((i + 0.5) * last) for i in range(batch_size)]
    return np.stack([tensor[min(place, have - 1)] for place in places])


def state_dict_key_replace(state_dict: MutableMapping[str, Any], keys_to_replace: Mapping[str, str]) -> Any:
    """Rename keys in place."""
    for old, new in keys_to_replace.items():
        if old in state_dict:
            state_dict[new] = state_dict.pop(old)
    return state_dict


def state_dict_prefix_replace(
    state_dict: MutableMapping[str, Any], replace_prefix: Mapping[str, str], filter_keys: bool = False
) -> Any:
    """Rename prefixes of keys, in place or (filter_keys) into a new dictionary of only these."""
    target: MutableMapping[str, Any] = {} if filter_keys else state_dict
    for old, new in replace_prefix.items():
        for key in [key for key in state_dict if key.startswith(old)]:
            target[new + key.removeprefix(old)] = state_dict.pop(key)
    return target


def get_attr(obj: Any, attr: str) -> Any:
    """obj.a.b.c for "a.b.c"."""
    return operator.attrgetter(attr)(obj)


def set_attr(obj: Any, attr: str, value: Any) -> Any:
    """Set obj.a.b.c for "a.b.c"; the value before."""
    *path, last = attr.split(".")
    owner = reduce(getattr, path, obj)
    before = getattr(owner, last)
    setattr(owner, last, value)
    return before


def safetensors_header(safetensors_path: str, max_size: int = 100 * 1024 * 1024) -> bytes | None:
    """The JSON header of a safetensors file, None when it is longer than max_size or the file is cut."""
    with Path(safetensors_path).open("rb") as file:
        return read_header_text(file, max_size)


def get_tiled_scale_steps(width: int, height: int, tile_x: int, tile_y: int, overlap: int) -> int:
    """How many tiles a picture is done in."""
    along = [
        1 if size <= tile else -(-(size - overlap) // (tile - overlap))
        for size, tile in _sides(width, height, tile_x, tile_y)
    ]
    return along[0] * along[1]


def _sides(width: int, height: int, tile_x: int, tile_y: int) -> Iterator[tuple[int, int]]:
    yield height, tile_y
    yield width, tile_x


def load_torch_file(*_: object, **__: object) -> NoReturn:
    """Raises NeedsTorch."""
    needs_torch("comfy.utils.load_torch_file")


def save_torch_file(*_: object, **__: object) -> NoReturn:
    """Raises NeedsTorch."""
    needs_torch("comfy.utils.save_torch_file")


def tiled_scale(*_: object, **__: object) -> NoReturn:
    """Raises NeedsTorch."""
    needs_torch("comfy.utils.tiled_scale")
