"""The one outbound policy for what goes out on a caller's word (DESIGN.md section 7).

http and https only; the name is resolved, its addresses are checked, and the connection goes to exactly a checked one.
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from comfyserve.core.errors import FetchFailed, FetchRefused, InvalidInput
from comfyserve.core.limits import MAX_URL
from comfyserve.fetch.forward import ForwardProxies
from comfyserve.fetch.lookup import Lookup
from comfyserve.fetch.networks import Address, Network, is_metadata, is_special, plain

SCHEMES = frozenset({"http", "https"})
MAX_CONNECTIONS = 64
ADVICE = "To allow it, name it in the setting allow_private_network."


@dataclass(frozen=True)
class AllowPrivate:
    """The setting `allow_private_network`, read: everything private, or these host names and networks."""

    everything: bool = False
    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "AllowPrivate":
        """Read `off`, `on`, or host names, addresses and networks commas or blanks between. Raises InvalidInput."""
        words = text.replace(",", " ").lower().split()
        if len(words) <= 1 and (not words or words[0] in ("off", "on", "false", "true", "0", "1", "no", "yes")):
            return cls(everything=bool(words) and words[0] in ("on", "true", "1", "yes"))
        hosts, networks = set(), []
        for word in words:
            try:
                networks.append(ip_network(word.strip("[]"), strict=False))
            except ValueError:
                if "/" in word or ":" in word:
                    raise InvalidInput(
                        f"allow_private_network: {word!r} is no host name, address or network."
                    ) from None
                hosts.add(word.rstrip("."))
        return cls(False, frozenset(hosts), tuple(networks))

    def and_also(self, other: "AllowPrivate") -> "AllowPrivate":
        """What either of both allows."""
        return AllowPrivate(
            self.everything or other.everything, self.hosts | other.hosts, (*self.networks, *other.networks)
        )

    def allows(self, host: str, address: Address) -> bool:
        """Whether a plain address that is not public may be called under this host name."""
        if is_metadata(address):
            return any(address in network and network.num_addresses == 1 for network in self.networks)
        if self.everything or host in self.hosts:
            return True
        return any(address in network for network in self.networks)


class Guard:
    """Decides about URLs and addresses, and makes HTTP sessions that cannot go anywhere else.

    `proxies` are the operator's forward proxies, as `forward.proxies_of` reads them. Behind a proxy the check comes
    first all the same, but it is the proxy that resolves and connects. `proxy_resolves`: a host that cannot be looked
    up here is left to the proxy, where only that one knows the names outside. `lookup` is who knows the addresses of
    hosts. Raises InvalidInput for a setting or a proxy that cannot be used.
    """

    def __init__(
        self,
        allow_private: AllowPrivate | str = "off",
        *,
        proxies: Mapping[str, str] | None = None,
        proxy_resolves: bool = False,
        lookup: Lookup | None = None,
    ) -> None:
        self._allow = AllowPrivate.parse(allow_private) if isinstance(allow_private, str) else allow_private
        self.lookup = lookup or Lookup()
        self._proxies = ForwardProxies(proxies or {})
        self._proxy_resolves = proxy_resolves

    def check_url(self, text: str) -> URL:
        """The URL, if its scheme and shape are allowed, and its host when that is an address. Raises FetchRefused."""
        if len(text) > MAX_URL:
            raise FetchRefused(f"The URL is longer than {MAX_URL} characters.")
        try:
            url = URL(text)
            host, port = url.host, url.port
        except ValueError as error:
            raise FetchRefused("This is not a valid URL.") from error
        if url.scheme not in SCHEMES:
            raise FetchRefused(
                f"Only http and https URLs are fetched, not {url.scheme[:20] or 'a URL without a scheme'}."
            )
        if not host or not port:
            raise FetchRefused("The URL names no host or no valid port.")
        if (address := _literal(host)) is not None:
            self.check_address(host, address)
        return url

    def check_address(self, host: str, address: Address) -> None:
        """Raise FetchRefused unless this address may be called under this host name."""
        address = plain(address)
        if is_metadata(address) or is_special(address):
            if self._allow.allows(host.lower().rstrip("."), address):
                return
            kind = "a metadata address" if is_metadata(address) else "not a public address"
            raise FetchRefused(f"The host {host} is {kind} and is not called. {ADVICE}")

    async def admits(self, text: str) -> bool:
        """Whether a URL may be called, as far as its host's addresses tell now; a host that has none may be."""
        try:
            url = self.check_url(text)
            await CheckedResolver(self).resolve(url.host or "", url.port or 0, socket.AF_UNSPEC)
        except FetchRefused:
            return False
        except OSError:
            return True
        return True

    async def proxy_for(self, url: URL) -> str | None:
        """The forward proxy for a checked URL, after its host was resolved and checked; None when it has none.

        Raises FetchRefused, and FetchFailed when the host has no address that we can see.
        """
        host = url.host or ""
        if not self._proxies:
            return None
        proxy = self.forward_proxy(url)
        if _literal(host) is None:
            try:
                await CheckedResolver(self).resolve(host, url.port or 0, socket.AF_UNSPEC)
            except OSError as error:
                if proxy is None or not self._proxy_resolves:
                    raise not_found(host) from error
        return proxy

    def forward_proxy(self, url: URL) -> str | None:
        """The operator's forward proxy for a URL, without any check: for addresses that the operator configured."""
        return self._proxies.for_url(url)

    def session(self, *, connect_seconds: float, idle_seconds: float) -> aiohttp.ClientSession:
        """A session whose connections go to checked addresses only; follow redirects yourself, one `check_url` each."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=CheckedResolver(self, self._proxies.hosts),
                use_dns_cache=False,
                limit=MAX_CONNECTIONS,
                keepalive_timeout=15,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds, sock_read=idle_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )


class CheckedResolver(AbstractResolver):
    """Gives a connector only addresses that the guard allows, so a name cannot change its mind after the check.

    `trusted` are the operator's proxies, which may be private; `proxy_for` keeps callers from naming them."""

    def __init__(self, guard: Guard, trusted: frozenset[str] = frozenset()) -> None:
        self._guard = guard
        self._trusted = trusted

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The allowed addresses of a host. Raises FetchRefused when it has none, OSError when it has no address."""
        found = await self._guard.lookup.resolve(host, port, family)
        return found if host in self._trusted else self._allowed(host, found)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _allowed(self, host: str, found: Iterable[ResolveResult]) -> list[ResolveResult]:
        allowed: list[ResolveResult] = []
        refused: FetchRefused | None = None
        for result in found:
            try:
                self._guard.check_address(host, ip_address(result["host"]))
            except FetchRefused as error:
                refused = error
            else:
                allowed.append(result)
        if refused is not None and not allowed:
            raise refused
        return allowed


def not_found(host: str | None) -> FetchFailed:
    """A host has no address, as far as we can see."""
    return FetchFailed(f"The host {host} cannot be found.", retryable=True)


def _literal(host: str) -> Address | None:
    """The address that a host spells out. Old spellings (127.1, 2130706433) are refused: parsers disagree on them."""
    try:
        return ip_address(host)
    except ValueError:
        if ":" in host or host.replace(".", "").isdigit():
            raise FetchRefused(f"The host {host[:80]} is not a valid address.") from None
        return None
