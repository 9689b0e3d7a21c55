"""The head of a safetensors file."""

import io
import struct

import pytest

from comfyserve.core.safetensors import read_header, read_header_text

HEADER = b'{"__metadata__": {"a": "b"}}'


def head(text: bytes, length: int | None = None) -> io.BytesIO:
    return io.BytesIO(struct.pack("<Q", len(text) if length is None else length) + text)


def test_a_header_is_read_and_the_data_comes_next() -> None:
    file = head(HEADER)
    file.seek(0, io.SEEK_END)
    file.write(b"data")
    file.seek(0)
    assert read_header(file, len(HEADER)) == {"__metadata__": {"a": "b"}}
    assert file.read() == b"data"


def test_the_text_is_given_as_it_is() -> None:
    assert read_header_text(head(b"not JSON"), 8) == b"not JSON"


@pytest.mark.parametrize(
    "file",
    [
        io.BytesIO(b""),
        io.BytesIO(b"short"),
        head(HEADER, len(HEADER) + 1),
        head(HEADER, 2**64 - 1),
        head(HEADER + b" " * 100),
        head(b"[]"),
        head(b"{"),
        head(b"{\xff}"),
        head(b'{"a":' + b"[" * 90),
    ],
)
def test_other_files_have_none(file: io.BytesIO) -> None:
    assert read_header(file, 100) is None
