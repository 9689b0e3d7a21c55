"""Walking the workflow folder: which files are workflows, and under which path they answer."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from comfyserve.workflows.limits import MIB, WorkflowLimits

Kind = Literal["python", "json", "node"]

KINDS: Mapping[str, Kind] = {
    ".py": "python",
    ".json": "json",
    ".yaml": "json",
    ".yml": "json",
    ".ts": "node",
    ".js": "node",
    ".mjs": "node",
    ".cjs": "node",
}
"""Ending -> what reads it."""

RANKS = (".py", ".ts", ".js", ".mjs", ".cjs", ".yaml", ".yml", ".json")
"""Who answers when several files have one name: a mapping goes before the graph that it is about, and a .js file
beside a .ts file of that name is what the original wrote there."""
COMPANIONS = frozenset({(".ts", ".js"), (".yaml", ".json"), (".yml", ".json"), (".ts", ".json"), (".js", ".json")})
"""Pairs that are no clash: what the first is, the second belongs to it (a graph that a script was made from)."""
SKIPPED = ("_", ".")
"""Beginnings of names that are no workflows: helpers, caches, editors' files."""
ENTRIES_PER_FILE = 20
"""A walk looks at so many entries for each workflow file that there may be."""
IGNORED_FOLDERS = frozenset({"node_modules"})

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Found:
    """One workflow file; `path` is what stands after /workflow/, `stamp` its time of change and size."""

    path: str
    file: Path
    kind: Kind
    stamp: Stamp


@dataclass
class Walk:
    """What a walk found: workflows by path, files that cannot be one with the reason, and files that others import."""

    found: dict[str, Found] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    helpers: dict[str, Stamp] = field(default_factory=dict)
    left: int = 0
    entries: int = 0


def walk(folder: Path, limits: WorkflowLimits) -> Walk:
    """Read the folder; blocks on the disk. Links that lead out of the folder are not followed."""
    walked = Walk(left=limits.files)
    root = Path(os.path.realpath(folder))
    files = list(_files(root, root, limits, walked, 0))
    for file, stamp in sorted(files, key=lambda one: RANKS.index(one[0].suffix)):
        _add(walked, root, file, stamp, limits)
    return walked


def _files(root: Path, folder: Path, limits: WorkflowLimits, walked: Walk, depth: int) -> Iterator[tuple[Path, Stamp]]:
    name = str(folder.relative_to(root))
    if depth > limits.depth:
        walked.failed[name] = f"It lies deeper than {limits.depth} folders. Move it up."
        return
    most = limits.files * ENTRIES_PER_FILE
    try:
        with os.scandir(folder) as listed:
            entries = sorted(islice(listed, most - walked.entries), key=lambda entry: entry.name)
    except OSError as error:
        walked.failed[name] = f"The folder cannot be read: {error.strerror}."
        return
    walked.entries += len(entries)
    if walked.entries >= most:
        walked.failed[name] = f"There are more than {most} files and folders; those from here on are left out."
    for entry in entries:
        if not entry.name.startswith(SKIPPED) and entry.name not in IGNORED_FOLDERS:
            yield from _entry(root, Path(entry.path), limits, walked, depth)
        elif Path(entry.name).suffix in KINDS:
            with suppress(OSError):  # it is gone, or a link to nothing: whoever imports it says so
                status = entry.stat()
                walked.helpers[entry.path] = (status.st_mtime_ns, status.st_size)


def _entry(root: Path, path: Path, limits: WorkflowLimits, walked: Walk, depth: int) -> Iterator[tuple[Path, Stamp]]:
    name = str(path.relative_to(root))
    try:
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(root):
            walked.failed[name] = "It is a link out of the workflow folder. Put the file itself there."
        elif path.is_dir() and path.is_symlink():
            walked.failed[name] = "It is a link to a folder. Only links to files are followed."
        elif path.is_dir():
            yield from _files(root, path, limits, walked, depth + 1)
        elif path.suffix in KINDS and not path.is_file():
            walked.failed[name] = "It is no ordinary file." if path.exists() else "It is a link to nothing."
        elif path.suffix in KINDS and path.stem:
            status = path.stat()
            yield from _counted(name, path, (status.st_mtime_ns, status.st_size), limits, walked)
    except OSError as error:
        walked.failed[name] = f"It cannot be read: {error.strerror}."


def _counted(name: str, path: Path, stamp: Stamp, limits: WorkflowLimits, walked: Walk) -> Iterator[tuple[Path, Stamp]]:
    walked.left -= 1
    if walked.left < 0:
        walked.failed[name] = f"The folder holds more than {limits.files} workflow files; this one is left out."
    elif stamp[1] > limits.file_bytes:
        walked.failed[name] = f"It is larger than {limits.file_bytes // MIB} MiB."
    else:
        yield path, stamp


def _add(walked: Walk, root: Path, file: Path, stamp: Stamp, limits: WorkflowLimits) -> None:
    relative = file.relative_to(root)
    path = relative.with_name(file.stem).as_posix()
    taken = walked.found.get(path)
    if taken is None:
        walked.found[path] = Found(path, file, KINDS[file.suffix], stamp)
    elif (taken.file.suffix, file.suffix) in COMPANIONS:
        both = (max(taken.stamp[0], stamp[0]), taken.stamp[1] + stamp[1])
        walked.found[path] = Found(path, taken.file, taken.kind, both)
    else:
        walked.failed[str(relative)] = (
            f"{taken.file.name} in the same folder has the same name and answers. Rename one."
        )
