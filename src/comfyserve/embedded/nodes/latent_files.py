"""Latents in files (protocol spec section 14): the safetensors format, read and written here without its library.

The format: 8 bytes little-endian length, that much JSON ({name: {dtype, shape, data_offsets}}, __metadata__), the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import file_digest, sha256
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from comfyserve.core.safetensors import METADATA, read_header
from comfyserve.embedded.context import current
from comfyserve.embedded.files.folders import Folders
from comfyserve.embedded.nodes.declare import LATENT, SAVE_METADATA, Family, listing, text
from comfyserve.embedded.nodes.io import Prompt, Ui, png_texts
from comfyserve.embedded.pixels.arrays import TooLarge, check_room
from comfyserve.embedded.pixels.latents import Latent
from comfyserve.embedded.simulate.latent import CARRIED, Carried, carried_by, grid_by

family = Family()

Array = npt.NDArray[Any]

TENSOR: Final = "latent_tensor"
VERSION: Final = "latent_format_version_0"
# Files without a version hold the values of the first Stable Diffusion, which were scaled by this.
OLD_SCALE: Final = np.float32(1.0 / 0.18215)
MAX_HEADER_BYTES: Final = 16 * 2**20
DTYPES: Final[Mapping[str, str]] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U8": "<u1",
}


def _files(folders: Folders) -> list[str]:
    if not folders.input.is_dir():
        return []
    return sorted(entry.name for entry in folders.input.iterdir() if entry.suffix == ".latent" and entry.is_file())


def latent_exists(latent: str) -> bool | str:
    """The validator: the annotated file is there."""
    try:
        found = current().folders.annotated_path(latent).is_file()
    except ValueError:
        found = False
    return found or f"Invalid latent file: {latent}"


def latent_digest(latent: str) -> str:
    """The fingerprint: sha256 of the file."""
    with current().folders.annotated_path(latent).open("rb") as file:
        return file_digest(file, sha256).hexdigest()


@family.node(
    "LoadLatent",
    "nodes",
    "_for_testing",
    {"latent": listing(_files)},
    ("LATENT",),
    validate=latent_exists,
    fingerprint=latent_digest,
)
def load_latent(latent: str) -> Latent:
    """The latent of a file. ValueError if it is none."""
    tensors = read_tensors(current().folders.annotated_path(latent), (TENSOR, VERSION, CARRIED))
    if TENSOR not in tensors:
        raise ValueError(f"{latent} has no latent. Give a file that SaveLatent made.")
    scale = np.float32(1) if VERSION in tensors else OLD_SCALE
    samples = tensors[TENSOR].astype(np.float32) * scale
    loaded = {"samples": samples}
    pictures = tensors.get(CARRIED)
    if pictures is None or pictures.shape != _carried_shape(loaded):
        return loaded
    return loaded | {CARRIED: Carried(pictures, samples)}


def _carried_shape(latent: Latent) -> tuple[int, ...]:
    samples, grid = latent["samples"], grid_by(latent)
    frames = len(samples) * grid.frames(samples.shape[2] if samples.ndim == 5 else 1)
    return (frames, samples.shape[-2] * grid.cell, samples.shape[-1] * grid.cell, 3)


@family.node(
    "SaveLatent",
    "nodes",
    "_for_testing",
    {"samples": LATENT, "filename_prefix": text("latents/ComfyUI")},
    hidden=SAVE_METADATA,
    output_node=True,
)
def save_latent(
    samples: Latent,
    filename_prefix: str = "ComfyUI",
    prompt: Prompt | None = None,
    extra_pnginfo: Prompt | None = None,
) -> Ui:
    """One .latent file in the output folder, with the pictures that a simulated latent carries."""
    target = current().folders.next_output(filename_prefix, "output")
    name = target.name(0, "latent")
    cells = np.asarray(samples["samples"], np.float32)
    tensors: dict[str, Array] = {TENSOR: cells, VERSION: np.zeros(0, np.float32)}
    carried = carried_by(samples)
    if carried is not None and np.array_equal(carried.samples, cells):
        tensors[CARRIED] = carried.pictures
    write_tensors(target.folder / name, tensors, png_texts(prompt, extra_pnginfo))
    return {"latents": [{"filename": name, "subfolder": target.subfolder, "type": "output"}]}


def write_tensors(path: Path, tensors: Mapping[str, Array], texts: Mapping[str, str]) -> None:
    """Write a safetensors file of float32 and uint8 arrays with its texts as metadata."""
    header: dict[str, Any] = {METADATA: dict(texts)} if texts else {}
    start = 0
    for name, array in tensors.items():
        kind = "U8" if array.dtype == np.uint8 else "F32"
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [start, start + array.nbytes]}
        start += array.nbytes
    described = json.dumps(header).encode()
    described += b" " * (-len(described) % 8)
    with path.open("wb") as file:
        file.write(len(described).to_bytes(8, "little"))
        file.write(described)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).data)


def read_tensors(path: Path, names: tuple[str, ...]) -> dict[str, Array]:
    """Those of the named arrays that the file has. ValueError for a file that is damaged, foreign or too large."""
    try:
        with path.open("rb") as file:
            header = read_header(file, MAX_HEADER_BYTES)
            if header is None:
                raise EOFError
            start = file.tell()
            return {name: _tensor(file, start, header[name]) for name in names if name in header}
    except TooLarge:
        raise
    except (LookupError, TypeError, ValueError, EOFError, RecursionError, OSError) as reason:
        raise ValueError(f"{path.name} is not a safetensors file that can be read. Save the latent again.") from reason


def _tensor(file: BinaryIO, start: int, entry: Mapping[str, Any]) -> Array:
    shape = [int(side) for side in entry["shape"]]
    kind = np.dtype(DTYPES[entry["dtype"]])
    first, last = (int(place) for place in entry["data_offsets"])
    if min(shape, default=0) < 0:
        raise EOFError
    check_room(shape)
    if first < 0 or last - first != prod(shape) * kind.itemsize:
        raise EOFError
    file.seek(start + first)
    data = file.read(last - first)
    if len(data) != last - first:
        raise EOFError
    flat = np.frombuffer(data, kind)
    if entry["dtype"] == "BF16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.reshape(shape)
