"""The Python of the ComfyUI, which is not ours, and packages for it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from comfyserve.provision.programs import Programs, ProvisionFailed

log = structlog.get_logger(__name__)

PYTHON = re.compile(r"python(\d+(\.\d+)?)?")
ENVIRONMENTS = (".venv", "venv")
"""Virtual environments that lie in a ComfyUI's folder."""
ACTIVE = ("VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "VIRTUAL_ENV_PROMPT")
"""Variables of an active environment: without any, uv is told that the system's Python is meant (section 5.1)."""
TELL_PREFIX = "import sys; print(sys.prefix)"
LONGEST_SHEBANG = 256


@dataclass(frozen=True)
class Python:
    """An interpreter, and the folder of its environment."""

    path: str
    prefix: Path


class Packages:
    """Installs packages into the Python of the ComfyUI: that of its command, of the active environment, or of the
    virtual environment in its folder, else the system's. Never into ours: `own_prefix` is our environment, None when
    our packages lie apart from every environment, as those of the single file do."""

    def __init__(self, programs: Programs, home: Path, command: Sequence[str], own_prefix: Path | None) -> None:
        self._programs = programs
        self._home = home
        self._command = command
        self._own_prefix = own_prefix
        self._found: Python | None = None

    async def install(self, step: str, *what: str, folder: Path | None = None) -> None:
        """Install by uv, or by the interpreter's own pip where there is no uv. Raises ProvisionFailed."""
        python = await self.python()
        if uv := self._programs.find("uv"):
            system = () if any(self._programs.environment.get(name) for name in ACTIVE) else ("--system",)
            await self._programs.run(step, uv, "pip", "install", *system, "--python", python.path, *what, folder=folder)
            return
        await self._programs.run(step, python.path, "-m", "pip", "install", *what, folder=folder)

    async def python(self) -> Python:
        """The interpreter. Raises ProvisionFailed when there is none, or it is ours."""
        if self._found is None:
            self._found = await self._look()
            log.info("provision_python", path=self._found.path)
        return self._found

    async def _look(self) -> Python:
        path = next(self._candidates(), None)
        if path is None:
            raise ProvisionFailed(
                "There is no Python of the ComfyUI to install packages into. Set VIRTUAL_ENV to its environment, or "
                "begin CMD with its python."
            )
        said = await self._programs.run(f"The Python of the ComfyUI, {path}", path, "-I", "-c", TELL_PREFIX)
        prefix = Path(said[-1] if said else path)
        if self._is_ours(prefix):
            raise ProvisionFailed(
                f"The manifest's packages would go into {prefix}, comfyserve's own environment. Set VIRTUAL_ENV to "
                "that of the ComfyUI, begin CMD with its python, or run the single file comfyserve.pyz."
            )
        return Python(path, prefix)

    def _is_ours(self, prefix: Path) -> bool:
        return self._own_prefix is not None and prefix.resolve() == self._own_prefix.resolve()

    def _candidates(self) -> Iterator[str]:
        """Interpreters that are there, best first."""
        environment = self._programs.environment
        yield from self._of_command()
        for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
            if (active := environment.get(name)) and not self._is_ours(Path(active)):
                yield from _inside(active)
        for folder in ENVIRONMENTS:
            yield from _inside(str(self._home / folder))
        yield from self._of_script()
        yield from filter(None, map(self._programs.find, ("python3", "python")))

    def _of_command(self) -> Iterator[str]:
        """The command's own first word, when it is an interpreter."""
        first = self._command[0] if self._command else ""
        if not PYTHON.fullmatch(Path(first).name):
            return
        if "/" in first:
            path = self._home / first
            yield from [str(path)] if path.exists() else []
        elif found := self._programs.find(first):
            yield found

    def _of_script(self) -> Iterator[str]:
        """The interpreter of a Python script that is the command, such as comfy-cli's."""
        found = self._programs.find(self._command[0]) if self._command else None
        words = _shebang(Path(found)).split() if found else []
        if words and PYTHON.fullmatch(Path(words[0]).name) and Path(words[0]).exists():
            yield words[0]


def _inside(environment: str) -> Iterator[str]:
    """The interpreter of an environment's folder, when it is there."""
    found = (Path(environment, "bin", name) for name in ("python", "python3"))
    yield from (str(path) for path in found if path.exists())


def _shebang(script: Path) -> str:
    """The command of a script's first line; empty for other files."""
    try:
        with script.open("rb") as file:
            head = file.readline(LONGEST_SHEBANG)
    except OSError:
        return ""
    return head[2:].decode(errors="replace").strip() if head.startswith(b"#!") else ""
