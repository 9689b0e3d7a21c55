"""Custom nodes: node packs from git repositories, or by name from ComfyUI's registry through comfy-cli."""

import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path

from comfyserve.core.errors import InvalidInput, Place
from comfyserve.ports import SystemEvent, TellSystem
from comfyserve.provision.programs import Programs, ProvisionFailed
from comfyserve.provision.python import Packages
from comfyserve.provision.repository import Git, is_repository, read_repository

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9._-]+)?")
"""A pack in the registry, perhaps with a version."""
FOLDER, REQUIREMENTS = "custom_nodes", "requirements.txt"


def check_nodes(items: Sequence[str]) -> None:
    """Raise InvalidInput for what is neither a git URL nor a name in the registry."""
    for index, item in enumerate(items):
        place = Place(field=f"custom_nodes[{index}]")
        if is_repository(item):
            try:
                read_repository(item)
            except InvalidInput as error:
                raise InvalidInput(f"custom_nodes[{index}]: {error.message}", place=place) from error
        elif not NAME.fullmatch(item):
            sentence = f"custom_nodes[{index}]: {item!r} is neither the http, https or ssh URL of a git repository nor "
            raise InvalidInput(sentence + "the name of a node pack in ComfyUI's registry.", place=place)


class CustomNodes:
    """Puts node packs into the ComfyUI at `home`, with what their requirements.txt names."""

    def __init__(self, programs: Programs, packages: Packages, home: Path, tell: TellSystem) -> None:
        self._programs = programs
        self._packages = packages
        self._home = home
        self._tell = tell
        self._git = Git(programs)

    async def install(self, items: Sequence[str]) -> None:
        """Install one after the other. Raises ProvisionFailed."""
        for item in items:
            await (self._from_git(item) if is_repository(item) else self._by_name(item))

    async def _from_git(self, url: str) -> None:
        if self._programs.find("git") is None:
            raise ProvisionFailed("The manifest has node packs by git URL, and there is no git on this system.")
        repository, began = read_repository(url), time.monotonic()
        folder = self._home / FOLDER / repository.name
        if await self._git.put(repository, folder):
            seconds = round(time.monotonic() - began, 3)
            size = await asyncio.to_thread(_size, folder)
            data = {"url": repository.url, "local_path": str(folder), "size": size, "duration": seconds}
            self._tell(SystemEvent("storage", "file_downloaded", data))
        if await asyncio.to_thread((folder / REQUIREMENTS).is_file):
            await self._packages.install(f"Requirements of {repository.name}", "-r", REQUIREMENTS, folder=folder)

    async def _by_name(self, name: str) -> None:
        comfy = self._programs.find("comfy")
        if comfy is None:
            raise ProvisionFailed(
                f"ComfyUI CLI is not available to install the custom node {name} by its name. Install comfy-cli, or "
                "give the URL of its git repository."
            )
        where = ("--skip-prompt", "--workspace", str(self._home))
        wish = ("node", "install", name, "--fast-deps", "--exit-on-fail")
        await self._programs.run(f"Custom node {name}", comfy, *where, *wish, folder=self._home)


def _size(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_symlink() or path.is_file())
