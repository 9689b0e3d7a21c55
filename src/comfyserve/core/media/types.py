"""What a file is, by its first bytes and by its name."""

import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

SIGNATURES: Sequence[tuple[int, bytes, str]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (8, b"WEBP", "image/webp"),
    (0, b"GIF8", "image/gif"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypM4A ", "audio/mp4"),
    (4, b"ftypqt  ", "video/quicktime"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"PK\x03\x04", "application/zip"),
)
"""Offset, bytes, media type; the first that fits counts."""

TYPES: Mapping[str, str] = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tiff": "image/tiff",
    ".tif": "image/tiff",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".avi": "video/x-msvideo",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".obj": "model/obj",
    ".stl": "model/stl",
    ".usdz": "model/vnd.usdz+zip",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".json": "application/json",
    ".pdf": "application/pdf",
    ".zip": "application/zip",
    ".gz": "application/gzip",
}
"""File ending -> media type, as every part of the program sees it; the first ending of a type is the one it is given.

Python's own table comes after it: that one differs between versions, and without the system's /etc/mime.types it knows
neither webp nor flac.
"""

MODEL_ENDINGS = frozenset({ending for ending, mime in TYPES.items() if mime.startswith("model/")}) | {
    ".ply",
    ".fbx",
    ".spz",
    ".splat",
}
"""File endings of 3D models; the last four have no media type that everybody uses."""

UNKNOWN_TYPE = "application/octet-stream"

ENDINGS: Mapping[str, str] = {mime: ending for ending, mime in reversed([*TYPES.items()])}
"""Media type -> the file ending it is given."""


def sniff_mime(head: bytes) -> str | None:
    """The media type that the first bytes of a file show, or None when they are none we know."""
    for offset, signature, mime in SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return mime
    return None


def type_of(filename: str) -> str | None:
    """The media type that the ending of a file's name says, or None for an ending that nobody knows."""
    return TYPES.get(PurePosixPath(filename).suffix.lower()) or mimetypes.guess_type(filename)[0]


def extension_of(mime: str | None) -> str:
    """The file ending for a media type, with its dot; `.bin` for one we do not know."""
    return ENDINGS.get(mime or "", ".bin")
