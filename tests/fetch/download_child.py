"""`python -m tests.fetch.download_child URL PATH`: a download that writes down what has come at every tick."""

import asyncio
import sys
from pathlib import Path

from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpLimits, HttpSource
from comfyserve.fetch.source import Order


async def main(url: str, path: Path) -> None:
    source = HttpSource(Guard("on"), HttpLimits(keep_seconds=0))
    await source.download(Order(url, 10_000_000), path)
    await source.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
