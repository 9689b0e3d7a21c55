"""Bytes and files from what a caller named: a URL, a data URI, or a file in the input folder."""

import base64
import binascii
import hashlib
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from . import _host
from ._download import CHUNK_BYTES, Bounds, download, download_to

WEB = ("http://", "https://")
DATA = "data:"
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"})
VIDEOS = frozenset({".mp4", ".webm", ".mkv", ".mov", ".avi", ".m4v", ".gif"})
LONGEST_ENDING = 8


def is_web(text: str) -> bool:
    """Whether a text is an http(s) URL."""
    return text[:8].lower().startswith(WEB)


def read(source: str, endings: frozenset[str] | None = None) -> bytes | None:
    """The bytes that `source` names. With endings it may also be an input's own name, which names no file: None.

    Raises ValueError for a file that is missing, or cannot be fetched.
    """
    text = source.strip()
    if is_web(text):
        _check_may_fetch(text)
        return download(text)
    if text[:5].lower() == DATA:
        return _from_data_uri(text)
    path = _in_input_folder(text, endings)
    return None if path is None else path.read_bytes()


def path_of(source: str, endings: frozenset[str] | None = None) -> Path | None:
    """The same as a file: what is not one yet is kept in the temp folder."""
    text = source.strip()
    if is_web(text):
        _check_may_fetch(text)
        return download_to(_host.temp_file(ending_of(text)), text)
    if text[:5].lower() == DATA:
        path = _host.temp_file(".bin")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_from_data_uri(text))
        return path
    return _in_input_folder(text, endings)


def names_a_file(source: str, endings: frozenset[str] = frozenset()) -> bool:
    """Whether a text is a URL, a data URI, a file of the input folder, or looks like one. Nothing is fetched."""
    text = source.strip()
    if is_web(text) or text[:5].lower() == DATA:
        return True
    try:
        return _in_input_folder(text, endings) is not None
    except ValueError:
        return bool(endings)


def ending_of(url: str, otherwise: str = ".bin") -> str:
    """The file ending that a URL's path has."""
    ending = PurePosixPath(urlsplit(url).path).suffix.lower()
    return ending if 1 < len(ending) <= LONGEST_ENDING and ending[1:].isascii() and ending[1:].isalnum() else otherwise


def shown(source: str) -> str:
    """A source as an error names it: a URL without its query, which may be secret, data by its beginning."""
    text = source.strip()
    if is_web(text):
        text = text.partition("?")[0]
    return text[:40] + "..." if text[:5].lower() == DATA else text[:200]


def fingerprint(*sources: str | None, endings: frozenset[str] | None = None) -> str:
    """What changes when the file behind the first source that names one changes; a URL speaks for itself."""
    for source in sources:
        if not source or is_web(source) or source[:5].lower() == DATA:
            continue
        path = _in_input_folder(source.strip(), endings)
        if path is not None:
            return _digest(path)
    return ""


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _check_may_fetch(url: str) -> None:
    if not _host.engine().may_fetch:
        raise ValueError(f"{shown(url)} was not fetched before the run; this engine opens no URLs.")


def _from_data_uri(text: str) -> bytes:
    head, comma, data = text.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise ValueError("A data URI must begin like data:image/png;base64, and go on in base64.")
    most = Bounds.of("MEDIA").size
    if len(data) > most * 4 // 3:
        raise ValueError(f"The data URI is larger than {most} bytes.")
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError(f"The data URI is not valid base64: {error}") from error


def _in_input_folder(name: str, endings: frozenset[str] | None) -> Path | None:
    """A name without folder and known ending may be the input's own name, unless there is such a file."""
    if not name:
        return None
    path = _host.input_file(name)
    if path is not None:
        return path
    ending = PurePosixPath(name.partition(" [")[0]).suffix.lower()
    if endings is None or "/" in name or ending in endings:
        raise ValueError(f"There is no file {name[:200]!r} in the input folder.")
    return None
