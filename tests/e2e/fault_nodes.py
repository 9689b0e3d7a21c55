"""Nodes that go wrong on request, for the engine's custom_nodes folder; they stand for what real node packs do.

A gate waits until a file of its name lies in the folder `gates` beside the engine's folder.
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

DATA_DIR = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.01


class _Node:
    RETURN_TYPES: ClassVar = ("IMAGE",)
    FUNCTION = "run"
    CATEGORY = "faults"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"image": ("IMAGE",), "name": ("STRING", {"default": ""})}}


class FaultGate(_Node):
    """Passes the picture on when its gate is open; it can be interrupted."""

    async def run(self, image: Any, name: str) -> tuple[Any]:
        while not (DATA_DIR / "gates" / name).exists():  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        return (image,)


class FaultGateWithFamily(FaultGate):
    """A gate that starts a detached process first, as packs with servers of their own do."""

    async def run(self, image: Any, name: str) -> tuple[Any]:
        command = [sys.executable, "-c", "import time; time.sleep(600)", str(DATA_DIR)]
        subprocess.Popen(command, start_new_session=True)  # noqa: ASYNC220
        return await super().run(image, name)


class FaultKill(_Node):
    """Ends the engine as the kernel does when memory runs out."""

    def run(self, image: Any, name: str) -> tuple[Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return (image,)


class FaultNoise(_Node):
    """A picture that no file format makes small: ten megabytes as PNG."""

    def run(self, image: Any, name: str) -> tuple[Any]:
        return (np.random.default_rng(1).random((1, 1800, 1800, 3), dtype=np.float32),)


class FaultRaise(_Node):
    """Raises."""

    def run(self, image: Any, name: str) -> tuple[Any]:
        raise ValueError(f"no weather in {name}")


class FaultPid(_Node):
    """Writes down which process it runs in, in a file of its name."""

    def run(self, image: Any, name: str) -> tuple[Any]:
        with (DATA_DIR / name).open("a") as file:
            file.write(f"{os.getpid()}\n")
        return (image,)


class FaultMemory(FaultPid):
    """Writes down where it is, and raises what a model too large for its GPU raises."""

    def run(self, image: Any, name: str) -> tuple[Any]:
        super().run(image, name)
        raise MemoryError("Allocation on device")


FAULTS = (FaultGate, FaultGateWithFamily, FaultKill, FaultMemory, FaultNoise, FaultPid, FaultRaise)
NODE_CLASS_MAPPINGS = {node.__name__: node for node in FAULTS}
