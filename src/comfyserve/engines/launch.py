"""How an engine process is started: its command, its folder and the environment it may see."""

import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PORT = "{port}"
"""Stands in a command for the port that is chosen anew at every start."""

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


BASE = "--base-directory"
MOVING = ("--input-directory", "--output-directory", "--temp-directory")
"""The arguments of a ComfyUI that move its folders: all of them, or one alone."""


@dataclass(frozen=True)
class Launch:
    """A command that speaks ComfyUI's protocol on `host` and the port that replaces `{port}` in it.

    `base_directory` holds its input, output and temp folders when they are ours. `env` is added to what it inherits.
    """

    command: tuple[str, ...]
    name: str = "engine"
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    base_directory: Path | None = None
    start_seconds: float = 600.0
    stop_seconds: float = 10.0


def embedded(base_directory: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Launch:
    """The embedded engine over its own folder."""
    command = (sys.executable, "-m", "comfyserve.embedded", "--port", PORT, "--base-directory", str(base_directory))
    return Launch(
        (*command, *arguments),
        name="embedded engine",
        env=env or {},
        base_directory=base_directory,
        start_seconds=60.0,
        stop_seconds=5.0,
    )


def comfyui(home: Path | None, *arguments: str, command: Sequence[str] = ()) -> Launch:
    """A ComfyUI checkout at `home`, run by `command`, or by the virtual environment that lies in it; `arguments` are
    added. Its folders are ours unless the arguments put them elsewhere."""
    home = home and home.expanduser().absolute()
    words = (*(command or _own_command(home or Path.cwd())), *arguments)
    return Launch(words, name="ComfyUI", cwd=home, base_directory=_folders(words, home))


def _own_command(home: Path) -> Sequence[str]:
    found = (home / folder / "bin" / "python" for folder in (".venv", "venv"))
    python = next((path for path in found if path.exists()), Path(sys.executable))
    return (str(python), "main.py", "--listen", "127.0.0.1", "--port", PORT, "--disable-auto-launch")


def _folders(command: Sequence[str], home: Path | None) -> Path | None:
    """Where a ComfyUI with these arguments keeps input, output and temp; None when they are not in one place."""
    options = [word.partition("=")[0] for word in command]
    if home is None or any(option in options for option in MOVING):
        return None
    if BASE not in options:
        return home
    at = options.index(BASE)
    following = command[at + 1] if at + 1 < len(command) else ""
    return home / (command[at].partition("=")[2] or following)


def environment(ours: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """What the process sees: the allowed part of our environment, and what its launch adds."""
    allowed = {name: value for name, value in ours.items() if name in INHERITED or name.startswith(INHERITED_PREFIXES)}
    return allowed | {"PYTHONUNBUFFERED": "1"} | dict(extra)


def free_port(host: str) -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
