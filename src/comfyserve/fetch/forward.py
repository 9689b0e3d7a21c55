"""Forward proxies of the operator, as HTTP_PROXY, HTTPS_PROXY and NO_PROXY name them."""

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from yarl import URL

from comfyserve.core.errors import InvalidInput

HTTP, HTTPS, NO = "http", "https", "no"
SCHEMES = (HTTP, HTTPS)

_BETWEEN = re.compile(r"[,\s]+")
_PORT = re.compile(r"(?P<host>.+):(?P<port>\d{1,5})")


def proxies_of(environment: Mapping[str, str]) -> dict[str, str]:
    """The proxies by scheme, and `no` for the hosts without one. Small letters win over capitals, an empty variable is
    none, and HTTP_PROXY alone serves both schemes (stateless-comfyui-api.md section 7.5)."""

    def said(name: str) -> str:
        return environment.get(name.lower()) or environment.get(name.upper()) or ""

    http = said("http_proxy")
    found = {HTTP: http, HTTPS: said("https_proxy") or http, NO: said("no_proxy")}
    return {name: value.strip() for name, value in found.items() if value.strip()}


class ForwardProxies:
    """Which proxy leads to an address. `given` is what `proxies_of` reads.

    Raises InvalidInput for a proxy that is reached otherwise than by plain HTTP; the sentence shows nothing of it."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._proxies = {scheme: _checked(scheme, given[scheme]) for scheme in SCHEMES if given.get(scheme)}
        self._without = [word.lower() for word in _BETWEEN.split(given.get(NO, "")) if word]

    def __bool__(self) -> bool:
        return bool(self._proxies)

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts of the proxies themselves."""
        return frozenset(urlsplit(proxy).hostname or "" for proxy in self._proxies.values())

    def for_url(self, url: URL) -> str | None:
        """The proxy for an address; None for this machine's own, and for what NO_PROXY names."""
        host = (url.host or "").lower().rstrip(".")
        if is_this_machine(host) or any(_names(word, host, url.port) for word in self._without):
            return None
        return self._proxies.get(url.scheme)


def is_this_machine(host: str) -> bool:
    """Whether a host is loopback by its name or its address: no proxy leads there."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def _checked(scheme: str, proxy: str) -> str:
    try:
        parts = urlsplit(proxy)
        fine = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise InvalidInput(f"{scheme.upper()}_PROXY must be an address that begins with http://, or not be set.")
    return proxy


def _names(word: str, host: str, port: int | None) -> bool:
    """Whether a word of NO_PROXY names a host: everything (`*`), the host, a domain above it with or without `.` or
    `*.` before it, an address or a network; only one port of it with `:port`."""
    if word == "*":
        return True
    if "/" in word:
        return _is_in(word, host)
    if (found := _PORT.fullmatch(word)) and (found["host"].count(":") == 0 or found["host"].startswith("[")):
        if int(found["port"]) != port:
            return False
        word = found["host"]
    plain = word.strip("[]").removeprefix("*").lstrip(".").rstrip(".")
    return bool(plain) and (host == plain or host.endswith(f".{plain}"))


def _is_in(network: str, host: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
