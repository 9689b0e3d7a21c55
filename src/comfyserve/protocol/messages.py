"""What travels over the websocket: event names, binary frames and feature flags (spec section 8)."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Final


class Event(StrEnum):
    """The `type` of a text frame."""

    STATUS = "status"
    FEATURE_FLAGS = "feature_flags"
    EXECUTION_START = "execution_start"
    EXECUTION_CACHED = "execution_cached"
    EXECUTING = "executing"
    PROGRESS = "progress"
    PROGRESS_STATE = "progress_state"
    EXECUTED = "executed"
    EXECUTION_SUCCESS = "execution_success"
    EXECUTION_ERROR = "execution_error"
    EXECUTION_INTERRUPTED = "execution_interrupted"
    LOGS = "logs"
    NOTIFICATION = "notification"


TERMINAL_EVENTS: Final = frozenset({Event.EXECUTION_SUCCESS, Event.EXECUTION_ERROR, Event.EXECUTION_INTERRUPTED})
"""One of these is the last message of a history record (but see trap 3 of the spec)."""


class Frame(IntEnum):
    """The first word of a binary frame."""

    PREVIEW_IMAGE = 1
    TEXT = 3
    PREVIEW_IMAGE_WITH_METADATA = 4


class PreviewFormat(IntEnum):
    """The second word of a PREVIEW_IMAGE frame."""

    JPEG = 1
    PNG = 2


class NodeState(StrEnum):
    """The `state` of a node in `progress_state`; ComfyUI defines pending and error but never sends them."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    ERROR = "error"


SUPPORTS_PREVIEW_METADATA: Final = "supports_preview_metadata"
MAX_UPLOAD_SIZE: Final = "max_upload_size"

CONTENT_TYPES: Final = {PreviewFormat.JPEG: "image/jpeg", PreviewFormat.PNG: "image/png"}

_WORD: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Preview:
    """A preview picture: encoded bytes, their media type, and what the sender said of it ({} for frame 1)."""

    image: bytes
    content_type: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Text:
    """A text that a node shows while it runs."""

    node_id: str
    text: str


def preview_frame(image: bytes, form: PreviewFormat = PreviewFormat.JPEG) -> bytes:
    """Frame 1, for clients without `supports_preview_metadata`."""
    return _WORD.pack(Frame.PREVIEW_IMAGE) + _WORD.pack(form) + image


def preview_metadata_frame(image: bytes, metadata: Mapping[str, Any]) -> bytes:
    """Frame 4, for clients with `supports_preview_metadata`."""
    head = json.dumps(metadata).encode()
    return _WORD.pack(Frame.PREVIEW_IMAGE_WITH_METADATA) + _WORD.pack(len(head)) + head + image


def text_frame(node_id: str, text: str) -> bytes:
    """Frame 3."""
    name = node_id.encode()
    return _WORD.pack(Frame.TEXT) + _WORD.pack(len(name)) + name + text.encode()


def parse_frame(data: bytes) -> Preview | Text | None:
    """Read a binary frame; None for a kind this table does not know, ValueError for a broken one."""
    if len(data) < 8:
        raise ValueError(f"a binary frame has at least 8 bytes, this one has {len(data)}")
    kind, second = _WORD.unpack_from(data, 0)[0], _WORD.unpack_from(data, 4)[0]
    if kind == Frame.PREVIEW_IMAGE:
        return Preview(data[8:], CONTENT_TYPES[PreviewFormat(second)], {})
    if kind not in (Frame.TEXT, Frame.PREVIEW_IMAGE_WITH_METADATA):
        return None
    if second > len(data) - 8:
        raise ValueError(f"a binary frame promises {second} bytes of head and has {len(data) - 8}")
    head, rest = data[8 : 8 + second].decode(), data[8 + second :]
    if kind == Frame.TEXT:
        return Text(head, rest.decode())
    metadata = json.loads(head)
    if not isinstance(metadata, dict):
        raise ValueError("the head of a preview frame must be a JSON object")
    return Preview(rest, str(metadata.get("image_type", "image/jpeg")), metadata)
