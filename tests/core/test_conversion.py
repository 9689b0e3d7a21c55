"""What `convert_output` may say, and what it may not."""

from typing import Any

import pytest

from comfyserve.core.conversion import Conversion, read_conversion, write_conversion
from comfyserve.core.errors import InvalidInput

EVERYTHING: dict[str, dict[str, Any]] = {
    "jpeg": {
        "quality": 100,
        "progressive": True,
        "chromaSubsampling": "4:4:4",
        "optimizeCoding": False,
        "mozjpeg": True,
        "trellisQuantisation": False,
        "overshootDeringing": True,
        "optimizeScans": False,
        "quantisationTable": 8,
    },
    "webp": {
        "quality": 1,
        "alphaQuality": 0,
        "lossless": True,
        "nearLossless": False,
        "smartSubsample": True,
        "preset": "drawing",
        "effort": 6,
    },
    "avif": {"quality": 50, "lossless": False, "effort": 9, "chromaSubsampling": "4:2:0", "bitdepth": 12},
    "png": {
        "compressionLevel": 9,
        "progressive": True,
        "palette": True,
        "quality": 0,
        "effort": 10,
        "colours": 2,
        "dither": 0.5,
        "bitdepth": 16,
    },
}
EVERYTHING["jpg"] = EVERYTHING["jpeg"]


@pytest.mark.parametrize("name", EVERYTHING)
def test_every_option_is_read_and_written(name: str) -> None:
    given = {"format": name, "options": EVERYTHING[name]}
    read = read_conversion(given)
    assert read == Conversion(name, EVERYTHING[name])
    assert write_conversion(read) == given


@pytest.mark.parametrize("name", EVERYTHING)
def test_options_are_optional(name: str) -> None:
    assert read_conversion({"format": name}) == read_conversion({"format": name, "options": None}) == Conversion(name)


def test_nothing_is_no_conversion() -> None:
    assert read_conversion(None) is None


@pytest.mark.parametrize("value", ["webp", {}, {"format": "gif"}, {"format": ["webp"]}, {"format": None}, []])
def test_a_format_nobody_knows_is_refused(value: Any) -> None:
    for lenient in (False, True):
        with pytest.raises(InvalidInput, match="jpeg, jpg, webp, avif, png") as refused:
            read_conversion(value, "convert", lenient=lenient)
        assert refused.value.place.field == "convert.format"


WRONG = [
    ("jpeg", "quality", 0, "from 1 to 100"),
    ("jpeg", "quality", 80.5, "a whole number"),
    ("jpeg", "quality", True, "a whole number"),
    ("jpeg", "quality", "80", "a whole number"),
    ("jpeg", "quality", float("nan"), "a whole number"),
    ("jpeg", "chromaSubsampling", "4:2:2", "4:2:0, 4:4:4"),
    ("jpeg", "quantisationTable", 9, "from 0 to 8"),
    ("jpeg", "progressive", 1, "true or false"),
    ("jpeg", "lossless", True, "has no option 'lossless'"),
    ("webp", "effort", 7, "from 0 to 6"),
    ("webp", "preset", "cartoon", "default, photo"),
    ("webp", "preset", ["photo"], "default, photo"),
    ("webp", "chromaSubsampling", "4:4:4", "it has quality, alphaQuality"),
    ("avif", "bitdepth", 9, "8, 10, 12"),
    ("png", "dither", 1.5, "from 0 to 1"),
    ("png", "dither", float("nan"), "from 0 to 1"),
]


@pytest.mark.parametrize(("name", "option", "value", "why"), WRONG)
def test_a_wrong_option_is_refused_with_its_place(name: str, option: str, value: Any, why: str) -> None:
    given = {"format": name, "options": {option: value}}
    with pytest.raises(InvalidInput, match=why) as refused:
        read_conversion(given)
    assert refused.value.place.field == f"convert_output.options.{option}"
    assert read_conversion(given, lenient=True) == Conversion(name)


def test_a_lenient_reader_keeps_what_fits() -> None:
    given = {"format": "webp", "options": {"quality": 70.0, "progressive": True, "effort": 99}}
    assert read_conversion(given, lenient=True) == Conversion("webp", {"quality": 70})


def test_options_are_an_object() -> None:
    with pytest.raises(InvalidInput, match="must be an object"):
        read_conversion({"format": "webp", "options": [1]}, lenient=True)
