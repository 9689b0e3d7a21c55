"""data: URIs (RFC 2397), decoded piece by piece."""

import base64
import binascii
import re
from collections.abc import Iterator
from itertools import chain
from urllib.parse import unquote_to_bytes

from comfyserve.core.errors import InvalidInput, TooLarge

PIECE = 256 * 1024
"""Characters decoded at a time; a multiple of 4, as base64 wants it."""

MAX_HEAD = 1_000
DEFAULT_MIME = "text/plain"

SPOOLED = "data:spooled,"
"""What a token begins with that stands for a long text of a request, which is in a file until the request has ended."""

_BLANKS = b"\r\n\t "
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_="
_FOREIGN = bytes(set(range(256)) - set(_ALPHABET))
_STANDARD = bytes.maketrans(b"-_", b"+/")


def decode_data_uri(text: str, limit: int) -> tuple[str, Iterator[bytes]]:
    """The media type and the content in pieces. Raises InvalidInput for what is no data URI, TooLarge beyond `limit`
    decoded bytes; content that is not base64 is found while the pieces are read."""
    return decode_data(_sliced(text), limit)


def decode_data(pieces: Iterator[str], limit: int) -> tuple[str, Iterator[bytes]]:
    """The same for a data URI whose text comes in pieces, the first of which holds all before the comma."""
    first = next(pieces, "")
    head, comma, _ = first[:MAX_HEAD].partition(",")
    if not comma or not head.lower().startswith("data:"):
        raise InvalidInput("This is not a data URI: 'data:<type>;base64,<content>'.")
    kind, *parameters = head[5:].split(";")
    content = chain([first[len(head) + 1 :]], pieces)
    is_base64 = any(parameter.strip().lower() == "base64" for parameter in parameters)
    decoded = _base64(content) if is_base64 else _escaped(content)
    return kind.strip().lower() or DEFAULT_MIME, _bounded(decoded, limit)


def decode_base64(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """The content of bare base64, read as leniently as Node.js does: both alphabets, foreign characters skipped, an end
    at the first `=`, no padding needed, a lone last character dropped. Raises TooLarge beyond `limit` bytes."""
    return _bounded(_lenient(pieces), limit)


def bare_to_data_uri(text: str) -> str:
    """A data URI with the content that `decode_base64` would give."""
    clean = _cleaned(text.encode("ascii", "ignore")).partition(b"=")[0]
    return f"data:;base64,{clean[: len(clean) - (len(clean) % 4 == 1)].decode()}"


def _lenient(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        clean, ending, _ = (rest + _cleaned(piece)).partition(b"=")
        whole = len(clean) // 4 * 4
        rest = clean[whole:]
        yield binascii.a2b_base64(clean[:whole])
        if ending:
            break
    if len(rest) > 1:
        yield binascii.a2b_base64(rest + b"=" * (4 - len(rest)))


def _cleaned(piece: bytes) -> bytes:
    return piece.translate(_STANDARD, _FOREIGN)


def _sliced(text: str) -> Iterator[str]:
    return (text[at : at + PIECE] for at in range(0, len(text), PIECE))


def _whole_escapes(pieces: Iterator[str]) -> Iterator[str]:
    """The same text, with no `%xx` in two pieces."""
    rest = ""
    for piece in pieces:
        text = rest + piece
        cut = text.find("%", max(len(text) - 2, 0))
        rest = text[cut:] if cut >= 0 else ""
        yield text.removesuffix(rest)
    yield rest


def _base64(pieces: Iterator[str]) -> Iterator[bytes]:
    """Both alphabets, blanks and escapes inside, padding or none."""
    rest, padded = b"", False
    for text in _whole_escapes(pieces):
        data = text.encode(errors="replace")  # what is not ASCII is no base64, as decoding finds
        piece = rest + (unquote_to_bytes(data) if b"%" in data else data).translate(_STANDARD, _BLANKS)
        if padded and piece:
            raise _not_base64()
        whole = len(piece) // 4 * 4
        rest = piece[whole:]
        padded = padded or piece.endswith(b"=")
        yield _decode(piece[:whole])
    yield _decode(rest)


def _decode(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _not_base64() from error


def _escaped(pieces: Iterator[str]) -> Iterator[bytes]:
    for piece in _whole_escapes(pieces):
        if _BROKEN_ESCAPE.search(piece):
            raise InvalidInput("The data URI has a '%' without two hexadecimal digits.")
        yield unquote_to_bytes(piece)


def _bounded(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        if piece:
            yield piece


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The data URI holds more than the {limit} bytes that are allowed; upload the file instead.")


def _not_base64() -> InvalidInput:
    return InvalidInput("The content of the data URI is not valid base64.")
