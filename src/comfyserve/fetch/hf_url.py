"""Addresses of files and repositories on Hugging Face (stateless-comfyui-api.md section 3.3)."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

from comfyserve.core.errors import FetchRefused

Kind = Literal["model", "dataset", "space"]

SCHEME = "hf://"
HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
DEFAULT_REVISION = "main"
PREFIXES: dict[str, Kind] = {"models": "model", "datasets": "dataset", "spaces": "space"}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[\w.-][\w./+-]{0,199}")
_SPECIAL = re.compile(r"(refs/(?:pr|convert)/[^/]+)(?:/(.*))?", re.S)


@dataclass(frozen=True)
class HfPlace:
    """A file of a repository, or the whole repository when `path` is empty."""

    kind: Kind
    repo: str
    revision: str
    path: str

    @property
    def name(self) -> str:
        """The last part of the file's path, or of the repository's name."""
        return (self.path or self.repo).rpartition("/")[2]

    @property
    def file_route(self) -> str:
        """Where the hub tells about the file, and gives it."""
        prefix = "" if self.kind == "model" else f"{self.kind}s/"
        return f"/{prefix}{self.repo}/resolve/{quote(self.revision, safe='')}/{quote(self.path)}"

    @property
    def repo_route(self) -> str:
        """Where the hub's API tells about the repository at its revision."""
        return f"/api/{self.kind}s/{self.repo}/revision/{quote(self.revision, safe='')}"

    @property
    def access_route(self) -> str:
        """Where the hub's API tells whether a token opens the repository's files."""
        return f"/api/{self.kind}s/{self.repo}/auth-check"


def is_hf_url(text: str, host: str = "") -> bool:
    """Whether an address is for Hugging Face: `hf://`, or a page of its files there or on the mirror `host`."""
    try:
        read_hf_url(text, host)
    except FetchRefused:
        return text.startswith(SCHEME)
    return True


def read_hf_url(text: str, host: str = "") -> HfPlace:
    """What an address names. Raises FetchRefused.

    `hf://[datasets/]owner/name[@revision][/path]`, and on the hub's hosts `/[datasets/]owner/name`, with
    `/tree/<revision>`, `/resolve/<revision>/<path>`, `/blob/...` or `/raw/...` behind it.
    """
    rest = re.split(r"[?#]", text, maxsplit=1)[0]
    if rest.startswith(SCHEME):
        kind, owner, name, path = _split(rest.removeprefix(SCHEME))
        name, _, revision = name.partition("@")
        revision, path = _special(f"{unquote(revision)}/{path}") if revision == "refs" else (unquote(revision), path)
        return _place(kind, owner, name, revision or DEFAULT_REVISION, path)
    scheme, _, rest = rest.partition("://")
    found, _, page = rest.partition("/")
    if scheme not in ("https", "http") or (found.lower() not in HOSTS and found.lower() != host) or not found:
        raise FetchRefused("This is not an address of Hugging Face.")
    kind, owner, name, page = _split(page)
    verb, _, rest = page.partition("/")
    if not verb:
        return _place(kind, owner, name, DEFAULT_REVISION, "")
    revision, _, path = rest.partition("/")
    revision, path = _special(f"refs/{path}") if revision == "refs" else (unquote(revision), path)
    whole = verb == "tree" and not path
    if not revision or not (whole or (verb in ("resolve", "blob", "raw") and path)):
        raise FetchRefused("This is no address of a file or a repository on Hugging Face.")
    return _place(kind, owner, name, revision, path)


def _split(text: str) -> tuple[Kind, str, str, str]:
    """Kind, owner, name and the rest."""
    first, _, rest = text.partition("/")
    kind: Kind = "model"
    if first in PREFIXES:
        kind, text = PREFIXES[first], rest
    owner, _, rest = text.partition("/")
    name, _, rest = rest.partition("/")
    return kind, owner, name, rest


def _special(text: str) -> tuple[str, str]:
    """A pull request's or a conversion's revision has slashes of its own: `refs/pr/1`."""
    found = _SPECIAL.fullmatch(text.rstrip("/"))
    if not found:
        raise FetchRefused("The URL does not name a valid revision.")
    return unquote(found[1]), found[2] or ""


def _place(kind: Kind, owner: str, name: str, revision: str, path: str) -> HfPlace:
    path = "/".join(part for part in unquote(path).split("/") if part)  # an old uploader wrote `main///file`
    if not _NAME.fullmatch(owner) or not _NAME.fullmatch(name):
        raise FetchRefused("The URL does not name a repository as owner/name.")
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise FetchRefused("The URL does not name a valid revision.")
    if {".", ".."}.intersection(path.split("/")) or not path.isprintable() or "\\" in path:
        raise FetchRefused("The URL does not name a valid file.")
    return HfPlace(kind, f"{owner}/{name}", revision, path)
