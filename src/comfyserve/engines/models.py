"""The models of an engine: what it offers, and files of ours among them without a copy.

A file lies under its name in our cache; the engine's folder of that kind gets a symbolic link to it. ComfyUI lists a
folder anew when its time of change differs, so that a link counts from the moment it is there.
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any
from urllib.parse import quote

from comfyserve.core.errors import Conflict, EngineError
from comfyserve.core.file_names import fault_of
from comfyserve.engines.folders import Folders
from comfyserve.ports import OfferedModel
from comfyserve.protocol import routes
from comfyserve.protocol.files import MODEL_EXTENSIONS, MODEL_FOLDER_ALIASES, MODEL_FOLDER_PATHS

MODELS = "models"
UNTOLD = frozenset({"reactor/faces"})
"""Kinds that nodes look for although the engine does not tell of them."""
NAMES = 9
"""How many names are tried when others have files under the first ones."""
LOOKS = 2
MOST_NAMES = 10_000
"""Of one folder that the engine does not tell of."""

Ask = Callable[[str], Awaitable[Any]]
"""The engine's JSON answer to a GET of a path, None for any status but 200. Raises EngineLost."""


@dataclass(frozen=True)
class Shelf:
    """The folder of models that we may write to. `far`: the engine reads it from another machine, where links to our
    files lead nowhere; it gets hard links, and copies from another disk."""

    root: Path
    far: bool = False

    def directory(self, kind: str, told: Sequence[str]) -> Path:
        """Where files of a kind go; `told` are the engine's own folders for it. Raises EngineError."""
        choices = [path for path in self._choices(kind, told) if self._is_inside(path)]
        if not choices:
            raise EngineError(f"The engine looks for {kind} outside of its folder of models only; put the file there.")
        choices.sort(key=lambda path: (not path.is_dir(), path.name != kind))
        return choices[0]

    def put(self, directory: Path, name: str, path: Path, *, exact: bool = False) -> tuple[str, bool]:
        """Offer `path` under this name, or under one like it when a file of somebody else has it, unless it must be
        this `exact` one; the answer is the name, and whether it is new. What is there already, or leads nowhere any
        more, is taken over. Raises OSError, Conflict."""
        directory.mkdir(parents=True, exist_ok=True)
        stem, ending = os.path.splitext(name)  # noqa: PTH122  a text
        for number in range(1, 2 if exact else NAMES + 1):
            place = directory / (name if number == 1 else f"{stem}_{number}{ending}")
            if _is_same(place, path):
                return place.name, False
            if not place.exists():
                self._link(place, path)
                return place.name, True
        if exact:
            raise Conflict(f"Another file has the name {name} in the folder {directory.name}. Choose another name.")
        raise FileExistsError(17, "other files have its name", name)

    def _choices(self, kind: str, told: Sequence[str]) -> list[Path]:
        if told and not self.far:
            return [Path(path) for path in told]
        below = [_below_models(path) for path in told] if told else [*MODEL_FOLDER_PATHS.get(kind, (kind,))]
        return [self.root / path for path in below if path]

    def _is_inside(self, path: Path) -> bool:
        """Whether a path lies below our folder as it is written: an operator may link a folder to another disk."""
        plain = Path(os.path.normpath(path))
        return any(plain.is_relative_to(root) for root in (self.root, self.root.resolve()))

    def _link(self, place: Path, path: Path) -> None:
        """The file appears at once and whole, also over a link that leads nowhere."""
        fresh = place.with_name(f".{uuid.uuid4().hex}.new")
        try:
            _copied(path, fresh) if self.far else _linked(path, fresh)
            fresh.replace(place)
        finally:
            fresh.unlink(missing_ok=True) if not fresh.is_dir() else shutil.rmtree(fresh, ignore_errors=True)


