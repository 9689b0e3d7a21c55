"""What could take all memory or time is refused with an error that says what to change."""

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from comfyserve.embedded.context import EngineSettings, NodeContext, activate
from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS
from comfyserve.embedded.nodes.io import load_image, load_image_mask
from comfyserve.embedded.nodes.latent_files import load_latent
from comfyserve.embedded.nodes.texts import TextTooLong
from comfyserve.embedded.nodes.vhs_images import load_images_path
from comfyserve.embedded.pixels.arrays import TooLarge, check_room

PICTURE = np.zeros((1, 16, 16, 3), np.float32)
STRIP = np.zeros((1, 1, 400, 3), np.float32)
MASK = np.zeros((1, 16, 16), np.float32)
LATENT = {"samples": np.zeros((1, 4, 8, 8), np.float32)}
HUGE = 16384

# Each asks for far more than 1 MB.
GROWTH: list[tuple[str, dict[str, Any]]] = [
    ("EmptyImage", {"width": HUGE, "height": HUGE}),
    ("SolidMask", {"value": 1.0, "width": HUGE, "height": HUGE}),
    ("ImageScale", {"image": PICTURE, "upscale_method": "area", "width": HUGE, "height": HUGE, "crop": "disabled"}),
    ("ImageScale", {"image": PICTURE, "upscale_method": "lanczos", "width": HUGE, "height": HUGE, "crop": "center"}),
    ("ImageScaleBy", {"image": np.zeros((64, 64, 64, 3), np.float32), "upscale_method": "bicubic", "scale_by": 8.0}),
    ("ImageScaleToTotalPixels", {"image": PICTURE, "upscale_method": "bilinear", "megapixels": 16.0}),
    ("ImageScaleToMaxDimension", {"image": PICTURE, "upscale_method": "bilinear", "largest_size": HUGE}),
    (
        "ResizeAndPadImage",
        {
            "image": PICTURE,
            "target_width": HUGE,
            "target_height": 32,
            "padding_color": "white",
            "interpolation": "area",
        },
    ),
    (
        "ImagePadForOutpaint",
        {"image": PICTURE, "left": HUGE, "top": HUGE, "right": HUGE, "bottom": HUGE, "feathering": 0},
    ),
    (
        "ImageStitch",
        {
            "image1": STRIP,
            "image2": np.zeros((1, 400, 1, 3), np.float32),
            "direction": "right",
            "match_image_size": False,
            "spacing_width": 0,
            "spacing_color": "white",
        },
    ),
    ("RepeatImageBatch", {"image": PICTURE, "amount": 4096}),
    ("RepeatLatentBatch", {"samples": {"samples": np.zeros((16, 4, 64, 64), np.float32)}, "amount": 64}),
    ("LatentUpscale", {"samples": LATENT, "upscale_method": "area", "width": HUGE, "height": HUGE, "crop": "disabled"}),
    (
        "LatentUpscaleBy",
        {"samples": {"samples": np.zeros((1, 4, 99, 99), np.float32)}, "upscale_method": "bislerp", "scale_by": 8.0},
    ),
    (
        "ResizeImageMaskNode",
        {
            "input": PICTURE,
            "resize_type": "scale dimensions",
            "resize_type.width": HUGE,
            "resize_type.height": HUGE,
            "resize_type.crop": "center",
            "scale_method": "area",
        },
    ),
    (
        "ImageResize+",
        {
            "image": PICTURE,
            "width": HUGE,
            "height": 32,
            "interpolation": "nearest",
            "method": "pad",
            "condition": "always",
            "multiple_of": 0,
        },
    ),
]

LONG = "ab" * 2000
FLAGS = {"case_insensitive": True, "multiline": False, "dotall": False}
# Each asks for more than 10,000 characters.
TEXT_GROWTH: list[tuple[str, dict[str, Any]]] = [
    ("StringConcatenate", {"string_a": LONG, "string_b": LONG, "delimiter": LONG}),
    ("StringReplace", {"string": LONG, "find": "a", "replace": LONG}),
    ("StringReplace", {"string": LONG, "find": "", "replace": "1234"}),
    ("CaseConverter", {"string": "\u0390" * 4000, "mode": "UPPERCASE"}),
    ("RegexReplace", {"string": LONG, "regex_pattern": "a|b", "replace": "1234"}),
    ("RegexReplace", {"string": LONG, "regex_pattern": "(?=(.*))", "replace": r"\1"}),
    ("RegexExtract", {"string": LONG, "regex_pattern": "(?=(.*))", "mode": "All Matches", "group_index": 0} | FLAGS),
    ("RegexExtract", {"string": LONG, "regex_pattern": "(?=(.*))", "mode": "All Groups", "group_index": 1} | FLAGS),
]


@pytest.fixture
def narrow(context: NodeContext) -> NodeContext:
    """An engine whose pictures may take 1 MB."""
    small = replace(context, settings=EngineSettings(picture_bytes=2**20))
    activate(small)
    return small


def test_the_bound_is_a_setting(context: NodeContext) -> None:
    activate(replace(context, settings=EngineSettings(picture_bytes=400)))
    assert check_room((100,)) == (100,)
    with pytest.raises(TooLarge, match="101"):
        check_room((101,))


