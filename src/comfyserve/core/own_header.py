"""A header of the operator's for requests to hosts that the operator names (stateless-comfyui-api.md section 3.4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from comfyserve.core.credentials import HeaderAuth
from comfyserve.core.errors import InvalidInput
from comfyserve.core.headers import is_for_callers, is_value

EVERYWHERE = "*"


@dataclass(frozen=True)
class OwnHeader:
    """`hosts` are names in small letters, with `:port` for one port alone, `*.name` for what is below a name, `*` for
    all. It goes to these alone, and never on to where one of them redirects."""

    auth: HeaderAuth
    hosts: frozenset[str]

    @classmethod
    def read(cls, name: str, value: str, hosts: Iterable[str]) -> "OwnHeader":
        """Raises InvalidInput for a header that cannot be."""
        if not is_for_callers(name) or not is_value(value):
            raise InvalidInput("HTTP_AUTH_HEADER_NAME or HTTP_AUTH_HEADER_VALUE is nothing that a request can carry.")
        return cls(HeaderAuth(name, value), frozenset(host.lower().rstrip(".") for host in hosts if host))

    def for_url(self, url: str) -> HeaderAuth | None:
        """The header, when the host of an http or https address gets it."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        except ValueError:
            return None
        if not host or parts.scheme not in ("http", "https"):
            return None
        above = {f"*.{host.split('.', number)[-1]}" for number in range(1, host.count(".") + 1)}
        return self.auth if not self.hosts.isdisjoint({EVERYWHERE, host, f"{host}:{port}", *above}) else None


def advice_for(own: OwnHeader | None, url: str) -> str:
    """A sentence for one who was not let in; empty when the operator has no header, or it was sent."""
    if own is None or own.for_url(url) is not None:
        return ""
    return " This server has a header for other hosts; its operator may name this one in http_auth_hosts."
