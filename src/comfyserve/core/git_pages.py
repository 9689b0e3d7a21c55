"""The ref that people write into the address of a git repository (stateless-comfyui-api.md section 5.2)."""

import re
from urllib.parse import unquote

AFTER_DOT_GIT = re.compile(r"(?P<base>.+\.git)@(?P<ref>.+)")
AFTER_AT = re.compile(r"(?P<base>.+)@(?P<ref>[^/@]+)")
GITLAB = re.compile(r"(?P<base>/[^/]+/.+?)/-/(?:tree|commit|tags)/(?P<ref>.+)")
GITHUB = re.compile(r"(?P<base>/[^/]+/.+?)/(?:tree|commit|releases/tag)/(?P<ref>.+)")
BITBUCKET = re.compile(r"(?P<base>/[^/]+/.+?)/(?:src|commits)/(?P<ref>.+)")
ENDS_IN_GIT = re.compile(r"(?P<base>.+\.git)(?P<ref>)")

RULES = (AFTER_DOT_GIT, ENDS_IN_GIT, AFTER_AT, GITLAB, GITHUB, BITBUCKET)
"""First hit wins, on the path. A page's address needs an owner and a repository before its keyword, so that a
repository called `/src/x` is not misread."""

NOT_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|\.lock$")


def split_path(path: str) -> tuple[str, str]:
    """The path of the repository, as it is written, and the ref that the path of an address names, without percent
    signs; empty when it names none. Raises ValueError for what can be no ref."""
    path, ref = path.rstrip("/"), ""
    if found := next((match for rule in RULES if (match := rule.fullmatch(path))), None):
        path, ref = found["base"], unquote(found["ref"])
    if ref and NOT_A_REF.search(ref):
        raise ValueError("The URL does not name a valid branch, tag or commit.")
    return path, ref


def candidates(ref: str) -> tuple[str, ...]:
    """What may be meant, best first: a page's address may go on with a path in the repository, so of `feature/x` and
    `feature` the longest that exists is. None of an empty ref."""
    parts = ref.split("/") if ref else []
    return tuple("/".join(parts[:count]) for count in range(len(parts), 0, -1))
