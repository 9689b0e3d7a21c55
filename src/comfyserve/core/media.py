"""Which field of which node names a file, and what a file is by its first bytes.

Node facts from comfyui-protocol.md section 13 and external-nodes.md section 2.
"""

import json
import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, TypeGuard

from comfyserve.core.graph import Graph, Node

ASSET_PREFIX = "asset:"
INPUT_ID_META = "input_id"
"""Where binding keeps a node's public input name, since the value takes its place in the inputs."""

OUTSIDE_PREFIXES = ("http://", "https://", "data:", ASSET_PREFIX)


class MediaKind(StrEnum):
    """What a field expects of its file; IMAGES holds a JSON list of pictures and zip files, FILE takes anything."""

    IMAGE = "image"
    IMAGES = "images"
    VIDEO = "video"
    AUDIO = "audio"
    FILE = "file"

    @property
    def words(self) -> str:
        """What an error calls it."""
        return "image or zip" if self is MediaKind.IMAGES else self.value


FIELDS: Mapping[str, tuple[MediaKind, Sequence[str]]] = {
    "LoadImage": (MediaKind.IMAGE, ("image",)),
    "LoadImageMask": (MediaKind.IMAGE, ("image",)),
    "LoadImageOutput": (MediaKind.IMAGE, ("image",)),
    "LoadVideo": (MediaKind.VIDEO, ("file",)),
    "LoadAudio": (MediaKind.AUDIO, ("audio",)),
    "RecordAudio": (MediaKind.AUDIO, ("audio",)),
    "VHS_LoadVideo": (MediaKind.VIDEO, ("video",)),
    "VHS_LoadAudioUpload": (MediaKind.AUDIO, ("audio",)),
    "Load3D": (MediaKind.FILE, ("model_file",)),
    "ComfyUIDeployExternalImage": (MediaKind.IMAGE, ("input_id", "default_value_url")),
    "ComfyUIDeployExternalImageAlpha": (MediaKind.IMAGE, ("input_id",)),
    "ComfyUIDeployExternalVideo": (MediaKind.VIDEO, ("input_id", "default_value_url")),
    "ComfyUIDeployExternalVid": (MediaKind.VIDEO, ("input_id",)),
    "ComfyUIDeployExternalImageBatch": (MediaKind.IMAGES, ("images",)),
    "ComfyUIDeployExternalAudio": (MediaKind.AUDIO, ("audio_file", "input_id")),
    "ComfyUIDeployExternalEXR": (MediaKind.FILE, ("exr_file", "input_id")),
    "ComfyUIDeployExternalFile": (MediaKind.FILE, ("file_url", "input_id")),
}
"""Class type -> kind, and the fields that may name a file; of several, the first that does is the one used."""

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


@dataclass(frozen=True)
class MediaPlace:
    """A field of the graph that holds a URL, a data URI or `asset:<id>`, or one in its list. `label` is the input's
    public name, with the item's index for one of a list."""

    node_id: str
    field: str
    kind: MediaKind
    value: str
    label: str


def media_places(graph: Graph) -> Iterator[MediaPlace]:
    """The fields of a graph whose files must be brought to the engine before it runs."""
    for node_id, node in graph.nodes.items():
        kind, fields = FIELDS.get(node.class_type, (MediaKind.FILE, ()))
        for field in fields:
            places = list(_places_in(node_id, field, kind, node))
            yield from places
            if places:
                break


def _places_in(node_id: str, field: str, kind: MediaKind, node: Node) -> Iterator[MediaPlace]:
    """The files that one field names."""
    value = node.inputs.get(field)
    label = str(node.meta.get(INPUT_ID_META) or field)
    if kind is not MediaKind.IMAGES:
        if is_outside(value):
            yield MediaPlace(node_id, field, kind, value, label)
        return
    for index, item in enumerate(listed(value) or ()):
        if is_outside(item):
            yield MediaPlace(node_id, field, kind, item, f"{label}[{index}]")


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A field's value with the files that `names` knows under their new names, also inside a list of files."""
    if not isinstance(value, str):
        return value
    items = listed(value)
    if items is None or not any(item in names for item in items):
        return names.get(value, value)
    return json.dumps([names.get(item, item) for item in items])


def listed(value: Any) -> list[str] | None:
    """The items of a JSON list of texts, None for anything else."""
    if not isinstance(value, str) or not value.startswith("["):
        return None
    try:
        items = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return items if isinstance(items, list) and all(isinstance(item, str) for item in items) else None


def is_outside(value: Any) -> TypeGuard[str]:
    """Whether a value names a file by URL, data URI or asset, and not one the engine has already."""
    return isinstance(value, str) and value.lower().startswith(OUTSIDE_PREFIXES)


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


def fits(kind: MediaKind, mime: str | None) -> bool:
    """Whether a file of this type can serve a field of this kind."""
    if kind is MediaKind.IMAGES:
        return mime == "application/zip" or fits(MediaKind.IMAGE, mime)
    return kind is MediaKind.FILE or (mime is not None and mime.startswith(f"{kind}/"))
