"""Pictures as float32 arrays, from whatever names them."""

import io
import json
import threading
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from . import _host, _sources

ZIPPED = frozenset({".png", ".jpg", ".jpeg", ".webp"})
# What Pillow reads by itself; others start a program of the machine (EPS) or fetch what they name.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA", "QOI", "ICO")
HEADS = threading.Lock()
"""Pillow's bound is one for the whole process."""
MAX_PICTURES = 1000
MAX_ZIPPED_BYTES = 256 * 1024 * 1024


def load(source: str, *, alpha: bool) -> np.ndarray | None:
    """The picture as float32 [1,H,W,3], or [1,H,W,4] when alpha is wanted and there is one.

    None when `source` names no file at all, such as the input's own name. Raises ValueError for a file that is
    missing, cannot be fetched or is no picture.
    """
    content = _sources.read(source, _sources.PICTURES)
    return None if content is None else decoded(content, _sources.shown(source), alpha=alpha)


def load_list(text: str) -> np.ndarray | None:
    """The pictures of a JSON list of URLs, data URIs, names and zip files as [N,H,W,3], None for an empty list.

    All get the size of the first. Raises ValueError that names the item.
    """
    batch: list[np.ndarray] = []
    for index, source in enumerate(_listed(text)):
        try:
            for picture in _pictures_of(source):
                _append(batch, picture)
        except ValueError as error:
            raise ValueError(f"Item {index} of the images: {error}") from error
    return np.concatenate(batch) if batch else None


def list_fingerprint(text: str) -> str:
    """What changes when a file of such a list changes."""
    return " ".join(_sources.fingerprint(source) for source in _listed(text))


def decoded(content: bytes, name: str, *, alpha: bool, formats: tuple[str, ...] = FORMATS) -> np.ndarray:
    """The samples of a picture file of one of these formats as [1,H,W,C]. Raises ValueError that names it."""
    Image.init()
    known = [one for one in formats if one in Image.OPEN]  # an older Pillow reads fewer
    try:
        with _head_read(content, known) as file:
            _host.check_room((file.height, file.width, 4))
            picture = ImageOps.exif_transpose(file)
            picture.load()
    except UnidentifiedImageError:
        raise ValueError(f"{name} is not a picture of the formats {', '.join(formats)}.") from None
    except Image.DecompressionBombError:
        raise ValueError(
            f"{name} is too large. Use a smaller picture, or raise {_host.engine().batch_setting}."
        ) from None
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{name} is a picture that cannot be read: {error}") from error
    if picture.mode.startswith("I"):
        gray = np.clip(np.asarray(picture, dtype=np.float32) / 65535, 0, 1)
        return np.repeat(gray[np.newaxis, :, :, np.newaxis], 3, axis=-1)
    has_alpha = "A" in picture.getbands() or "transparency" in picture.info
    converted = picture.convert("RGBA" if alpha and has_alpha else "RGB")
    return np.asarray(converted, dtype=np.float32)[np.newaxis] / np.float32(255)


def _head_read(content: bytes, formats: list[str]) -> ImageFile:
    """The file with its head read. Pillow's bound on pixels is raised to that of these nodes, for this file only."""
    pixels = _host.engine().batch_bytes // _host.FLOAT_BYTES
    with HEADS:
        others = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None if others is None else max(others, pixels)
        try:
            return Image.open(io.BytesIO(content), formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = others


def resized(samples: np.ndarray, width: int, height: int) -> np.ndarray:
    """8-bit RGB pictures [N,H,W,3] cut around the centre to the shape wanted and scaled with Lanczos."""
    rows, columns = samples.shape[1:3]
    if (columns, rows) == (width, height):
        return samples
    left = round(max(0.0, columns - rows * width / height) / 2)
    top = round(max(0.0, rows - columns * height / width) / 2)
    cut = samples[:, top : rows - top, left : columns - left]
    size = (width, height)
    return np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.LANCZOS)) for one in cut])


def _listed(text: str) -> Sequence[str]:
    try:
        items = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError):
        raise ValueError(f'The images must be a JSON list such as ["https://..."], not {text[:80]!r}.') from None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError("The images must be a JSON list of texts, each a URL, a data URI or a file name.")
    if len(items) > MAX_PICTURES:
        raise ValueError(f"There are {len(items)} images; at most {MAX_PICTURES} are allowed.")
    return items


def _pictures_of(source: str) -> Iterator[np.ndarray]:
    content = _sources.read(source)
    name = _sources.shown(source)
    if content is None:
        raise ValueError("it is empty; give a URL, a data URI or the name of a file in the input folder.")
    if zipfile.is_zipfile(io.BytesIO(content)):
        yield from _unzipped(content, name)
    else:
        yield decoded(content, name, alpha=False)


def _unzipped(content: bytes, name: str) -> Iterator[np.ndarray]:
    """The PNG, JPEG and WebP files of an archive in its own order."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = [one for one in archive.infolist() if PurePosixPath(one.filename).suffix.lower() in ZIPPED]
            files = [one for one in files if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
            if not files or len(files) > MAX_PICTURES:
                raise ValueError(f"{name} has {len(files)} pictures; 1 to {MAX_PICTURES} are allowed.")
            for one in files:
                yield decoded(_member(archive, one), f"{one.filename[:200]} in {name}", alpha=False)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValueError(f"{name} is a zip file that cannot be read: {error}") from error


def _member(archive: zipfile.ZipFile, one: zipfile.ZipInfo) -> bytes:
    with archive.open(one) as file:
        content = file.read(MAX_ZIPPED_BYTES + 1)
    if len(content) > MAX_ZIPPED_BYTES:
        raise ValueError(f"{one.filename[:200]} is larger than {MAX_ZIPPED_BYTES} bytes.")
    return content


def _append(batch: list[np.ndarray], picture: np.ndarray) -> None:
    if len(batch) >= MAX_PICTURES:
        raise ValueError(f"with it there are more than {MAX_PICTURES} pictures.")
    if batch and picture.shape != batch[0].shape:
        height, width = batch[0].shape[1:3]
        levels = np.clip(picture * 255, 0, 255).astype(np.uint8)
        picture = resized(levels, width, height).astype(np.float32) / np.float32(255)
    _host.check_room((len(batch) + 1, *picture.shape[1:]))
    batch.append(picture)
