"""Heads of HTTP/1.1 messages as a forward proxy reads and writes them (RFC 9112 sections 2-6, RFC 9110 7.6.1)."""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from yarl import URL

from comfyserve.core import headers
from comfyserve.core.errors import FetchRefused
from comfyserve.core.headers import is_name, is_value

MAX_HEAD = 64 * 1024
HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "host"})

_REQUEST = re.compile(r"([A-Z]{1,20}) ([\x21-\x7e]+) HTTP/1\.[01]")
_ANSWER = re.compile(r"HTTP/1\.[01] ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")


class BadHead(Exception):
    """What was sent is no head of an HTTP/1.1 message; the text says why."""


@dataclass(frozen=True)
class Head:
    """The first line and the headers. A request has a method and a target, an answer a status."""

    line: str
    headers: tuple[tuple[str, str], ...]
    method: str = ""
    target: str = ""
    status: str = ""

    def value(self, name: str) -> str:
        """The first value of a header, whose name is given in small letters; empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def forwarded(self, url: URL, proxy: URL | None) -> bytes:
        """The request for the next server: absolute for a proxy, relative for the host itself."""
        place = url.host_subcomponent or ""
        if url.explicit_port is not None:
            place += f":{url.explicit_port}"
        target = f"http://{place}{url.raw_path_qs}" if proxy else url.raw_path_qs
        first = [f"{self.method} {target} HTTP/1.1", f"Host: {place}", "Connection: close"]
        return self._joined(first + (proxy_authorization(proxy) if proxy else []))

    def answered(self) -> bytes:
        """The answer for the client: the connection ends after it, so that no other request can follow on it."""
        return self._joined([self.line, "Connection: close"])

    def interim(self) -> bytes:
        """An answer before the answer, as it came."""
        return self._joined([self.line])

    def _joined(self, first: list[str]) -> bytes:
        named = {word.strip().lower() for key, value in self.headers if key.lower() == "connection"
                 for word in value.split(",")}  # fmt: skip
        dropped = (HOP_BY_HOP | named) - {"content-length", "transfer-encoding"}
        kept = [
            f"{key}: {value}"
            for key, value in self.headers
            if key.lower() not in dropped and not key.lower().startswith("proxy-")
        ]
        return "\r\n".join([*first, *kept, "", ""]).encode("latin-1")


def proxy_authorization(proxy: URL) -> list[str]:
    """The header line that opens a forward proxy whose URL has a user and a password; none otherwise."""
    parts = urlsplit(str(proxy))
    if parts.username is None:
        return []
    return [f"Proxy-Authorization: {basic(unquote(parts.username), unquote(parts.password or ''))}"]


def basic(username: str, password: str) -> str:
    """The value of an Authorization header. Raises FetchRefused for text that UTF-8 cannot carry."""
    try:
        return headers.basic(username, password)
    except UnicodeEncodeError as error:
        raise FetchRefused("The credential has characters that no header can carry.") from error


async def read_head(reader: asyncio.StreamReader) -> Head:
    """Read one head. Raises BadHead; EOFError when the connection ends before it does."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise BadHead(f"The head is longer than {MAX_HEAD} bytes.") from error
    if len(raw) > MAX_HEAD:
        raise BadHead(f"The head is longer than {MAX_HEAD} bytes.")
    line, *rest = raw[:-4].decode("latin-1").split("\r\n")
    headers = tuple(_header(text) for text in rest)
    lengths = {value for key, value in headers if key.lower() == "content-length"}
    if len(lengths) > 1 or (lengths and any(key.lower() == "transfer-encoding" for key, _ in headers)):
        raise BadHead("The length of the body is told twice.")
    if request := _REQUEST.fullmatch(line):
        return Head(line, headers, method=request[1], target=request[2])
    if answer := _ANSWER.fullmatch(line):
        return Head(line, headers, status=answer[1])
    raise BadHead("This is not HTTP/1.1.")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not is_name(name) or not is_value(value):
        raise BadHead("A header is not valid.")
    return name, value.strip(" \t")
