"""A JSON text in pieces, kept but for the long strings in it that hold files (RFC 8259)."""

import codecs
import re
from collections.abc import Callable

import msgspec

from comfyserve.apis.http.errors import MalformedJson
from comfyserve.core.errors import TooLarge

LONG = 64 * 1024
"""Bytes, escapes and all, up to which a string stays where it is."""

PIECE = LONG
"""Bytes looked at in one go; a string that is whole within them is not long, so one expression may jump over it."""

Write = Callable[[bytes], None]

_PASSED = re.compile(rb'(?:[^"]*+"(?:[^"\\]++|\\.)*+")*+[^"]*+', re.DOTALL)
"""Everything outside of strings, and whole strings."""

_WITHIN = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
"""The inside of a string, to its end or to a backslash whose letter is not here yet."""

_UNITS = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+",
    re.DOTALL,
)
"""Whole characters of the inside of a string, in bytes; a pair of surrogates is one."""

LONGEST_UNIT = 12
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\\"
"""What base64 is made of, in JSON: some encoders escape slashes, and lines end with an escape, too."""

_DATA_URI = re.compile(rb"\s*data:", re.IGNORECASE)
_text = msgspec.json.Decoder(str)


class Sieve:
    """Takes the pieces in turn; what is left is there at the end.

    `new_file` gives a token and what takes the file's bytes; the token stands in the rest in place of the string.
    """

    def __init__(self, new_file: Callable[[], tuple[str, Write]], limit: int) -> None:
        """`limit`: bytes of the rest."""
        self._new_file = new_file
        self._limit = limit
        self._rest = bytearray()
        self._inside = False
        self._cut_escape = False
        self._held = bytearray()
        self._stays = False
        self._write: Write | None = None
        self._after_file = False

    def feed(self, data: bytes) -> None:
        """The next bytes of the text. Raises MalformedJson, TooLarge, and what `new_file` and its file raise."""
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            at = 0
            while at < len(piece):
                at = self._go_on(piece, at) if self._inside else self._pass(piece, at)

    def end(self) -> bytes:
        """The text without what went to files. Raises MalformedJson when it ends within a string that did."""
        if self._write is not None:
            raise MalformedJson("The body is not JSON: it ends inside a string.")
        self._keep(self._held)
        return bytes(self._rest)

    def _pass(self, piece: bytes, at: int) -> int:
        """Keep what is no part of a string that goes on in the next piece; where that one begins."""
        if self._after_file and (after := piece[at:].lstrip()):
            self._after_file = False
            if after.startswith(b":"):
                raise TooLarge(f"The name of a field is over {LONG} bytes.")
        passed = _PASSED.match(piece, at)
        end = passed.end() if passed else at
        self._keep(piece[at:end])
        if end < len(piece):
            self._inside = True
            self._held += b'"'
        return end + 1

    def _go_on(self, piece: bytes, at: int) -> int:
        """Take what belongs to the string; where the piece goes on after it."""
        end = self._end_of_string(piece, at)
        self._held += piece[at:end]
        ended = end < len(piece)
        if not self._stays and self._write is None and len(self._held) - 1 > LONG:
            self._settle()
        if self._write is not None:
            self._flush(ended)
        elif self._stays or ended:
            self._keep(self._held)
            self._held.clear()
        if ended:
            self._close()
        return end + 1

    def _close(self) -> None:
        """The string ends here."""
        self._after_file = self._write is not None
        if self._write is None:
            self._keep(b'"')
        self._inside, self._stays, self._write = False, False, None

    def _end_of_string(self, piece: bytes, at: int) -> int:
        """The place of the quote that ends the string; the length of the piece when it is not in it."""
        if self._cut_escape:
            at += 1
            self._cut_escape = False
        quote = piece.find(b'"', at)
        end = len(piece) if quote < 0 else quote
        slash = piece.find(b"\\", at, end)
        if slash < 0:
            return end
        within = _WITHIN.match(piece, slash)
        end = within.end() if within else slash
        if end < len(piece) and piece[end] != ord('"'):
            self._cut_escape = True
            end = len(piece)
        return end

    def _settle(self) -> None:
        """A long string has begun: a file, or only a text, which stays."""
        opening = bytes(self._held[1 : LONG + 1])
        if not _DATA_URI.match(opening) and opening.translate(None, _BASE64):
            self._stays = True
            return
        token, self._write = self._new_file()
        self._keep(f'"{token}"'.encode())
        del self._held[0]

    def _flush(self, ended: bool) -> None:
        """Write the characters that are whole."""
        cut = len(self._held) if ended else _whole(self._held)
        if len(self._held) - cut >= LONGEST_UNIT:
            raise MalformedJson("The body is not JSON: a string has a broken escape.")
        try:
            text = _text.decode(b'"' + self._held[:cut] + b'"')
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedJson(f"The body is not JSON: a string in it cannot be read: {error}.") from error
        del self._held[:cut]
        if self._write is not None:
            self._write(text.encode())

    def _keep(self, data: bytes | bytearray) -> None:
        if len(self._rest) + len(data) > self._limit:
            raise TooLarge(
                f"The body is over the limit of {self._limit / 1024**2:.0f} MB, its base64 and data URIs not counted.",
                details={"limit": self._limit},
            )
        self._rest += data


def _whole(held: bytearray) -> int:
    """How many of the bytes are whole characters. Raises MalformedJson for what is no UTF-8."""
    end = len(held)
    if b"\\" in held:
        units = _UNITS.match(held)
        end = units.end() if units else 0
    if held.isascii():
        return end
    try:
        return codecs.utf_8_decode(held[:end], "strict", False)[1]
    except UnicodeDecodeError as error:
        raise MalformedJson(f"The body is not JSON: {error}.") from error
