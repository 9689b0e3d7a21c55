"""Addresses of git repositories, and the ref that people write into them (stateless-comfyui-api.md section 5.2)."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from yarl import URL

from comfyserve.core.credentials import BasicAuth
from comfyserve.core.errors import FetchRefused

PREFIX = "git+"
_SHA = re.compile(r"[0-9a-f]{7,64}")
_NOT_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|\.lock$")

_AFTER_DOT_GIT = re.compile(r"(?P<base>.+\.git)@(?P<ref>.+)")
_AFTER_AT = re.compile(r"(?P<base>.+)@(?P<ref>[^/@]+)")
_GITLAB = re.compile(r"(?P<base>/[^/]+/.+?)/-/(?:tree|commit|tags)/(?P<ref>.+)")
_GITHUB = re.compile(r"(?P<base>/[^/]+/.+?)/(?:tree|commit|releases/tag)/(?P<ref>.+)")
_BITBUCKET = re.compile(r"(?P<base>/[^/]+/.+?)/(?:src|commits)/(?P<ref>.+)")
_ENDS_IN_GIT = re.compile(r"(?P<base>.+\.git)(?P<ref>)")

RULES = (_AFTER_DOT_GIT, _ENDS_IN_GIT, _AFTER_AT, _GITLAB, _GITHUB, _BITBUCKET)
"""First hit wins, on the path. A page's address needs an owner and a repository before its keyword, so that a
repository called `/src/x` is not misread."""

FORGES = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"})
PAGES = (re.compile(r"/[^/]+/[^/]+"), _GITLAB, re.compile(r"/[^/]+/[^/]+/(?:tree|commit|commits|releases/tag|src)/.+"))
"""Hosts of git repositories, and their pages that stand for one; files and archives have other paths."""


@dataclass(frozen=True)
class GitUrl:
    """A repository and what is wanted of it. `refs` are candidates, best first: a page's address may go on with a path
    in the repository, so of `feature/x` and `feature` the longest that exists is meant. None: the default branch."""

    base: URL
    refs: tuple[str, ...] = ()
    auth: BasicAuth | None = None

    @property
    def name(self) -> str:
        """What the folder is called."""
        return unquote(self.base.raw_name).removesuffix(".git")

    @property
    def commit(self) -> str:
        """The ref, when it can be the id of a commit or its beginning."""
        return self.refs[-1] if self.refs and _SHA.fullmatch(self.refs[-1]) else ""


def is_git_url(text: str) -> bool:
    """Whether an address says by itself that it is a git repository: `git+https://...`, a path that ends in `.git` or
    `.git@ref`, or a repository's page on a host that has nothing else."""
    if text.startswith(PREFIX):
        return True
    scheme, _, rest = re.split(r"[?#]", text, maxsplit=1)[0].partition("://")
    if scheme not in ("https", "http"):
        return False
    host, _, path = rest.partition("/")
    path = f"/{path.rstrip('/')}"
    if host.rpartition("@")[2].lower() in FORGES and any(page.fullmatch(path) for page in PAGES):
        return True
    return bool((_ENDS_IN_GIT.fullmatch(path) or _AFTER_DOT_GIT.fullmatch(path)) and len(path) > len("/.git"))


def read_git_url(text: str) -> GitUrl:
    """The repository, the refs and the credentials in an address. Raises FetchRefused for what is none."""
    try:
        url = URL(text.removeprefix(PREFIX)).with_fragment(None)
        host = url.host
    except ValueError as error:
        raise FetchRefused("This is not a valid URL.") from error
    if url.scheme not in ("http", "https") or not host:
        raise FetchRefused("Git repositories are fetched from http and https URLs only.")
    auth = BasicAuth(url.user or "", url.password or "") if url.raw_user or url.raw_password else None
    path = url.raw_path.rstrip("/")
    ref = ""
    if found := next((match for rule in RULES if (match := rule.fullmatch(path))), None):
        path, ref = found["base"], unquote(found["ref"])
    if len(path) < 2:
        raise FetchRefused("The URL names no git repository.")
    if ref and _NOT_A_REF.search(ref):
        raise FetchRefused("The URL does not name a valid branch, tag or commit.")
    base = url.with_user(None).with_path(path, encoded=True)
    return GitUrl(base, _candidates(ref), auth)


def _candidates(ref: str) -> tuple[str, ...]:
    parts = ref.split("/") if ref else []
    return tuple("/".join(parts[:count]) for count in range(len(parts), 0, -1))
