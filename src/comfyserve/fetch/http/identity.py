"""Who asks: credentials, and where they may go."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from comfyserve.core.credentials import Auth, BasicAuth, BearerAuth, HeaderAuth, QueryAuth
from comfyserve.core.errors import FetchRefused
from comfyserve.core.headers import is_for_callers, is_value
from comfyserve.core.own_header import OwnHeader
from comfyserve.fetch.heads import basic


@dataclass(frozen=True)
class Identity:
    """What opens `home`: it goes to that origin (scheme, host, port) alone, and on from http to https of one host."""

    home: URL
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)

    def dress(self, url: URL) -> tuple[URL, dict[str, str]]:
        """The URL as it is asked, without user and password, and the headers that belong to it."""
        bare = url.with_user(None).with_fragment(None)
        if not self._trusts(url):
            return bare, {}
        return (bare.update_query(self.query) if self.query else bare), dict(self.headers)

    def _trusts(self, url: URL) -> bool:
        if url.host != self.home.host:
            return False
        same = (url.scheme, url.port) == (self.home.scheme, self.home.port)
        return same or ((self.home.port, url.scheme, url.port) == (80, "https", 443))


def identify(url: URL, auth: Auth | None, own: OwnHeader | None) -> Identity:
    """The caller's credential, else user and password of the URL, else the operator's own header.

    Raises FetchRefused for a credential that HTTP cannot carry.
    """
    if auth is None and url.user is not None:
        auth = BasicAuth(url.user, url.password or "")
    auth = auth or (own.for_url(str(url)) if own is not None else None)
    match auth:
        case None:
            return Identity(url)
        case BearerAuth(token):
            return Identity(url, _header("Authorization", f"Bearer {token}"))
        case BasicAuth(username, password):
            return Identity(url, {"Authorization": basic(username, password)})
        case HeaderAuth(name, value):
            return Identity(url, _header(name, value))
        case QueryAuth(name, value):
            return Identity(url, query={name: value})
    raise FetchRefused(f"{url.host} is reached by HTTP: its credential is of type bearer, basic, header or query.")


def _header(name: str, value: str) -> dict[str, str]:
    if not is_for_callers(name):
        raise FetchRefused("The credential names a header that cannot be set.")
    if not is_value(value):
        raise FetchRefused("The credential has characters that no header can carry.")
    return {name: value}
