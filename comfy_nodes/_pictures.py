"""Pictures from what a caller named: a URL, a data URI, or a file in the input folder."""

import base64
import binascii
import hashlib
import io
from pathlib import PurePosixPath

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from . import _host
from ._download import MAX_BYTES, download

WEB = ("http://", "https://")
ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})


def load(source: str, *, alpha: bool) -> np.ndarray | None:
    """The picture as float32 [1,H,W,3], or [1,H,W,4] when alpha is wanted and there is one.

    None when `source` names no file at all, such as the input's own name. Raises ValueError for a file that is
    missing, cannot be fetched or is no picture.
    """
    content = read(source)
    return None if content is None else _decoded(content, source, alpha=alpha)


def read(source: str) -> bytes | None:
    """The bytes that `source` names; None when it names no file. Raises ValueError."""
    text = source.strip()
    lowered = text[:8].lower()
    if lowered.startswith(WEB):
        return _fetched(text)
    if lowered.startswith("data:"):
        return _from_data_uri(text)
    return _from_input_folder(text) if text else None


def fingerprint(*sources: str | None) -> str:
    """What changes when the picture behind the first source that names one changes."""
    for source in sources:
        content = read(source) if source and not source.lower().startswith(WEB) else None
        if content is not None:
            return hashlib.sha256(content).hexdigest()
    return ""


def _fetched(url: str) -> bytes:
    if not _host.may_fetch():
        raise ValueError(f"{url[:200]} was not fetched before the run; this engine opens no URLs.")
    return download(url)


def _from_data_uri(text: str) -> bytes:
    head, _, data = text.partition(",")
    if not head.lower().startswith("data:image/") or not head.lower().endswith(";base64"):
        raise ValueError("The data URI must begin with data:image/png;base64, or another picture type.")
    if len(data) > MAX_BYTES * 4 // 3:
        raise ValueError(f"The data URI is larger than {MAX_BYTES} bytes.")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError(f"The data URI is not valid base64: {error}") from error


def _from_input_folder(name: str) -> bytes | None:
    """A name without folder and picture ending is the input's own name, unless there is such a file."""
    looks_like_file = "/" in name or PurePosixPath(name.removesuffix("]")).suffix.lower() in ENDINGS
    path = _host.input_file(name)
    if path is not None:
        return path.read_bytes()
    if looks_like_file:
        raise ValueError(f"There is no file {name!r} in the input folder.")
    return None


def _decoded(content: bytes, source: str, *, alpha: bool) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(content)) as file:
            picture = ImageOps.exif_transpose(file)
            picture.load()
    except UnidentifiedImageError:
        raise ValueError(f"{source[:200]} is not a picture.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{source[:200]} is a picture that cannot be read: {error}") from error
    if picture.mode.startswith("I"):
        gray = np.clip(np.asarray(picture, dtype=np.float32) / 65535, 0, 1)
        return np.repeat(gray[np.newaxis, :, :, np.newaxis], 3, axis=-1)
    has_alpha = "A" in picture.getbands() or "transparency" in picture.info
    converted = picture.convert("RGBA" if alpha and has_alpha else "RGB")
    return np.asarray(converted, dtype=np.float32)[np.newaxis] / np.float32(255)
