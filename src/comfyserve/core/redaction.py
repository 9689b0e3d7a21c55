"""What of a request may be written into a log: everything but secrets, and of long texts the beginning."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

HIDDEN = "(hidden)"
LONGEST = 200
"""Characters of a text that are shown."""
READ = 4096
"""Characters of a text that are looked at to show these."""
DEEPEST, MOST = 40, 1000
"""How deep, and how many entries of one list or object are shown."""

SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|pwd|credential|authorization|signature|cookie|bearer|"
    r"(api|access|account|private|signing|shared)[_-]?key|"
    r"(header|query)_value|connection_?string|(^|_)sas($|_)|service_account|^auth$",
    re.IGNORECASE,
)
CREDENTIALS = "credentials"
SHOWN_OF_CREDENTIAL = frozenset({"url_pattern"})
SHOWN_OF_AUTH = frozenset({"type", "region", "endpoint", "username", "header_name", "query_param", "account_name"})
LOGIN = re.compile(r"(?<=://)[^/?#\s]*@")
UNFINISHED_LOGIN = re.compile(r"(?<=://)[^/?#\s]*\Z")
QUERY = re.compile(r"(://[^\s?#]*\?)[^\s#]+")


def redacted(value: Any) -> Any:
    """The same as JSON without secrets: values of telling names, of credentials all but kind and pattern, logins and
    queries of addresses (signed links are secrets). Long texts are cut, large lists and objects are told by their
    beginning."""
    return _shown(value, 0)


def bare_text(text: str) -> str:
    """A text without the logins and the queries of the addresses in it."""
    return QUERY.sub(rf"\g<1>{HIDDEN}", without_logins(text))


def without_logins(text: str) -> str:
    """A text without the users and passwords of the addresses in it."""
    return LOGIN.sub("", text)


def _shown(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping | list | tuple):
        return HIDDEN if depth > DEEPEST else _inside(value, depth + 1)
    return value if value is None or isinstance(value, bool | int | float) else _text(repr(value))


def _inside(value: Any, depth: int) -> Any:
    more = f"... ({len(value)} in all)" if len(value) > MOST else ""
    if isinstance(value, Mapping):
        shown = {_text(str(name)): _field(str(name), one, depth) for name, one in islice(value.items(), MOST)}
        return shown | ({"...": more} if more else {})
    return [_shown(one, depth) for one in value[:MOST]] + ([more] if more else [])


def _field(name: str, value: Any, depth: int) -> Any:
    if name == CREDENTIALS and isinstance(value, list | tuple):
        return [_credential(one) for one in value[:MOST]]
    if name == "auth" and isinstance(value, Mapping):
        return _auth(value)
    if SECRET_NAME.search(name) and not (value is None or value == "" or isinstance(value, bool)):
        return HIDDEN
    return _shown(value, depth)


def _credential(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return HIDDEN
    known = {str(name): _text(str(one)) for name, one in value.items() if name in SHOWN_OF_CREDENTIAL}
    auth = value.get("auth")
    return known | {"auth": _auth(auth) if isinstance(auth, Mapping) else HIDDEN}


def _auth(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): _text(str(one)) if name in SHOWN_OF_AUTH else HIDDEN for name, one in value.items()}


def _text(text: str) -> str:
    """Hidden first and cut then: what is cut off could be the end that tells a secret apart."""
    bare = bare_text(text[:READ])
    if len(text) > READ:
        bare = UNFINISHED_LOGIN.sub(HIDDEN, bare)
    whole = len(text) <= READ and len(bare) <= LONGEST
    return bare if whole else f"{bare[:LONGEST]}... ({len(text)} characters)"
