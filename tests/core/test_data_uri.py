"""data: URIs."""

import base64
import os
from urllib.parse import quote

import pytest

from comfyserve.core.data_uri import PIECE, decode_data_uri
from comfyserve.core.errors import InvalidInput, TooLarge

BIG = os.urandom(PIECE * 2 + 12_345)


def decode(text: str, limit: int = 10**7) -> tuple[str, bytes]:
    mime, pieces = decode_data_uri(text, limit)
    return mime, b"".join(pieces)


@pytest.mark.parametrize(
    ("text", "mime", "content"),
    [
        ("data:image/png;base64,aGVsbG8=", "image/png", b"hello"),
        ("DATA:Image/PNG;charset=x;BASE64,aGVsbG8", "image/png", b"hello"),
        ("data:;base64,_-8=", "text/plain", b"\xff\xef"),
        ("data:a/b;base64,aGVs\r\n bG8=\n", "a/b", b"hello"),
        ("data:a/b;base64,aGVsbG8%3D", "a/b", b"hello"),
        ("data:,hello%20w%C3%B6rld", "text/plain", "hello wörld".encode()),
        ("data:a/b;base64,", "a/b", b""),
    ],
)
def test_forms(text: str, mime: str, content: bytes) -> None:
    assert decode(text) == (mime, content)


def test_long_ones_come_in_pieces() -> None:
    _, pieces = decode_data_uri("data:a/b;base64," + base64.b64encode(BIG).decode(), 10**7)
    found = list(pieces)
    assert b"".join(found) == BIG
    assert max(map(len, found)) <= PIECE
    lines = base64.encodebytes(BIG).decode()
    assert decode("data:a/b;base64," + lines)[1] == BIG
    assert decode("data:a/b," + quote(BIG))[1] == BIG


@pytest.mark.parametrize(
    "text", ["", "data:", "data:image/png;base64", "http://x,", "data:a/b;base64,!!!!", "data:a/b;base64,abcde",
             "data:a/b;base64,YQ==YQ==", "data:,100%", "data:,%zz", "data:a/b;base64,%ff%fe"],
)  # fmt: skip
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        decode(text)


@pytest.mark.parametrize("text", ["data:a/b;base64," + "A" * 100_000, "data:," + "A" * 100_000])
def test_too_much_is_refused(text: str) -> None:
    with pytest.raises(TooLarge, match="1000"):
        decode(text, 1000)
