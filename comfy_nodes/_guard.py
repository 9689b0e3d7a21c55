"""Which URLs may be opened on the word of a workflow: http and https to public addresses.

A host is resolved here and only here; what is connected to afterwards is one of the addresses that were checked.
"""

import json
import re
import socket
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import quote, urlsplit

from . import _settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS = {"http": 80, "https": 443}
MAX_URL = 8192
NAT64 = IPv6Network("64:ff9b::/96")
UNFIT = re.compile(r"[\x00-\x20\x7f\\]")
KEPT = "!$%&'()*+,-./:;=?@_~[]"
SETTING = _settings.PREFIX + "ALLOW_PRIVATE_NETWORK"


class Refused(ValueError):
    """A URL that these nodes do not open; the text says why."""


@dataclass(frozen=True)
class Target:
    """A URL that was checked: what to connect to and what to ask for."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """The whole URL again, without user and fragment."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def check_url(text: str) -> Target:
    """The target of a URL of an allowed scheme and shape; a host that is an address is checked. Raises Refused."""
    if len(text) > MAX_URL:
        raise Refused(f"The URL is longer than {MAX_URL} characters.")
    try:
        parts = urlsplit(text)
        host, port = _ascii(parts.hostname or ""), parts.port
    except ValueError:
        raise Refused("This is not a valid URL.") from None
    if parts.scheme not in PORTS:
        raise Refused(f"Only http and https URLs are opened, not {parts.scheme[:20] or 'a URL without a scheme'}.")
    if UNFIT.search(text) or not host or port == 0:
        raise Refused("The URL has characters that do not belong there, or names no host or no valid port.")
    if (address := _literal(host)) is not None:
        check_address(host, address)
    path = quote(parts.path or "/", safe=KEPT) + (f"?{quote(parts.query, safe=KEPT)}" if parts.query else "")
    return Target(parts.scheme, host, port or PORTS[parts.scheme], path)


def resolve(target: Target) -> list[str]:
    """The addresses of a target that may be called. Raises Refused when it has only others, OSError without any."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    allowed: list[str] = []
    refused: Refused | None = None
    for text in dict.fromkeys(str(entry[4][0]) for entry in found):
        try:
            check_address(target.host, ip_address(text))
        except Refused as error:
            refused = error
        else:
            allowed.append(text)
    if refused is not None and not allowed:
        raise refused
    return allowed


def check_address(host: str, address: Address) -> None:
    """Raise Refused unless this address may be called under this host name."""
    address = _plain(address)
    networks = _networks()
    metadata = any(address in network for network in networks["metadata"])
    if not metadata and not any(address in network for network in networks["special"]):
        return
    if _allowed(host.lower().rstrip("."), address, metadata=metadata):
        return
    kind = "a metadata address" if metadata else "not a public address"
    raise Refused(f"The host {host} is {kind} and is not called. To allow it, name it in {SETTING}.")


def _allowed(host: str, address: Address, *, metadata: bool) -> bool:
    words = _settings.word("ALLOW_PRIVATE_NETWORK").replace(",", " ").lower().split()
    if not metadata and (words in (["on"], ["true"], ["1"], ["yes"]) or host in words):
        return True
    for word in words:
        try:
            network = ip_network(word.strip("[]"), strict=False)
        except ValueError:
            continue
        if address in network and (not metadata or network.num_addresses == 1):
            return True
    return False


@cache
def _networks() -> dict[str, tuple[Network, ...]]:
    table = json.loads(Path(__file__).with_name("_networks.json").read_text(encoding="utf-8"))
    return {kind: tuple(ip_network(text) for text in table[kind]) for kind in ("special", "metadata")}


def _plain(address: Address) -> Address:
    """The IPv4 address that a mapped or NAT64 address leads to; any other one without its scope."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    bare = IPv6Address(int(address))
    return IPv4Address(int(bare) & 0xFFFFFFFF) if bare in NAT64 else bare


def _ascii(host: str) -> str:
    """A host as DNS knows it; addresses in odd characters become plain ones. Raises ValueError."""
    return host.lower() if host.isascii() else host.encode("idna").decode("ascii").lower()


def _literal(host: str) -> Address | None:
    """The address that a host spells out. Old spellings (127.1, 2130706433) are refused: parsers disagree on them."""
    try:
        return ip_address(host)
    except ValueError:
        if ":" in host or host.replace(".", "").isdigit():
            raise Refused(f"The host {host[:80]} is not a valid address.") from None
        return None
