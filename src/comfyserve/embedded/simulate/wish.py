"""What a conditioning asks for, gathered from its entries: words, regions, controls, looks, references, key frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from .latent import Floats
from .model import Bytes, Conditioning, Control, Embedding, Look

# Options of a conditioning's entries. Those that ComfyUI has too are named as there.
AREA: Final = "area"
AREA_STRENGTH: Final = "strength"
MASK: Final = "mask"
MASK_STRENGTH: Final = "mask_strength"
START: Final = "start_percent"
END: Final = "end_percent"
GUIDANCE: Final = "guidance"
CONTROLS: Final = "simulated_controls"
LOOKS: Final = "simulated_looks"
REFERENCES: Final = "simulated_references"
KEYFRAMES: Final = "simulated_keyframes"
"""A mapping frame number -> picture; negative numbers count from the end. Latents may have this key, too."""
INPAINT: Final = "simulated_inpaint"
BOXES: Final = "simulated_boxes"
CAMERA: Final = "simulated_camera"
PARTS: Final = "simulated_parts"
CELL: Final = 8


@dataclass(frozen=True, slots=True)
class Region:
    """Words for a part of the picture: a box as shares (y, x, height, width), or a mask [H,W]."""

    words: str
    strength: float
    box: tuple[float, float, float, float] | None = None
    mask: Floats | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Wish:
    """All entries of one conditioning together."""

    words: str
    other: str = ""
    other_share: float = 0.0
    guidance: float | None = None
    camera: str = ""
    regions: tuple[Region, ...] = ()
    controls: tuple[Control, ...] = ()
    looks: tuple[Look, ...] = ()
    references: tuple[Bytes, ...] = ()
    keyframes: Mapping[int, Bytes] = field(default_factory=dict)
    inpaint: tuple[Bytes, Floats] | None = None
    parts: tuple[Any, ...] = ()


def read_wish(conditioning: Conditioning, size: tuple[int, int], start: float, end: float) -> Wish:
    """Read the entries in force between the noise levels start and end; `size` is (height, width) in pixels."""
    entries = [entry for entry in conditioning if _in_force(entry[1], start, end)] or conditioning[:1]
    everywhere = [entry for entry in entries if AREA not in entry[1] and MASK not in entry[1]]
    texts = [entry[0] for entry in everywhere if isinstance(entry[0], Embedding)]
    regions = tuple(region for entry in entries for region in _regions(entry, size))
    words = ". ".join(text.text for text in texts if text.text) or (regions[0].words if regions else "")
    mixed = next((text for text in texts if text.share > 0), None)
    keyframes: dict[int, Bytes] = {}
    for found in _all(entries, KEYFRAMES):
        keyframes |= found
    return Wish(
        words,
        mixed.other if mixed else "",
        mixed.share if mixed else 0.0,
        next(_all(entries, GUIDANCE), None),
        " ".join(_all(entries, CAMERA)),
        regions,
        _unique(control for found in _all(entries, CONTROLS) for control in found),
        _unique(look for found in _all(entries, LOOKS) for look in found),
        _unique(picture for found in _all(entries, REFERENCES) for picture in found),
        keyframes,
        next(_all(entries, INPAINT), None),
        _unique(part for found in _all(entries, PARTS) for part in found),
    )


def words_of(conditioning: Conditioning) -> str:
    """All texts of a conditioning."""
    return ". ".join(entry[0].text for entry in conditioning if isinstance(entry[0], Embedding) and entry[0].text)


def _all(entries: Conditioning, key: str) -> Iterator[Any]:
    return (entry[1][key] for entry in entries if entry[1].get(key) is not None)


def _unique(found: Iterator[Any]) -> tuple[Any, ...]:
    return tuple({id(one): one for one in found}.values())


def _in_force(options: Mapping[str, Any], start: float, end: float) -> bool:
    """Whether the entry's share of the way meets this one's; the way is 1 - noise level."""
    if START not in options:
        return True
    return float(options[START]) < 1 - end and float(options[END]) > 1 - start


def _regions(entry: list[Any], size: tuple[int, int]) -> Iterator[Region]:
    options = entry[1]
    height, width = size
    words = entry[0].text if isinstance(entry[0], Embedding) else ""
    if AREA in options:
        yield Region(words, float(options.get(AREA_STRENGTH, 1.0)), _box(options[AREA], height, width))
    elif MASK in options:
        mask = np.asarray(options[MASK], np.float32)
        yield Region(words, float(options.get(MASK_STRENGTH, 1.0)), None, mask.reshape(-1, *mask.shape[-2:])[0])
    for text, area in options.get(BOXES, ()):
        yield Region(text, 1.0, _box(area, height, width))


def _box(area: tuple[Any, ...], height: int, width: int) -> tuple[float, float, float, float]:
    """ComfyUI's area (height, width, y, x) in cells of 8 pixels, or as shares after the word percentage."""
    if area[0] == "percentage":
        shares = [float(share) for share in area[1:]]
        half = len(shares) // 2
        tall, wide, top, left = shares[half - 2], shares[half - 1], shares[-2], shares[-1]
    else:
        tall, wide, top, left = (
            float(area[0]) * CELL / height,
            float(area[1]) * CELL / width,
            float(area[2]) * CELL / height,
            float(area[3]) * CELL / width,
        )
    return top, left, tall, wide