@pytest.mark.parametrize(("name", "inputs"), GROWTH, ids=lambda value: value if isinstance(value, str) else "")
def test_growth_beyond_the_bound_is_refused(name: str, inputs: dict[str, Any], narrow: NodeContext) -> None:
    with pytest.raises(TooLarge, match="--picture-megabytes"):
        NODE_CLASS_MAPPINGS[name].run(**inputs)


@pytest.mark.parametrize(("name", "inputs"), TEXT_GROWTH, ids=lambda value: value if isinstance(value, str) else "")
def test_a_text_beyond_the_bound_is_refused(name: str, inputs: dict[str, Any], context: NodeContext) -> None:
    activate(replace(context, settings=EngineSettings(text_bytes=40_000)))
    with pytest.raises(TextTooLong, match=r"at most 10000 are allowed.*--text-megabytes"):
        NODE_CLASS_MAPPINGS[name].run(**inputs)


@pytest.mark.parametrize(("name", "inputs"), TEXT_GROWTH, ids=lambda value: value if isinstance(value, str) else "")
def test_a_text_below_the_bound_is_made(name: str, inputs: dict[str, Any], context: NodeContext) -> None:
    assert len(NODE_CLASS_MAPPINGS[name].run(**inputs)[0]) > 10_000


@pytest.mark.usefixtures("context")
def test_an_expression_that_grows_is_refused() -> None:
    for expression in ("9 ** 3999 * 9 ** 3999 ** 2", "round(a, -12000000)"):
        with pytest.raises(ValueError, match="cannot be calculated"):
            NODE_CLASS_MAPPINGS["ComfyMathExpression"].run(expression=expression, values={"a": 7})


@pytest.mark.usefixtures("context")
def test_a_whole_picture_of_16384_is_refused_by_default() -> None:
    with pytest.raises(TooLarge, match="3072 MB"):
        NODE_CLASS_MAPPINGS["EmptyImage"].run(width=HUGE, height=HUGE)


def bomb(path: Path, width: int, height: int) -> None:
    """A PNG of a few hundred bytes that claims a size."""
    data = zlib.compress(b"\0" * 1000)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", data), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )
    )


@pytest.mark.parametrize(
    "load", [load_image, lambda name: load_image_mask(name, "red"), lambda _: load_images_path("input")]
)
@pytest.mark.parametrize("side", [16384, 2**31 - 1])
def test_a_decompression_bomb_is_refused_by_its_header(
    load: Callable[[str], object], side: int, context: NodeContext
) -> None:
    bomb(context.folders.input / "bomb.png", side, side)
    with pytest.raises(TooLarge, match=r"bomb\.png is too large.*--picture-megabytes"):
        load("bomb.png")


def test_the_bound_on_files_follows_the_setting(context: NodeContext) -> None:
    bomb(context.folders.input / "wide.png", 15_000, 13_000)
    with pytest.raises(TooLarge):
        load_image("wide.png")
    activate(replace(context, settings=EngineSettings(picture_bytes=2**33)))
    with pytest.raises(ValueError, match="is not a picture that can be read") as damaged:
        load_image("wide.png")
    assert "Truncated" in repr(damaged.value.__cause__) or "truncated" in repr(damaged.value.__cause__)


def test_frames_are_counted_before_they_are_kept(narrow: NodeContext) -> None:
    first, *rest = [Pillow.new("L", (100, 100), level) for level in range(60)]
    first.save(narrow.folders.input / "many.gif", save_all=True, append_images=rest)
    with pytest.raises(TooLarge, match=r"many\.gif"):
        load_image("many.gif")


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "gif", "tiff", "bmp"])
def test_truncated_and_damaged_pictures_are_told_by_name(form: str, context: NodeContext) -> None:
    path = context.folders.input / f"in.{form}"
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    Pillow.fromarray(noise).save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 200, max(len(whole) // 12, 1)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"in.{form} is not a picture"):
            load_image(f"in.{form}")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png", "x\0.png"])
def test_a_name_that_leaves_its_folder_is_no_file(name: str, context: NodeContext) -> None:
    (context.folders.base / "secret.png").write_bytes(b"")
    validate = NODE_CLASS_MAPPINGS["LoadImage"].VALIDATE_INPUTS
    assert validate(image=name) == f"Invalid image file: {name}"
    with pytest.raises(ValueError, match=r"file name|leaves"):
        load_image(name)


def latent_file(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"latent_tensor": {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        latent_file(b"{}", length=2**40),
        latent_file(b"[" * 100_000),
        latent_file(b"\xff\xfe"),
        latent_file([1, 2]),
        latent_file({}),
        latent_file(entry([1, 4, 8, 8], 0, 1024)),
        latent_file(entry([1, 4, 8, 8], 0, 512), bytes(512)),
        latent_file(entry([1, 4], -8, 8), bytes(64)),
        latent_file(entry([-1, -4], 0, 16), bytes(64)),
        latent_file(entry([1, 4], 0, 16, "PICKLE"), bytes(64)),
        latent_file({"latent_tensor": None}),
    ],
)
def test_a_damaged_latent_is_refused(content: bytes, context: NodeContext) -> None:
    (context.folders.input / "a.latent").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.latent"):
        load_latent("a.latent")


def test_a_latent_that_claims_too_much_is_refused_before_it_is_read(context: NodeContext) -> None:
    (context.folders.input / "a.latent").write_bytes(latent_file(entry([4096, 4, 2048, 2048], 0, 2**38)))
    with pytest.raises(TooLarge):
        load_latent("a.latent")
