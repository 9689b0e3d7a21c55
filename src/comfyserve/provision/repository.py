"""Clones of git repositories that stay: node packs, which are brought up to date at every start."""

import asyncio
import shutil
import uuid
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import structlog

from comfyserve.core.errors import InvalidInput
from comfyserve.core.git_access import as_variables, opening
from comfyserve.core.git_pages import candidates, split_path
from comfyserve.provision.programs import Programs, ProvisionFailed

log = structlog.get_logger(__name__)

GIT = "git+"
WEB, SECURE_SHELL = ("http", "https"), "ssh"
UNFINISHED = ".new.disabled"
"""How the folder of a clone under way ends; ComfyUI loads no pack from a folder that ends in `.disabled`."""
SAFE_IN_PATH = "/%:@!$&'()*+,;=~"


@dataclass(frozen=True)
class Repository:
    """A repository: its address without credentials, the refs that may be meant, best first (none: the default
    branch), and what git's configuration is told to open it."""

    url: str
    name: str
    refs: tuple[str, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def variables(self) -> dict[str, str]:
        """The configuration as variables: so no secret is in a command or in a file of the clone."""
        return as_variables(self.config)


def is_repository(text: str) -> bool:
    """Whether an item of a manifest is the address of a repository, and not a name in ComfyUI's registry."""
    scheme = text.removeprefix(GIT).partition("://")[0].lower()
    return "://" in text and scheme in (*WEB, SECURE_SHELL)


def read_repository(text: str) -> Repository:
    """The repository of an address. Raises InvalidInput for what is none."""
    try:
        parts = urlsplit(text.removeprefix(GIT))
        path, ref = split_path(quote(parts.path, safe=SAFE_IN_PATH))
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"{_shown(text)} is no address of a git repository: {error}") from error
    name = unquote(path.rpartition("/")[2]).removesuffix(".git")
    if not host or name in ("", ".", "..") or "/" in name or "\\" in name or not name.isprintable():
        raise InvalidInput(f"{_shown(text)} names no git repository.")
    place = f"[{host}]" if ":" in host else host
    place += f":{port}" if port else ""
    if parts.scheme.lower() == SECURE_SHELL:
        user = f"{parts.username}@" if parts.username else ""
        return Repository(f"ssh://{user}{place}{path}", name, candidates(ref))
    query = f"?{parts.query}" if parts.query else ""
    login = (unquote(parts.username or ""), unquote(parts.password or ""))
    url = f"{parts.scheme.lower()}://{place}{path}{query}"
    return Repository(url, name, candidates(ref), _opens(url, login))


class Git:
    """Clones and updates, by the git program."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    async def put(self, repository: Repository, folder: Path) -> bool:
        """Bring the repository to a folder; whether it was cloned. A copy that is there is brought up to date, or is
        used as it is, with a line in the log, when that fails. Raises ProvisionFailed."""
        if await asyncio.to_thread((folder / ".git").exists):
            await self._update(repository, folder)
            return False
        if await asyncio.to_thread(_is_taken, folder):
            raise ProvisionFailed(f"{folder} is there already and is no git repository. Remove it, or the item.")
        await self._clone(repository, folder)
        return True

    async def _update(self, repository: Repository, folder: Path) -> None:
        try:
            if repository.refs:
                await self._git(repository, folder, "fetch", "--all", "--tags", "--force")
                await self._check_out(repository, folder)
            else:
                await self._git(repository, folder, "pull", "--ff-only")
                await self._submodules(repository, folder)
        except ProvisionFailed as error:
            log.warning("repository_not_updated", folder=str(folder), reason=error.message)

    async def _clone(self, repository: Repository, folder: Path) -> None:
        """The clone appears whole, or not at all."""
        await asyncio.to_thread(_prepare, folder)
        fresh = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}{UNFINISHED}")
        try:
            await self._git(repository, folder.parent, "clone", "--", repository.url, str(fresh))
            if repository.refs:
                await self._check_out(repository, fresh)
            else:
                await self._submodules(repository, fresh)
            await asyncio.to_thread(_move, fresh, folder)
        except OSError as error:
            raise ProvisionFailed(f"{folder} cannot be made: {error.strerror}.") from error
        finally:
            await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)

    async def _check_out(self, repository: Repository, folder: Path) -> None:
        """The commit of the first ref that exists: a branch as the origin has it now, a tag or a commit."""
        for ref in repository.refs:
            for name in (f"refs/remotes/origin/{ref}", f"refs/tags/{ref}", ref):
                if commit := await self._commit(repository, folder, name):
                    await self._git(repository, folder, "checkout", "--quiet", "--detach", commit)
                    return await self._submodules(repository, folder)
        raise ProvisionFailed(f"{repository.url} has no branch, tag or commit {repository.refs[0]}.")

    async def _commit(self, repository: Repository, folder: Path, name: str) -> str:
        arguments = ("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
        try:
            said = await self._git(repository, folder, *arguments)
        except ProvisionFailed:
            return ""
        return said[-1] if said else ""

    async def _submodules(self, repository: Repository, folder: Path) -> None:
        if await asyncio.to_thread((folder / ".gitmodules").is_file):
            await self._git(repository, folder, "submodule", "update", "--init", "--recursive")

    async def _git(self, repository: Repository, folder: Path, *arguments: str) -> list[str]:
        step = f"git {arguments[0]} of {repository.name}"
        return await self._programs.run(step, "git", *arguments, folder=folder, env=repository.variables)


def _prepare(folder: Path) -> None:
    """Make the folder around, and remove clones that a start that was killed has left half-way in it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.iterdir():
        if left.name.startswith(f".{folder.name}.") and left.name.endswith(UNFINISHED):
            shutil.rmtree(left, ignore_errors=True)


def _is_taken(folder: Path) -> bool:
    """Whether something lies there that is no empty folder."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _move(fresh: Path, folder: Path) -> None:
    """Over an empty folder, too. Raises OSError."""
    if folder.exists():
        folder.rmdir()
    fresh.rename(folder)


def _opens(url: str, login: tuple[str, str]) -> dict[str, str]:
    """What lets git in; none without a login."""
    header = f"Authorization: Basic {b64encode(':'.join(login).encode()).decode()}"
    return opening(url, header) if any(login) else {}


def _shown(text: str) -> str:
    return repr(text.rpartition("@")[2] if "@" in text.partition("://")[2].partition("/")[0] else text)
