"""Pictures as /view and /upload/mask make them. Pillow is imported when the first one is asked for.

Every function raises ValueError for a file that cannot be read as a picture.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ParamSpec, TypeVar

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

Make = Callable[..., tuple[bytes, str]]
Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")

DEFAULT_QUALITY = 90
PREVIEW_FORMATS = ("webp", "jpeg")


def reads_pictures(make: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """Let the function raise ValueError whatever is wrong with the file."""

    @functools.wraps(make)
    def read(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
        try:
            return make(*args, **kwargs)
        # Pillow's decoders raise a dozen unrelated types for damaged and for oversized files.
        except Exception as error:
            raise ValueError(str(error) or type(error).__name__) from error

    return read


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[ImageFile]:
    """A picture of a kind that Pillow reads by itself, within the size that nodes have to keep, too."""
    from PIL import Image

    from comfyserve.embedded.pixels.arrays import check_room, most_samples
    from comfyserve.embedded.pixels.codec import FOREIGN

    Image.MAX_IMAGE_PIXELS = most_samples()
    with Image.open(source) as picture:
        if picture.format in FOREIGN:
            raise ValueError(f"{picture.format} is not read here")
        check_room((picture.height, picture.width, len(picture.getbands())))
        yield picture


@reads_pictures
def preview(path: Path, wish: str, channel: str) -> tuple[bytes, str]:
    """`wish` is `format[;quality]`: webp or jpeg, anything else (or a channel with alpha) is webp."""
    words = wish.split(";")
    form = words[0] if words[0] in PREVIEW_FORMATS and "a" not in channel else "webp"
    quality = int(words[-1]) if words[-1].isascii() and words[-1].isdigit() else DEFAULT_QUALITY
    with _opened(path) as picture:
        flat = picture.convert("RGB") if form == "jpeg" or channel == "rgb" else picture
        return _encoded(flat, form, quality=min(quality, 100)), f"image/{form}"


@reads_pictures
def without_alpha(path: Path) -> tuple[bytes, str]:
    """A PNG of the colours; alpha is dropped, not composited."""
    with _opened(path) as picture:
        flat = picture.convert("RGBA").convert("RGB") if picture.mode == "RGBA" else picture.convert("RGB")
        return _encoded(flat, "png"), "image/png"


@reads_pictures
def only_alpha(path: Path) -> tuple[bytes, str]:
    """A black RGBA PNG with the alpha of an RGBA picture, 255 for any other kind."""
    from PIL import Image

    with _opened(path) as picture:
        alpha = picture.getchannel("A") if picture.mode == "RGBA" else Image.new("L", picture.size, 255)
    black = Image.new("RGBA", alpha.size)
    black.putalpha(alpha)
    return _encoded(black, "png"), "image/png"


@reads_pictures
def apply_mask(mask: Path, original: Path) -> bytes:
    """A PNG of the original with the alpha of the mask; text chunks stay. ValueError when the sizes differ."""
    from PIL.PngImagePlugin import PngInfo

    with _opened(original) as picture, _opened(mask) as drawn:
        texts = PngInfo()
        for key, value in getattr(picture, "text", {}).items():
            texts.add_text(key, value)
        if picture.size != drawn.size:
            raise ValueError(f"the mask is {drawn.size}, the picture {picture.size}; they must be equal")
        result = picture.convert("RGBA")
        result.putalpha(drawn.convert("RGBA").getchannel("A"))
    return _encoded(result, "png", compress_level=4, pnginfo=texts)


@reads_pictures
def as_webp(source: Path | BinaryIO) -> bytes:
    """The picture as WebP."""
    with _opened(source) as picture:
        return _encoded(picture, "webp")


def _encoded(picture: Any, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()
