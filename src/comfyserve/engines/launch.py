"""How an engine process is started: its command, its folder and the environment it may see."""

import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from comfyserve.engines.folders import Folders
from comfyserve.interpreter import packages_variables

PORT = "{port}"
"""Stands in a command for a port that is chosen anew at every start."""

INHERITED = frozenset(
    {
        "HOME",
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "MALLOC_ARENA_MAX",
        "MKL_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "PATH",
        "PYTHONPATH",
        "SHELL",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "TEMP",
        "TERM",
        "TMP",
        "TMPDIR",
        "TZ",
        "USER",
        "VIRTUAL_ENV",
        "XDG_CACHE_HOME",
    }
)
INHERITED_PREFIXES = (
    "CUDA_",
    "GPU_",
    "HIP_",
    "HSA_",
    "LC_",
    "NCCL_",
    "NVIDIA_",
    "PYTORCH_",
    "ROCM_",
    "ROCR_",
    "TORCH_",
)
"""All that an engine sees of our environment: nothing of ours, no database address, no key, no proxy password."""


LARGE_INPUTS = ("--max-upload-size", "4096")
"""In MB. An engine alone takes 100; here the worker bounds what it hands over."""

BASE = "--base-directory"
MOVING = {"--input-directory": "input", "--output-directory": "output", "--temp-directory": "temp"}
"""The arguments of a ComfyUI that move its folders: all of them, or one alone. Its temporary files lie in a folder
`temp` below the one that is named."""

DEFAULT_PORT = 8188
"""Where a ComfyUI listens that nobody told otherwise."""

ANNOUNCED = {"WEB_ENABLE_AUTH": "false", "CF_QUICK_TUNNELS": "false"}
"""What a start script is told besides host and port: no login and no tunnel in front of ComfyUI
(spec stateless-comfyui-api section 7.2)."""


@dataclass(frozen=True)
class Launch:
    """A command that speaks ComfyUI's protocol on `host` and the port that replaces `{port}` in it; a command without
    `{port}` listens on `port`, which it is told as COMFYUI_PORT_HOST, or which it is known to take.

    `folders` are its input, output and temp folders when they are ours. `env` is added to what it inherits. `loud`:
    what it prints is worth a line of the log each.
    """

    command: tuple[str, ...]
    name: str = "engine"
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    folders: Folders | None = None
    start_seconds: float = 600.0
    stop_seconds: float = 10.0
    loud: bool = False

    @property
    def chooses_port(self) -> bool:
        """Whether a fresh port is taken at every start."""
        return any(PORT in word for word in self.command)

    def words(self, port: int) -> list[str]:
        """The command for this port."""
        return [word.replace(PORT, str(port)) for word in self.command]

    def variables(self, port: int) -> dict[str, str]:
        """What its environment has besides what it inherits: where it should listen, as the start scripts of
        comfyui-api read it, and `env`."""
        return {"DIRECT_ADDRESS": self.host, "COMFYUI_PORT_HOST": str(port), **ANNOUNCED, **self.env}


def embedded(base_directory: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Launch:
    """The embedded engine over its own folder."""
    command = (sys.executable, "-m", "comfyserve.embedded", "--port", PORT, "--base-directory", str(base_directory))
    return Launch(
        (*command, *LARGE_INPUTS, *arguments),
        name="embedded engine",
        env=packages_variables(os.environ) | dict(env or {}),
        folders=Folders(base_directory),
        start_seconds=60.0,
        stop_seconds=5.0,
    )


def comfyui(
    home: Path | None, *arguments: str, command: Sequence[str] = (), moved: Mapping[str, Path] | None = None
) -> Launch:
    """A ComfyUI checkout at `home`, run by `command`, or by the virtual environment that lies in it; `arguments` are
    added. Its folders are ours where we know them: those in `moved` lie there, which a ComfyUI without a command of its
    own is told, too; the others lie where the arguments put them, or in `home`."""
    home = home and home.expanduser().absolute()
    moved = moved or {}
    told = () if command else _told(moved)
    words = (*(command or _own_command(home or Path.cwd())), *told, *arguments)
    return Launch(words, name="ComfyUI", cwd=home, folders=_folders(words, home, moved), loud=True)


def with_temp(launch: Launch, folder: Path) -> Launch:
    """The same with temporary files of its own: a ComfyUI empties that folder when it starts and when it ends, so that
    two that share it lose each other's previews. Unchanged when its command takes no arguments of ComfyUI."""
    if not takes_arguments(launch.command):
        return launch
    words = (*launch.command, "--temp-directory", str(folder))
    folders = launch.folders and replace(launch.folders, moved={**launch.folders.moved, "temp": folder / "temp"})
    return replace(launch, command=words, folders=folders)


def takes_arguments(command: Sequence[str]) -> bool:
    """Whether what is added to a command reaches ComfyUI: it names main.py, or passes on what follows `--`."""
    return any(Path(word).name == "main.py" for word in command) or "--" in command


def _own_command(home: Path) -> Sequence[str]:
    found = (home / folder / "bin" / "python" for folder in (".venv", "venv"))
    python = next((path for path in found if path.exists()), Path(sys.executable))
    return (str(python), "main.py", "--listen", "127.0.0.1", "--port", PORT, "--disable-auto-launch", *LARGE_INPUTS)


def _told(moved: Mapping[str, Path]) -> tuple[str, ...]:
    return tuple(
        word
        for option, kind in MOVING.items()
        if kind in moved and kind != "temp"
        for word in (option, str(moved[kind]))
    )


def _folders(command: Sequence[str], home: Path | None, moved: Mapping[str, Path]) -> Folders | None:
    """Where a ComfyUI with these arguments keeps its files; None when that cannot be known."""
    if home is None:
        return None
    named = {option: home / value for option, value in _values(command)}
    found = {kind: named[option] for option, kind in MOVING.items() if option in named}
    if "temp" in found:
        found["temp"] /= "temp"
    return Folders(named.get(BASE, home), {**moved, **found})


def folders_of(launch: Launch, arguments: Sequence[str]) -> Folders | None:
    """The folders of an engine that a script started, and that says that these are its arguments. Paths that are none
    here, as of a container, do not count; what the launch was told does before all."""
    known, script = launch.folders, Path(arguments[0] if arguments else "")
    home = known.base if known else script.parent
    if not arguments or "\0" in "".join(arguments) or not home.is_absolute() or not home.is_dir():
        return known
    said = _folders(arguments, home, {}) or Folders(home)
    moved = {kind: path for kind, path in said.moved.items() if path.parent.is_dir()}
    return Folders(said.base if said.base.is_dir() else home, {**moved, **(known.moved if known else {})})


def _values(command: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options that move folders, with their values, given as one word or as two."""
    for word, following in zip(command, (*command[1:], ""), strict=True):
        option, equals, value = word.partition("=")
        if option == BASE or option in MOVING:
            yield option, value if equals else following


def environment(ours: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """What the process sees: the allowed part of our environment, and what its launch adds."""
    allowed = {name: value for name, value in ours.items() if name in INHERITED or name.startswith(INHERITED_PREFIXES)}
    return allowed | {"PYTHONUNBUFFERED": "1"} | dict(extra)


def free_port(host: str) -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
