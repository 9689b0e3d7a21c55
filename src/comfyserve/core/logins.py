"""Users and passwords that stand in the addresses of a graph: they belong among the credentials, which are encrypted
and never shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from comfyserve.core.addresses import is_url
from comfyserve.core.catalogue import Catalogue
from comfyserve.core.credentials import MAX_CREDENTIALS, Auth, BasicAuth, Credential, auth_for, is_readable
from comfyserve.core.graph import Graph
from comfyserve.core.limits import MAX_URL
from comfyserve.core.media import media_places, renamed
from comfyserve.core.models import candidates, split_wish


@dataclass(frozen=True)
class Lifted:
    """A graph without logins in its addresses, and the credentials that open them. `names` maps an address as it was
    given to the one in the graph."""

    graph: Graph
    credentials: tuple[Credential, ...]
    names: Mapping[str, str] = field(repr=False)

    def shown(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """A caller's inputs without these logins."""
        return {key: self._bare(value) for key, value in inputs.items()}

    def _bare(self, value: Any) -> Any:
        bare = value.strip() if isinstance(value, str) else value
        known = renamed(bare, self.names)
        return known if known != bare else value


def split_login(url: str) -> tuple[str, BasicAuth | None]:
    """The URL without user and password, and these. Raises ValueError for what is no URL."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    name, _, password = user.partition(":")
    return urlunsplit(parts._replace(netloc=host)), BasicAuth(unquote(name), unquote(password))


def bare_address(url: str) -> str:
    """What was given as an address, without user and password; of what is no URL nothing from a login on."""
    try:
        return split_login(url)[0]
    except ValueError:
        return url.partition("@")[0].partition("://")[0] if "@" in url else url


def without_values(url: str) -> str:
    """An address without user and password, and without the values of its query: links may be signed there."""
    bare = bare_address(url)
    before, mark, query = bare.partition("?")
    if not mark:
        return bare
    query, fragment_mark, fragment = query.partition("#")
    names = [one.partition("=")[:2] for one in query.split("&")]
    return f"{before}?{'&'.join(name + mark for name, mark in names if mark)}{fragment_mark}{fragment}"


def lift_logins(graph: Graph, catalogue: Catalogue | None, credentials: Sequence[Credential]) -> Lifted:
    """Take the logins out of the addresses of files and models. What opens an address does not change: a credential
    that matches it comes before its own login. An address that cannot be opened in that way is left as it is."""
    found: dict[str, Auth] = {}
    names: dict[str, str] = {}
    opened: set[str] = set()
    changes: dict[str, dict[str, Any]] = {}
    for node_id, field_name, value, asked in _addresses(graph, catalogue):
        if value not in names:
            if len(found) + len(credentials) >= MAX_CREDENTIALS:
                continue
            bare, auth = _opened(asked, credentials)
            if auth is None or found.setdefault(bare, auth) != auth:
                continue
            names[value] = bare + value[len(asked) :]
            opened.add(bare)
        inputs = changes.setdefault(node_id, {})
        inputs[field_name] = renamed(inputs.get(field_name, graph.nodes[node_id].inputs[field_name]), names)
    lifted = [Credential(bare, auth) for bare, auth in found.items() if bare in opened]
    return Lifted(graph.with_inputs(changes) if changes else graph, (*lifted, *credentials), names)


def _addresses(graph: Graph, catalogue: Catalogue | None) -> Iterator[tuple[str, str, str, str]]:
    """Node, field and value of every address that may hold a login, and the part of the value that is fetched."""
    for place in media_places(graph, catalogue):
        if _may_hold_login(place.value):
            yield place.node_id, place.field, place.value, place.value
    for node_id, node in graph.nodes.items():
        if any(_may_hold_login(value) for value in node.inputs.values()):
            for name in candidates(node, catalogue):
                yield node_id, name, node.inputs[name], split_wish(node.inputs[name])[0]


def _may_hold_login(value: Any) -> bool:
    return is_url(value) and "@" in value and len(value) <= MAX_URL


def _opened(url: str, credentials: Sequence[Credential]) -> tuple[str, Auth | None]:
    """The address without its login and what opens it; None where there is no login, or no pattern names it alone."""
    try:
        bare, login = split_login(url)
    except ValueError:
        return url, None
    if login is None or "*" in urlsplit(bare).netloc or not is_readable(Credential(bare, login)):
        return url, None
    return bare, auth_for(url, credentials) or login
