"""Files in a graph as comfyui-api's callers give them: base64 without a word of what it is (section 2.4, 2.5)."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from comfyserve.core.addresses import DATA_PREFIX, is_outside
from comfyserve.core.errors import InvalidInput, Place
from comfyserve.core.file_names import MAX_NAME
from comfyserve.core.media import FIELDS, MEDIA_META, MediaKind, sniff_mime

IMAGE = "image"
"""The input that names a file whatever the class of its node (section 2.2)."""

PREFIX = "filename_prefix"
HEAD = 64
"""Characters that are enough to tell what base64 brings."""

SHORTEST = 24
"""No file is so small; a name may well be."""

DATA_HEAD = f"{DATA_PREFIX}application/octet-stream;base64,"
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]*={0,2}\s*")
_NOT_A_FILE = "Failed to parse base64 encoded file: Could not determine file type from base64 data"


def with_media(graph: Mapping[str, Any]) -> dict[str, Any]:
    """The graph with every file that comes as base64 as a data URI. Names and addresses stay as they are; whether they
    may be is looked at where the graph is bound. Raises InvalidInput with the place of what is too long for a name."""
    return {node_id: _with_media(node_id, node) for node_id, node in graph.items()}


def _with_media(node_id: str, node: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = node["inputs"]
    if not isinstance(inputs, Mapping) or (isinstance(inputs.get(PREFIX), str) and inputs[PREFIX]):
        return node  # What saves is only an output (section 2.2).
    known = FIELDS.get(str(node["class_type"]))
    changes: dict[str, Any] = {}
    for field in {*(known.fields if known else ()), IMAGE} & inputs.keys():
        value = inputs[field]
        place = Place(node_id=node_id, field=field)
        if isinstance(value, str):
            changes[field] = _settled(value, place)
        elif known and known.kind in (MediaKind.FOLDER, MediaKind.IMAGES) and isinstance(value, list):
            changes[field] = [_settled(item, place) if isinstance(item, str) else item for item in value]
    if not changes:
        return node
    settled = {**node, "inputs": {**inputs, **changes}}
    return settled if known or not isinstance(changes.get(IMAGE), str) else _marked(settled)


def _marked(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node, saying that its `image` is a file: no table knows its class."""
    meta = node.get("_meta")
    told = {MEDIA_META: {IMAGE: MediaKind.IMAGE.value}}
    return {**node, "_meta": {**(meta if isinstance(meta, Mapping) else {}), **told}}


def _settled(value: str, place: Place) -> str:
    """A data URI for base64; any other text as it is."""
    if is_outside(value) or not value:
        return value
    if is_base64_file(value):
        return DATA_HEAD + value
    if len(value) > MAX_NAME:
        raise InvalidInput(_NOT_A_FILE, place=place)
    return value


def is_base64_file(value: str) -> bool:
    """Whether a text is base64 that begins like a file of a kind we know. A name with a dot never is."""
    if len(value) < SHORTEST or not _BASE64.fullmatch(value[:HEAD]):
        return False
    head = "".join(value[:HEAD].split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return sniff_mime(base64.b64decode(head[: len(head) // 4 * 4])) is not None
    except (binascii.Error, ValueError):
        return False
