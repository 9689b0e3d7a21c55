"""Addresses that the operator configured: reached wherever they are, and nothing else is."""

from collections.abc import AsyncIterator, Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from comfyserve.fetch.guard import AllowPrivate, Guard
from comfyserve.fetch.sender import HttpSender


def sender_to(url: str, *, proxies: Mapping[str, str] | None = None, answer_seconds: float = 30.0) -> HttpSender:
    """A Sender to this one host, which may be private. Build it in a loop."""
    return HttpSender(Guard(only_host(url), proxies=proxies), answer_seconds=answer_seconds)


async def put_to(sender: HttpSender, url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Put a small body; the status of the answer. Raises FetchRefused, FetchFailed."""

    async def content() -> AsyncIterator[bytes]:
        yield body

    return await sender.send("PUT", url, content(), headers, length=len(body))


def only_host(url: str) -> AllowPrivate:
    """Leave to call the host of an address, private or not."""
    host = (urlsplit(url).hostname or "").lower().rstrip(".")
    try:
        return AllowPrivate(networks=(ip_network(ip_address(host)),))
    except ValueError:
        return AllowPrivate(hosts=frozenset({host}))