class Models:
    """What an engine offers, asked over its own routes."""

    def __init__(self, ask: Ask, folders: Folders | None, *, far: bool = False, why_not: str = "") -> None:
        """`folders`: None when they are out of reach; `why_not` says then what to do."""
        self._ask = ask
        self._shelf = None if folders is None else Shelf(folders.root(MODELS), far)
        self._why_not = why_not
        self._paths: Mapping[str, Sequence[str]] | None = None

    async def offered(self) -> Mapping[str, Sequence[str]]:
        """Kind -> the names that the engine offers. Raises EngineLost."""
        kinds = _texts(await self._ask(routes.MODELS))
        lists = await asyncio.gather(*(self._names(kind) for kind in kinds))
        return dict(zip(kinds, lists, strict=True))

    async def add(self, kind: str, name: str, path: Path, *, exact: bool = False) -> OfferedModel:
        """See Engine.add_model."""
        if self._shelf is None:
            raise EngineError(self._why_not)
        if fault_of(kind) is not None or not name or PurePath(name).name != name or fault_of(name) is not None:
            raise EngineError(f"{name!r} cannot be the name of a model of the kind {kind!r}.")
        kind = MODEL_FOLDER_ALIASES.get(kind, kind)
        told = await self._folders_of(kind)
        try:
            directory = await asyncio.to_thread(self._shelf.directory, kind, told)
            given, is_new = await asyncio.to_thread(self._shelf.put, directory, name, path, exact=exact)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise EngineError(
                f"The engine's folder of {kind} takes no model: {reason}. Make it writable for comfyserve."
            ) from error
        try:
            await self._await_listing(kind, given, directory, path)
        except EngineError:
            if is_new:
                await asyncio.to_thread(_removed, directory / given)
            raise
        return OfferedModel(given, directory / given)

    async def _folders_of(self, kind: str) -> Sequence[str]:
        if self._paths is None:
            told = await self._ask(routes.INTERNAL_FOLDER_PATHS)
            self._paths = {key: _texts(paths) for key, paths in told.items()} if isinstance(told, dict) else {}
        known = self._paths or dict.fromkeys(_texts(await self._ask(routes.MODELS)), ())
        if kind not in known and kind not in UNTOLD:
            raise EngineError(f"The engine has no models of the kind {kind!r}. It has: {', '.join(sorted(known))}.")
        return known.get(kind, ())

    async def _await_listing(self, kind: str, name: str, directory: Path, path: Path) -> None:
        """Return when the engine offers the name. One that listed its folder in the very moment in which the link was
        made may have missed it for good, unless the folder changes again."""
        if kind in UNTOLD or await asyncio.to_thread(path.is_dir):
            return
        for _ in range(LOOKS):
            if name in await self._names(kind):
                return
            await asyncio.to_thread(os.utime, directory)
        raise EngineError(
            f"The engine does not offer the file {name} among its {kind}. Its ending may be none that it knows, or"
            " another folder is its folder of models."
        )

    async def _names(self, kind: str) -> list[str]:
        return _texts(await self._ask(routes.MODELS_ONE.format(folder=quote(kind, safe=""))))


async def untold_models(root: Path, told: Collection[str]) -> Mapping[str, Sequence[str]]:
    """The kinds of models that have a folder below `root` and are not `told` by the engine, with the names in each."""
    return await asyncio.to_thread(_untold, root, frozenset(told))


def _untold(root: Path, told: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):  # a folder that is not there, or that we may not enter, tells nothing
        for folder in sorted(root.iterdir()):
            if folder.is_dir() and folder.name not in told and not folder.name.startswith("."):
                names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if _is_model(path))
                found[folder.name] = sorted(itertools.islice(names, MOST_NAMES))
    return found


def _is_model(path: Path) -> bool:
    return path.suffix.lower() in MODEL_EXTENSIONS and path.is_file()


def _is_same(place: Path, path: Path) -> bool:
    """Whether a name leads to our file, or is our copy of it: a copy has its size and its time of change."""
    try:
        if place.samefile(path):
            return True
        theirs, ours = place.stat(), path.stat()
        if place.is_symlink() or place.is_dir() is not path.is_dir():
            return False
    except OSError:
        return False
    return int(theirs.st_mtime) == int(ours.st_mtime) and (path.is_dir() or theirs.st_size == ours.st_size)


def _removed(place: Path) -> None:
    """Take a link or a copy of ours back; what the disk refuses stays, and leads to a file of ours."""
    with contextlib.suppress(OSError):
        place.unlink()


def _linked(path: Path, fresh: Path) -> None:
    try:
        fresh.symlink_to(path.absolute())
    except (OSError, NotImplementedError):  # a disk or a system without symbolic links
        _copied(path, fresh)


def _copied(path: Path, fresh: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, fresh)
        return
    try:
        os.link(path, fresh)
    except OSError:
        shutil.copy2(path, fresh)


def _below_models(told: str) -> str:
    """A folder of an engine elsewhere, as seen from its folder of models; empty when it lies outside."""
    parts = PureWindowsPath(told).parts if "\\" in told else PurePath(told).parts
    if MODELS not in parts:
        return ""
    after = parts[len(parts) - parts[::-1].index(MODELS) :]
    return "/".join(after) if fault_of("/".join(after)) is None else ""


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []
