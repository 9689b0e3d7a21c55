"""`convert_output`: in which form pictures are stored (stateless-comfyui-api.md section 8).

The options of jpeg and webp are comfyui-api's; those of avif and png are named after the same family (sharp).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from comfyserve.core.errors import InvalidInput, Place

OptionValue = int | float | bool | str


@dataclass(frozen=True)
class Switch:
    """An option that is true or false."""

    def read(self, value: Any) -> bool | None:
        """The value, or None when it does not fit."""
        return value if isinstance(value, bool) else None

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class Whole:
    """A whole number; `80.0` is one, too."""

    least: int
    most: int

    def read(self, value: Any) -> int | None:
        """The value, or None when it does not fit."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            return None
        return int(value) if value == int(value) else None

    def __str__(self) -> str:
        return f"a whole number from {self.least} to {self.most}"


@dataclass(frozen=True)
class Share:
    """A number from 0 to 1."""

    def read(self, value: Any) -> float | None:
        """The value, or None when it does not fit."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if number and 0 <= value <= 1 else None

    def __str__(self) -> str:
        return "a number from 0 to 1"


@dataclass(frozen=True)
class OneOf:
    """One of a few words or numbers."""

    words: Sequence[str | int]

    def read(self, value: Any) -> str | int | None:
        """The value, or None when it does not fit."""
        return value if type(value) in (str, int) and value in self.words else None

    def __str__(self) -> str:
        return f"one of {', '.join(map(str, self.words))}"


Kind = Switch | Whole | Share | OneOf

CHROMA = OneOf(("4:2:0", "4:4:4"))

JPEG: Mapping[str, Kind] = {
    "quality": Whole(1, 100),
    "progressive": Switch(),
    "chromaSubsampling": CHROMA,
    "optimizeCoding": Switch(),
    "mozjpeg": Switch(),
    "trellisQuantisation": Switch(),
    "overshootDeringing": Switch(),
    "optimizeScans": Switch(),
    "quantisationTable": Whole(0, 8),
}
WEBP: Mapping[str, Kind] = {
    "quality": Whole(1, 100),
    "alphaQuality": Whole(0, 100),
    "lossless": Switch(),
    "nearLossless": Switch(),
    "smartSubsample": Switch(),
    "preset": OneOf(("default", "photo", "picture", "drawing", "icon", "text")),
    "effort": Whole(0, 6),
}
AVIF: Mapping[str, Kind] = {
    "quality": Whole(1, 100),
    "lossless": Switch(),
    "effort": Whole(0, 9),
    "chromaSubsampling": CHROMA,
    "bitdepth": OneOf((8, 10, 12)),
}
PNG: Mapping[str, Kind] = {
    "compressionLevel": Whole(0, 9),
    "progressive": Switch(),
    "palette": Switch(),
    "quality": Whole(0, 100),
    "effort": Whole(1, 10),
    "colours": Whole(2, 256),
    "dither": Share(),
    "bitdepth": OneOf((1, 2, 4, 8, 16)),
}

FORMATS: Mapping[str, Mapping[str, Kind]] = {"jpeg": JPEG, "jpg": JPEG, "webp": WEBP, "avif": AVIF, "png": PNG}
"""What may be asked for, and the options that each format has."""


@dataclass(frozen=True)
class Conversion:
    """A format (`jpeg`, `jpg`, `webp`, `avif`, `png`) and those of its options that the caller gave, checked."""

    format: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)


def read_conversion(value: Any, field_name: str = "convert_output", *, lenient: bool = False) -> Conversion | None:
    """A conversion from JSON: `{format, options?}`, or None for none. Raises InvalidInput with the place.

    `lenient`: options that the format does not have, or that do not fit, are left out instead.
    """
    if value is None:
        return None
    name = value.get("format") if isinstance(value, Mapping) else None
    if not isinstance(name, str) or name not in FORMATS:
        raise _wrong(f"{field_name}.format must be one of {', '.join(FORMATS)}.", f"{field_name}.format")
    options = value.get("options")
    if options is None:
        return Conversion(name)
    if not isinstance(options, Mapping):
        raise _wrong(f"{field_name}.options must be an object.", f"{field_name}.options")
    read: dict[str, OptionValue] = {}
    for key, given in options.items():
        try:
            read[key] = _read_option(name, key, given, f"{field_name}.options")
        except InvalidInput:
            if not lenient:
                raise
    return Conversion(name, read)


def write_conversion(conversion: Conversion) -> dict[str, Any]:
    """The object that `read_conversion` reads."""
    return {"format": conversion.format, "options": dict(conversion.options)}


def _read_option(name: str, key: Any, given: Any, place: str) -> OptionValue:
    known = FORMATS[name]
    if key not in known:
        raise _wrong(f"{name} has no option {str(key)[:40]!r}; it has {', '.join(known)}.", f"{place}.{str(key)[:40]}")
    read = known[key].read(given)
    if read is None:
        raise _wrong(f"{place}.{key} must be {known[key]}.", f"{place}.{key}")
    return read


def _wrong(sentence: str, field_name: str) -> InvalidInput:
    return InvalidInput(sentence, place=Place(field=field_name))
