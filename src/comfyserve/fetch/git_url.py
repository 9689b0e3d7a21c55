"""Addresses of git repositories, and the ref that people write into them (stateless-comfyui-api.md section 5.2)."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from yarl import URL

from comfyserve.core.credentials import BasicAuth
from comfyserve.core.errors import FetchRefused
from comfyserve.core.git_pages import AFTER_DOT_GIT, ENDS_IN_GIT, GITLAB, candidates, split_path

PREFIX = "git+"
_SHA = re.compile(r"[0-9a-f]{7,64}")
FORGES = frozenset({"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"})
PAGES = (re.compile(r"/[^/]+/[^/]+"), GITLAB, re.compile(r"/[^/]+/[^/]+/(?:tree|commit|commits|releases/tag|src)/.+"))
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
    return bool((ENDS_IN_GIT.fullmatch(path) or AFTER_DOT_GIT.fullmatch(path)) and len(path) > len("/.git"))


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
    try:
        path, ref = split_path(url.raw_path)
    except ValueError as error:
        raise FetchRefused(str(error)) from error
    if len(path) < 2:
        raise FetchRefused("The URL names no git repository.")
    base = url.with_user(None).with_path(path, encoded=True)
    return GitUrl(base, candidates(ref), auth)
