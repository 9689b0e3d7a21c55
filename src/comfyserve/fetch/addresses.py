"""Which source an address is for."""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from comfyserve.core.addresses import SOURCES, SourceKind
from comfyserve.core.credentials import Auth, BasicAuth
from comfyserve.core.errors import FetchRefused, InvalidInput
from comfyserve.core.limits import MAX_URL
from comfyserve.core.logins import split_login
from comfyserve.fetch.bucket_url import is_bucket_url, read_bucket_url
from comfyserve.fetch.git_url import is_git_url
from comfyserve.fetch.hf_url import is_hf_url
from comfyserve.ports import Purpose

Kind = Literal["data"] | SourceKind

SCHEMES: Mapping[str, Kind] = {"data": "data", **SOURCES}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
WITH_HOST = frozenset({"http", "https", "git+https", "git+http"})
"""Schemes whose host the outbound policy looks at before anything else happens."""
BUCKETS: frozenset[Kind] = frozenset({"s3", "azure", "gcs"})
"""Sources that know which hosts are the operator's own: all others meet the policy in the proxy."""


@dataclass(frozen=True)
class Route:
    """Where to go: the source, the address without user and password, and the credentials to go with."""

    kind: Kind
    url: str = field(repr=False)
    auth: Auth | None
    has_host: bool

    @property
    def host(self) -> str:
        """The host or bucket, for messages."""
        return urlsplit(self.url).hostname or self.kind


@dataclass(frozen=True)
class Router:
    """Finds the source of an address among those that are `installed`. `azure_account` is the server's own storage
    account, whose https addresses are opened with its credentials, as are those below `azure_endpoint`, its service;
    `added` are the schemes of the operator's own storages."""

    installed: Set[Kind]
    azure_account: str = ""
    azure_endpoint: str = ""
    added: Set[str] = frozenset()

    def route(self, url: str, auth: Auth | None, purpose: Purpose) -> Route:
        """The way to an address. Raises InvalidInput for a kind of address that we do not know, FetchRefused for a
        malformed one. `auth` wins over a user and password in the URL."""
        scheme = url[:20].partition(":")[0].lower()
        kind = "added" if scheme in self.added else SCHEMES.get(scheme)
        if kind == "data":
            return Route(kind, url, None, False)
        if _CONTROL.search(url):
            raise FetchRefused("The URL has control characters, line breaks or halves of characters.")
        if len(url) > MAX_URL:
            raise FetchRefused(f"The URL is longer than {MAX_URL} characters.")
        if kind is None:
            known = ", ".join([*SCHEMES, *sorted(self.added)])
            raise InvalidInput(f"Files come from addresses that begin with {known}; this one does not.")
        bare, user = _split_user(url)
        auth = auth or user
        if kind == "http":
            kind = self._behind_http(bare, auth, purpose)
        if kind not in self.installed:
            raise InvalidInput(f"This server cannot fetch {scheme} addresses. Install the extra {kind}.")
        return Route(kind, bare, auth, scheme in WITH_HOST and kind not in BUCKETS)

    def _behind_http(self, url: str, auth: Auth | None, purpose: Purpose) -> Kind:
        """Web addresses that mean more than a web server. Repositories are models: an input is one file, and small
        enough for a plain GET, unless its address is that of a page about it."""
        if is_bucket_url(url, auth, self.azure_account, self.azure_endpoint):
            return read_bucket_url(url, self.azure_endpoint).kind
        if "hf" in self.installed and (purpose == "model" or "/blob/" in urlsplit(url).path) and is_hf_url(url):
            return "hf"
        return "git" if purpose == "model" and is_git_url(url) else "http"


def _split_user(url: str) -> tuple[str, BasicAuth | None]:
    try:
        return split_login(url)
    except ValueError as error:
        raise FetchRefused("This is not a valid URL.") from error
