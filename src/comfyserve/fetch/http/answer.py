"""What an answer's headers say (RFC 9110, 9530)."""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import content_disposition_filename, parse_content_disposition

from comfyserve.fetch.source import Validators

HASHES = {"sha-512": "sha512", "sha-256": "sha256", "md5": "md5"}
"""Names of checksums in headers, best first, and in hashlib."""

MAX_HEADER = 2_000
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.I)
_DIGEST = re.compile(r"(sha-512|sha-256|md5)=:?([A-Za-z0-9+/]+={0,2}):?(?=\s*[,;]|\s*$)", re.I)
_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Facts:
    """One state of a file: what tells it from others, its size, its type, its name, its checksum if the origin told."""

    etag: str = ""
    last_modified: str = ""
    size: int | None = None
    mime: str = ""
    filename: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def validators(self) -> Validators:
        """For a later question whether it has changed."""
        return Validators(self.etag, self.last_modified, self.size)

    @property
    def condition(self) -> str:
        """The value of If-Range: a strong validator, or empty (RFC 9110 section 13.1.5)."""
        return self.etag if self.etag.startswith('"') else self.last_modified

    def differs(self, other: "Facts") -> bool:
        """Whether both say what they are, and not the same."""
        pairs = [(self.etag, other.etag), (self.last_modified, other.last_modified), (self.size, other.size)]
        return any(mine and theirs and mine != theirs for mine, theirs in pairs)

    def as_json(self) -> dict[str, Any]:
        """For the resume file."""
        return {**self.__dict__, "digests": dict(self.digests)}


def read_facts(headers: Message, status: int) -> Facts:
    """The facts of a 200 or 206 answer; what is malformed is unknown."""
    told = content_range(headers)
    size = (told[2] if told else None) if status == 206 else length_of(headers)
    return Facts(
        etag=_text(headers, "ETag"),
        last_modified=_strong_date(headers),
        size=None if encoding_of(headers) else size,
        mime=_text(headers, "Content-Type"),
        filename=_filename(headers),
        digests=_digests(headers, whole=status == 200),
    )


def length_of(headers: Message) -> int | None:
    """The declared length of the body; unknown when it comes in chunks."""
    text = _text(headers, "Content-Length")
    return int(text) if re.fullmatch(r"\d{1,18}", text) and "Transfer-Encoding" not in headers else None


def content_range(headers: Message) -> tuple[int, int, int] | None:
    """First byte, the byte after the last, and the size of the whole; None for anything but one complete range."""
    found = _CONTENT_RANGE.fullmatch(_text(headers, "Content-Range"))
    if not found:
        return None
    start, last, size = (int(number) for number in found.groups())
    return (start, last + 1, size) if start <= last < size else None


def encoding_of(headers: Message) -> str:
    """The coding of the content, in small letters; empty when there is none."""
    text = _text(headers, "Content-Encoding").lower()
    return "" if text == "identity" else text


def retry_after(headers: Message, now: datetime) -> float | None:
    """Seconds that the origin asks to wait: a number, or a date."""
    text = _text(headers, "Retry-After")
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    date = _date(text)
    return max(0.0, (date - now).total_seconds()) if date else None


def linked_sha256(headers: Message) -> str:
    """The checksum that Hugging Face gives with its redirect to a large file (`X-Linked-Etag`), if it is one."""
    text = _text(headers, "X-Linked-Etag").strip('"')
    return text if _HEX_SHA256.fullmatch(text) else ""


def _digests(headers: Message, *, whole: bool) -> dict[str, str]:
    """The best checksum of the whole content; Content-MD5 and Content-Digest are about what this answer carries."""
    if encoding_of(headers):
        return {}
    names = ("Repr-Digest", "Digest", "X-Goog-Hash", *(("Content-Digest",) if whole else ()))
    text = ", ".join(_text(headers, name) for name in names)
    if whole and (md5 := _text(headers, "Content-MD5")):
        text += f", md5={md5}"
    found = {name.lower(): value for name, value in _DIGEST.findall(text)}
    for name, ours in HASHES.items():
        if value := _hex(found.get(name, "")):
            return {ours: value}
    return {}


def _hex(value: str) -> str:
    try:
        return b64decode(value, validate=True).hex()
    except NotBase64:
        return ""


def _strong_date(headers: Message) -> str:
    """Last-Modified, if it is old enough to tell two states apart (RFC 9110 section 8.8.2.2)."""
    text = _text(headers, "Last-Modified")
    modified, now = _date(text), _date(_text(headers, "Date"))
    return text if modified and (now is None or (now - modified).total_seconds() >= 1) else ""


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _filename(headers: Message) -> str:
    text = _text(headers, "Content-Disposition")
    _, parameters = parse_content_disposition(text)
    return content_disposition_filename(parameters) or ""


def _text(headers: Message, name: str) -> str:
    """The first value, read as UTF-8 where it is that; empty when it is absent or too long."""
    value = str(headers.get(name, ""))
    if len(value) > MAX_HEADER:
        return ""
    try:
        return value.encode("latin-1").decode().strip()
    except UnicodeError:
        return value.strip()
