"""Byte ranges and conditional requests (RFC 9110 sections 13 and 14)."""

import re
from dataclasses import dataclass

from comfyserve.apis.http.errors import RangeUnsatisfiable

SINGLE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


@dataclass(frozen=True)
class Span:
    """A part of a file: `length` bytes from `start`."""

    start: int
    length: int

    def header(self, size: int) -> str:
        """The Content-Range header of this part."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def span_of(header: str | None, size: int) -> Span | None:
    """The part that a Range header asks for; None means the whole file.

    A header that is malformed or asks for several parts is ignored, as the RFC allows. Raises RangeUnsatisfiable.
    """
    found = SINGLE.fullmatch(header or "")
    if found is None or found.group(1) == found.group(2) == "":
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise RangeUnsatisfiable(size)
        return Span(size - length, length)
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeUnsatisfiable(size)
    return Span(start, end - start + 1)


def matches(header: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names this entity tag."""
    if header is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags
