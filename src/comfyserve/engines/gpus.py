"""Which GPUs this machine has, found without torch, and what an engine must see to have one of them to itself."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog

CUDA = "CUDA_VISIBLE_DEVICES"
HIP = "HIP_VISIBLE_DEVICES"
CHOOSING = (CUDA, HIP, "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
"""Variables by which an operator chooses GPUs himself (CUDA C++ Programming Guide; ROCm, GPU isolation)."""

IN_ORDER = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""Numbers then mean what nvidia-smi shows, not `fastest first`."""

ASK = ("nvidia-smi", "-L")
ASK_SECONDS = 10.0
WHOLE = re.compile(r"^GPU (\d+):")
SLICE = re.compile(r"^\s+MIG .*\(UUID: (MIG-[^)]+)\)")
SYSTEM = Path("/")
NVIDIA = "proc/driver/nvidia/gpus"
AMD = "sys/class/kfd/kfd/topology/nodes"
SIMDS = re.compile(r"^simd_count [1-9]", re.MULTILINE)
"""A node of the topology without SIMD units is a CPU (Linux kernel, kfd_topology)."""

log = structlog.get_logger(__name__)

Seen = Mapping[str, str]
"""Variables that show one engine its GPU."""


def ask_nvidia() -> str:
    """What nvidia-smi lists; empty without it, or when it takes too long."""
    try:
        asked = subprocess.run(ASK, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout


def share_out(
    wanted: str,
    *,
    environment: Mapping[str, str] = os.environ,
    ask: Callable[[], str] = ask_nvidia,
    system: Path = SYSTEM,
) -> Sequence[Seen]:
    """What each engine should see, one entry an engine; a single `{}` leaves everything as it is.

    `wanted` is `auto` (one engine for each GPU there is, or for each that the environment shows), `none`, or a list of
    numbers or ids. Blocks: nvidia-smi may take seconds.
    """
    if wanted == "none":
        return [{}]
    if wanted != "auto":
        name, found = _found(ask, system)
        _warn_of_missing(split(wanted), found)
        return [_seen(name, gpu) for gpu in split(wanted)]
    chosen = next((name for name in CHOOSING if name in environment), None)
    if chosen is not None:
        shown = split(environment[chosen])
        return [{chosen: gpu} for gpu in shown] if len(shown) > 1 else [{}]
    name, found = _found(ask, system)
    return [_seen(name, gpu) for gpu in found] if len(found) > 1 else [{}]


def split(line: str) -> list[str]:
    """The parts of a list with commas; one that is negative hides those behind it, as CUDA has it."""
    parts = [part.strip() for part in line.split(",") if part.strip()]
    end = next((at for at, part in enumerate(parts) if part.startswith("-")), len(parts))
    return parts[:end]


def _found(ask: Callable[[], str], system: Path) -> tuple[str, list[str]]:
    """The GPUs that are there, and the variable that chooses among them."""
    if found := _nvidia(ask, system):
        return CUDA, found
    found = _amd(system)
    return HIP if found else CUDA, found


def _warn_of_missing(wanted: Sequence[str], found: Sequence[str]) -> None:
    """An engine of a GPU that is not there works on another one, or on none. Not every GPU can be seen from here, so
    that it is tried all the same."""
    missing = [gpu for gpu in wanted if gpu.isdigit() and gpu not in found]
    if missing:
        advice = "check COMFYSERVE_GPUS"
        log.warning("engine.gpus_not_found", missing=missing, found=list(found), advice=advice)


def _seen(name: str, gpu: str) -> Seen:
    return {name: gpu} | (IN_ORDER if name == CUDA else {})


def _nvidia(ask: Callable[[], str], system: Path) -> list[str]:
    """The numbers of NVIDIA's GPUs; the slices of one that is divided (MIG) count in its place."""
    found: list[list[str]] = []
    for line in ask().splitlines():
        if gpu := WHOLE.match(line):
            found.append([gpu[1]])
        elif found and (part := SLICE.match(line)):
            found[-1] = [known for known in found[-1] if not known.isdigit()] + [part[1]]
    if found:
        return [gpu for parts in found for gpu in parts]
    return [str(number) for number, _ in enumerate(_names(system / NVIDIA))]


def _amd(system: Path) -> list[str]:
    nodes = [node for node in _names(system / AMD) if SIMDS.search(_text(system / AMD / node / "properties"))]
    return [str(number) for number, _ in enumerate(nodes)]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
