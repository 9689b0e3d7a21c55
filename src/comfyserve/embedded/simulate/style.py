"""What LoRAs and other additions do to a picture: a look that the name decides, as strong as they are set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from .canvas import Floats
from .chance import generator
from .latent import rounded_bytes, to_floats
from .model import Part

MOST = 1.5


@dataclass(frozen=True, slots=True)
class LookChange:
    """Saturation and contrast as factors, a tint that is added, and a filter for the whole picture."""

    saturation: float = 1.0
    contrast: float = 1.0
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)
    effect: Callable[[Floats], Floats] | None = None


def _posterised(picture: Floats) -> Floats:
    return np.asarray(np.round(picture * 5) / np.float32(5), np.float32)


def _pixelated(picture: Floats) -> Floats:
    height, width = picture.shape[:2]
    small = Image.fromarray(rounded_bytes(picture)).resize(
        (max(1, width // 8), max(1, height // 8)), Image.Resampling.BOX
    )
    return to_floats(np.asarray(small.resize((width, height), Image.Resampling.NEAREST), np.uint8))


def _drawn(picture: Floats) -> Floats:
    gray = picture.mean(axis=-1)
    down, across = np.gradient(gray)
    edge = np.clip(np.sqrt(down * down + across * across) * 12, 0, 1)
    paper = np.float32(0.94) - np.float32(0.12) * (1 - gray)
    return np.asarray((paper * (1 - edge * np.float32(0.85)))[..., None] * np.ones(3, np.float32), np.float32)


def _painted(picture: Floats) -> Floats:
    from PIL import ImageFilter

    soft = Image.fromarray(rounded_bytes(picture)).filter(ImageFilter.ModeFilter(9))
    return to_floats(np.asarray(soft, np.uint8))


# The first row whose words occur in the name; other names take one of LOOKS by chance that the name decides.
NAMED: Final[tuple[tuple[str, LookChange], ...]] = (
    (r"lightning|lcm|turbo|hyper|lightx2v|dmd|distill|causvid|[48]steps?", LookChange(1.03, 1.05)),
    (r"offset|detail|tweaker|quality", LookChange(1.05, 1.22)),
    (r"pixel", LookChange(1.1, 1.05, effect=_pixelated)),
    (r"sketch|line.?art|draw|pencil|manga", LookChange(0.2, 1.1, effect=_drawn)),
    (r"noir|mono|black.?and.?white|\bbw\b", LookChange(0.0, 1.25)),
    (r"paint|watercolou?r|oil|ghibli|impression", LookChange(1.2, 0.95, (0.02, 0.02, 0.0), _painted)),
    (r"anime|comic|toon|cartoon|vector|flat", LookChange(1.35, 1.1, effect=_posterised)),
)
LOOKS: Final = (
    LookChange(1.15, 1.08, (0.07, 0.015, -0.07)),
    LookChange(0.95, 1.08, (-0.06, 0.0, 0.07)),
    LookChange(1.5, 1.15),
    LookChange(0.55, 0.85, (0.05, 0.05, 0.06)),
    LookChange(0.8, 1.0, (0.08, 0.045, -0.02)),
    LookChange(1.2, 1.1, (0.05, -0.03, 0.06)),
)


def styled(picture: Floats, parts: Iterable[Part]) -> Floats:
    """The picture [H,W,3] with the looks of the LoRAs and hypernetworks among the parts."""
    for part in parts:
        if part.kind in {"lora", "hypernetwork"} and part.strength:
            picture = _changed(picture, _look(part.name), max(-MOST, min(MOST, part.strength)))
    return picture


def accented(picture: Floats, *decided_by: object) -> Floats:
    """The picture with colours that these words shift a little."""
    chance = generator("accent", *decided_by)
    shift = chance.uniform(-0.015, 0.015, 3).astype(np.float32)
    contrast, saturation = (np.float32(1 + share) for share in chance.uniform(-0.03, 0.03, 2))
    gray = picture.mean(axis=-1, keepdims=True)
    lively = gray + (picture - gray) * saturation
    return np.asarray((lively - np.float32(0.5)) * contrast + np.float32(0.5) + shift, np.float32)


def _look(name: str) -> LookChange:
    plain = name.lower()
    for words, look in NAMED:
        if re.search(words, plain):
            return look
    return LOOKS[int(generator("look", name).integers(len(LOOKS)))]


def _changed(picture: Floats, look: LookChange, strength: float) -> Floats:
    gray = picture.mean(axis=-1, keepdims=True)
    saturation = np.float32(max(0.0, 1 + (look.saturation - 1) * strength))
    contrast = np.float32(1 + (look.contrast - 1) * strength)
    tint = np.asarray(look.tint, np.float32) * np.float32(strength)
    changed = gray + (picture - gray) * saturation
    changed = np.asarray((changed - np.float32(0.5)) * contrast + np.float32(0.5) + tint, np.float32)
    if look.effect is None or strength <= 0:
        return changed
    share = np.float32(min(1.0, strength))
    return np.asarray(changed * (1 - share) + look.effect(changed) * share, np.float32)
