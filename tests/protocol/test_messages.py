"""Binary frames survive the way from one side to the other (spec section 8)."""

import struct

import pytest

from comfyserve.protocol.messages import (
    Preview,
    PreviewFormat,
    Text,
    parse_frame,
    preview_frame,
    preview_metadata_frame,
    text_frame,
)


def test_plain_preview() -> None:
    frame = preview_frame(b"image", PreviewFormat.PNG)
    assert frame == struct.pack(">II", 1, 2) + b"image"
    assert parse_frame(frame) == Preview(b"image", "image/png", {})


def test_preview_with_metadata() -> None:
    about = {"node_id": "1", "image_type": "image/png"}
    assert parse_frame(preview_metadata_frame(b"image", about)) == Preview(b"image", "image/png", about)


def test_text() -> None:
    frame = text_frame("12:ü", "width: 1\nheight: 2")
    assert frame[:8] == struct.pack(">II", 3, 5)
    assert parse_frame(frame) == Text("12:ü", "width: 1\nheight: 2")


def test_an_unknown_kind_is_none() -> None:
    assert parse_frame(struct.pack(">II", 99, 0)) is None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0\0\0\1",
        struct.pack(">II", 1, 7) + b"x",
        struct.pack(">II", 3, 50) + b"short",
        struct.pack(">II", 4, 2) + b"[]",
        struct.pack(">II", 4, 2) + b"{x",
        struct.pack(">II", 4, 2**31) + b"{}",
    ],
)
def test_a_broken_frame_is_a_value_error(frame: bytes) -> None:
    with pytest.raises(ValueError):
        parse_frame(frame)
