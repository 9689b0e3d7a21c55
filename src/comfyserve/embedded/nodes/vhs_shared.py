"""What the nodes of VideoHelperSuite have in common: names, types, widgets, and where a path may lead."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from comfyserve.embedded.context import current
from comfyserve.embedded.files.folders import inside
from comfyserve.embedded.nodes.declare import Inputs, Spec, integer

MODULE: Final = "custom_nodes.comfyui-videohelpersuite"
MARK: Final = " 🎥🅥🅗🅢"
CATEGORY: Final = "Video Helper Suite" + MARK
BIGGEST: Final = 2**53 - 1
ADDRESSES = ("http://", "https://")


class OneOf(str):
    """A type name that outputs of other types fit too; it is published as the first."""

    others: tuple[str, ...]

    def __new__(cls, name: str, *others: str) -> OneOf:
        one = super().__new__(cls, name)
        one.others = others
        return one

    def __ne__(self, other: object) -> bool:
        return not (self == other or other == "*" or other in self.others)

    __hash__ = str.__hash__


FLOAT_OR_INT: Final = OneOf("FLOAT", "INT")
IMAGE_OR_LATENT: Final = OneOf("IMAGE", "LATENT")
META_BATCH: Final[Spec] = ("VHS_BatchManager",)
VAE: Final[Spec] = ("VAE",)


def count(default: int, **options: object) -> Spec:
    """A number of frames, from the default on."""
    return integer(default, default, BIGGEST, 1, **options)


def selection(cap: str, skip: str, **options: object) -> Inputs:
    """The three widgets that choose frames."""
    return {cap: count(0, **options), skip: count(0), "select_every_nth": count(1)}


def refuse_unsupported(**given: object) -> None:
    """ValueError for the optional inputs that this engine has no use for."""
    if given.get("vae") is not None:
        raise ValueError("This engine encodes and decodes no latents here: use VAE Encode and VAE Decode beside it.")
    if given.get("meta_batch") is not None:
        raise ValueError("This engine runs no meta batches. Remove the batch manager.")


def plain(path: str) -> str:
    """A path as people paste it: without white space around it and without the quotes."""
    return path.strip().removeprefix('"').removesuffix('"')


def uploaded_path(name: str) -> Path:
    """The file or folder of the input folder behind a name. ValueError for one that leaves its folder."""
    return current().folders.annotated_path(plain(name))


def local_path(path: str) -> Path:
    """The file or folder behind a path, relative ones from the engine's base directory.

    ValueError for an address, and for a path that is in neither of the engine's folders nor the operator's.
    """
    name = plain(path)
    if name.lower().startswith(ADDRESSES):
        raise ValueError(
            "This node reads files only, no addresses. Upload the file, or give it as an input of the run."
        )
    context = current()
    folders = context.folders
    for root in (folders.input, folders.output, folders.temp, *context.settings.media_folders):
        try:
            return inside(root, str(folders.base / name))
        except ValueError:
            continue
    raise ValueError(f"{name!r} is outside of the folders that this engine may read. Use a file of its input folder.")


def path_problem(path: str | None, found: str, folder: bool = False) -> bool | str:
    """The validator of path inputs: True, or why not (`found` names the kind of input)."""
    if path is None:  # it comes through a link
        return True
    try:
        place = local_path(path)
    except ValueError as reason:
        return str(reason)
    return (place.is_dir() if folder else place.is_file()) or f"{found}: {plain(path)}"


def stamp(path: Path) -> str:
    """The fingerprint of a file: its name and the time of its last change."""
    return f"{path} {path.stat().st_mtime_ns}"
