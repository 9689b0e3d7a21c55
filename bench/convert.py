"""What converting a picture costs, beside Pillow in a process that is warm: from a PNG file to a file, 2048x2048."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from rich.console import Console

from bench.load import spread
from comfyserve.core.conversion import read_conversion
from comfyserve.work.collect import Converter

SIDE = 2048
QUALITY = 80
FORMATS = ("jpeg", "webp")


async def convert(console: Console, rounds: int) -> None:
    """Print milliseconds and KiB of both, interleaved. Chroma is halved in both, effort is the default of WebP."""
    with TemporaryDirectory(prefix="bench-convert-") as name:
        folder = Path(name)
        source = await asyncio.to_thread(_picture, folder / "source.png")
        converter = Converter(folder / "converting")
        for kind in FORMATS:
            ours, theirs = folder / f"ours.{kind}", folder / f"theirs.{kind}"
            conversion = read_conversion({"format": kind, "options": {"quality": QUALITY}})
            assert conversion is not None
            times: dict[str, list[float]] = {"comfyserve": [], "Pillow": []}
            for _ in range(rounds):
                began = time.perf_counter()
                await converter.convert(source, ours, conversion)
                times["comfyserve"].append((time.perf_counter() - began) * 1000)
                times["Pillow"].append(await asyncio.to_thread(_timed, partial(_pillow, source, theirs, kind)))
            for who, path in (("comfyserve", ours), ("Pillow", theirs)):
                console.print(
                    f"{kind} {who}: {spread(times[who])} ms (min / median / max), {path.stat().st_size >> 10} KiB"
                )
        await converter.close()


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _pillow(source: Path, target: Path, kind: str) -> None:
    with Image.open(source) as picture:
        picture.convert("RGB").save(target, kind.upper(), quality=QUALITY)


def _picture(path: Path) -> Path:
    """Smooth colours with a little noise, as generated pictures have them."""
    across, down = np.meshgrid(np.linspace(0, 6, SIDE), np.linspace(0, 4, SIDE))
    waves = np.stack([np.sin(across + down), np.cos(across * 2), np.sin(down * 3 + across)], axis=-1)
    noise = np.random.default_rng(7).normal(0, 3, waves.shape)
    Image.fromarray(np.clip(waves * 100 + 128 + noise, 0, 255).astype(np.uint8)).save(path)
    return path
