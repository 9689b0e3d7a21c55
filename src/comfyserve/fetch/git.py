"""Git repositories: one commit, shallow, without its history, hooks, prompts and submodules."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from comfyserve.core.credentials import Auth, BasicAuth, BearerAuth, HeaderAuth
from comfyserve.core.errors import FetchFailed, FetchRefused, StorageFailed
from comfyserve.core.git_access import as_variables, opening
from comfyserve.fetch.child import Ended, check_size, environment, make_folder, run_child, weigher
from comfyserve.fetch.disk import remove, size_on_disk
from comfyserve.fetch.git_url import GitUrl, read_git_url
from comfyserve.fetch.heads import basic
from comfyserve.fetch.proxy import GuardingProxy, Lease
from comfyserve.fetch.source import UNKNOWN, Arrived, Order, Unchanged, Validators
from comfyserve.fetch.threads import in_thread
from comfyserve.fetch.tries import with_tries

FULL_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
LFS_POINTER_BYTES = 1024

SAFE_CONFIG: Mapping[str, str] = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.lowSpeedLimit": "100",
    "http.lowSpeedTime": "60",
    "http.proxyAuthMethod": "basic",
    "protocol.allow": "never",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
}
"""What every git command of ours obeys; nothing of the machine's or the user's configuration is read."""

SAFE_ENVIRONMENT: Mapping[str, str] = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "http:https",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}

TOKEN_USERS: Mapping[str, str] = {
    "github.com": "x-access-token",
    "gitlab.com": "oauth2",
    "bitbucket.org": "x-token-auth",
}
"""Hosts that take a token only as the password of a user, and that user's name."""

COMPLAINTS: tuple[tuple[str, str, bool], ...] = (
    (
        r"could not read (Username|Password)|Authentication failed|error: 40[13]",
        "{host} does not open the repository with these credentials. Give credentials that may read it.",
        False,
    ),
    (r"not found|error: 404", "{host} has no such repository, or it is private.", False),
    (r"find remote ref|not our ref|no such remote ref|unadvertised", "The repository has no such commit.", False),
    (r"error: 30\d", "{host} redirects, which is not followed with credentials. Give the new address.", False),
    (r"No space left|[Dd]isk quota", "", False),
)
"""What git says, what it means to the caller, and whether another try may help. No sentence: our disk."""


@dataclass(frozen=True)
class _Work:
    """One use of git: the repository, what it may do, and where."""

    place: GitUrl
    env: Mapping[str, str]
    lease: Lease
    folder: Path

    @property
    def host(self) -> str:
        return self.place.base.host or ""


