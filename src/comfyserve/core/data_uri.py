"""data: URIs (RFC 2397), decoded piece by piece."""

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from comfyserve.core.errors import InvalidInput, TooLarge

PIECE = 256 * 1024
"""Characters decoded at a time; a multiple of 4, as base64 wants it."""

MAX_HEAD = 1_000
DEFAULT_MIME = "text/plain"

_BLANKS = re.compile(r"[\r\n\t ]+")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def decode_data_uri(text: str, limit: int) -> tuple[str, Iterator[bytes]]:
    """The media type and the content in pieces. Raises InvalidInput for what is no data URI, TooLarge beyond `limit`
    decoded bytes; content that is not base64 is found while the pieces are read."""
    head, comma, _ = text[:MAX_HEAD].partition(",")
    if not comma or not head.lower().startswith("data:"):
        raise InvalidInput("This is not a data URI: 'data:<type>;base64,<content>'.")
    kind, *parameters = head[5:].split(";")
    start = len(head) + 1
    if any(parameter.strip().lower() == "base64" for parameter in parameters):
        if (len(text) - start) * 3 // 4 > limit * 1.1 + 1_000:
            raise _too_large(limit)
        return kind.strip().lower() or DEFAULT_MIME, _bounded(_base64(text, start), limit)
    return kind.strip().lower() or DEFAULT_MIME, _bounded(_escaped(text, start), limit)


def _base64(text: str, start: int) -> Iterator[bytes]:
    """Both alphabets, blanks and escapes inside, padding or none."""
    rest, padded = "", False
    for at in range(start, len(text), PIECE):
        piece = text[at : at + PIECE]
        if "%" in piece or "%" in rest:
            yield _decode(_unescape(rest + text[at:]))
            return
        piece = rest + _BLANKS.sub("", piece).replace("-", "+").replace("_", "/")
        if padded and piece:
            raise _not_base64()
        whole = len(piece) // 4 * 4
        rest = piece[whole:]
        padded = piece.endswith("=")
        yield _decode(piece[:whole])
    yield _decode(rest)


def _unescape(text: str) -> str:
    try:
        plain = unquote_to_bytes(text).decode("ascii")
    except UnicodeError as error:
        raise _not_base64() from error
    return _BLANKS.sub("", plain).replace("-", "+").replace("_", "/")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _not_base64() from error


def _escaped(text: str, start: int) -> Iterator[bytes]:
    at = start
    while at < len(text):
        end = min(at + PIECE, len(text))
        while end < len(text) and "%" in text[end - 2 : end]:
            end += 1
        piece = text[at:end]
        if _BROKEN_ESCAPE.search(piece):
            raise InvalidInput("The data URI has a '%' without two hexadecimal digits.")
        yield unquote_to_bytes(piece)
        at = end


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