class GitSource:
    """Folders from git repositories; `auth` in an address or an order is Basic, Bearer or a header.

    Their etag is the id of the commit. Submodules stay empty; a repository whose files
    are in Git LFS is refused, because its files would not be there.
    """

    def __init__(self, proxy: GuardingProxy, temporary: Path, *, git: str = "git") -> None:
        self._proxy = proxy
        self._temporary = temporary
        self._git = git

    async def download(self, order: Order, path: Path) -> Arrived | Unchanged:
        """Check the commit out into the folder `path`. See Source."""
        place = read_git_url(order.url)
        host = place.base.host or ""
        arrived: Arrived | Unchanged = Unchanged()
        try:
            arrived = await with_tries(lambda: self._clone(place, order, path), host)
        finally:
            if not isinstance(arrived, Arrived):
                await in_thread(lambda: remove(path))
        return arrived

    async def check(self, url: str, auth: Auth | None, held: Validators = UNKNOWN) -> bool:
        """Ask for the list of refs. See Source. That a commit is there which none of them names, nothing proves."""
        place = read_git_url(url)
        async with self._proxy.lease() as lease:
            return held.shows(Validators(await self._look(place, auth, lease)))

    async def close(self) -> None:
        """Nothing to let go of."""

    async def _look(self, place: GitUrl, auth: Auth | None, lease: Lease) -> str:
        folder = self._temporary / f"git-{lease.name}"
        try:
            return await self._listed(await self._begin(place, auth, lease, folder))
        finally:
            await in_thread(lambda: remove(folder))

    async def _clone(self, place: GitUrl, order: Order, path: Path) -> Arrived | Unchanged:
        async with self._proxy.lease() as lease:
            work = await self._begin(place, order.auth, lease, path)
            found = await self._resolve(work)
            if order.held is not None and found and order.held.etag == found:
                return Unchanged()
            commit = await self._get(work, found, order)
            await self._run(work, "checkout", "--quiet", "--force", "--detach", commit, order=order)
        size = await in_thread(lambda: _settle(path))
        check_size(size, order.limit)
        order.on_bytes(size, size)
        return Arrived(size, "", "inode/directory", (place.name,), Validators(etag=commit, size=size), is_folder=True)

    async def _begin(self, place: GitUrl, auth: Auth | None, lease: Lease, folder: Path) -> _Work:
        await in_thread(lambda: make_folder(folder))
        header = authorization(auth or place.auth, place.base.host or "")
        config = dict(SAFE_CONFIG) | {"http.proxy": lease.url, "remote.origin.url": str(place.base)}
        if header:
            config |= opening(str(place.base), header)
        own = dict(SAFE_ENVIRONMENT) | as_variables(config) | {"HOME": str(folder)}
        work = _Work(place, environment(own), lease, folder)
        await self._run(work, "init", "--quiet", "--template=")
        return work

    async def _resolve(self, work: _Work) -> str:
        """The id of the wanted commit; empty when it is only an id's beginning, which no server looks up."""
        return await self._listed(work) or (work.place.commit if FULL_ID.fullmatch(work.place.commit) else "")

    async def _listed(self, work: _Work) -> str:
        """The id of the commit that a wanted ref names; empty when only the address itself tells an id."""
        wanted = work.place.refs or ("HEAD",)
        patterns = [pattern for ref in wanted for pattern in _names(ref)]
        listed = await self._run(work, "ls-remote", "--quiet", "origin", *patterns)
        lines = (line.partition("\t") for line in listed.printed.decode(errors="replace").splitlines())
        ids = {name: commit for commit, _, name in lines}
        if found := next((ids[name] for name in patterns if name in ids), ""):
            return found
        if work.place.commit:
            return ""
        raise FetchFailed(
            f"The repository at {work.host} has no such branch, tag or commit."
            if work.place.refs
            else f"The repository at {work.host} is empty."
        )

    async def _get(self, work: _Work, found: str, order: Order) -> str:
        """Fetch the commit; all branches when only an id's beginning is known. The answer is the full id."""
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        if found:
            await self._run(work, "fetch", *options, "--depth=1", "origin", found, order=order)
            return found
        await self._run(work, "fetch", *options, "origin", "+refs/heads/*:refs/remotes/origin/*", order=order)
        commit = f"{work.place.commit}^{{commit}}"
        full = await self._run(work, "rev-parse", "--quiet", "--verify", "--end-of-options", commit)
        return full.printed.decode().strip()

    async def _run(self, work: _Work, *arguments: str, order: Order | None = None) -> Ended:
        look = weigher(work.folder, order.limit, order.on_bytes, lambda: None) if order else None
        ended = await run_child((self._git, *arguments), work.env, cwd=work.folder, look=look)
        if ended.status == 0:
            return ended
        if work.lease.trouble is not None:
            raise work.lease.trouble
        for pattern, sentence, retryable in COMPLAINTS:
            if re.search(pattern, ended.complaints):
                if not sentence:
                    raise StorageFailed("The repository cannot be kept on disk: there is no space left.")
                raise FetchFailed(sentence.format(host=work.host), retryable=retryable)
        if arguments[0] == "rev-parse":
            raise FetchFailed(f"The repository at {work.host} has no such branch, tag or commit.")
        raise FetchFailed(f"{work.host} does not give the repository (git {arguments[0]} failed).", retryable=True)


def authorization(auth: Auth | None, host: str) -> str:
    """The header line that carries credentials; empty without any. Raises FetchRefused for kinds that git has not."""
    if auth is None:
        return ""
    if isinstance(auth, BearerAuth) and host in TOKEN_USERS:
        auth = BasicAuth(TOKEN_USERS[host], auth.token)
    if isinstance(auth, BasicAuth):
        return f"Authorization: {basic(auth.username, auth.password)}"
    line = ""
    if isinstance(auth, BearerAuth):
        line = f"Authorization: Bearer {auth.token}"
    if isinstance(auth, HeaderAuth):
        line = f"{auth.header_name}: {auth.header_value}"
    if not line or not line.isprintable():
        raise FetchRefused("Git repositories are opened with basic, bearer or header credentials.")
    return line


def _names(ref: str) -> tuple[str, ...]:
    return (ref,) if ref == "HEAD" else (f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}")


def _settle(folder: Path) -> int:
    """Remove git's own folder and look through the rest; its size. Raises FetchRefused, FetchFailed."""
    shutil.rmtree(folder / ".git")
    root = folder.resolve()
    for parent, folders, names in os.walk(folder):
        for path in (Path(parent, name) for name in (*folders, *names)):
            if path.is_symlink() and not _stays_in(root, path):
                raise FetchRefused("The repository has a symbolic link that leads out of it, or round in a circle.")
            if _is_lfs_pointer(path):
                raise FetchFailed("The repository keeps files in Git LFS, which is not fetched from git addresses.")
    return size_on_disk(folder)


def _stays_in(root: Path, link: Path) -> bool:
    """Whether a link leads to something below the root, there or not."""
    try:
        link.stat()
    except FileNotFoundError:
        pass  # what is not there does no harm
    except OSError:  # a circle of links, or one that leads through a file
        return False
    return link.resolve().is_relative_to(root)


def _is_lfs_pointer(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LFS_POINTER_BYTES:
        return False
    with path.open("rb") as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER
