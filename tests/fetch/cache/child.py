"""A process of its own that fetches: `python -m tests.fetch.cache.child FOLDER URL TIMES [LARGEST_FILE]`.

It writes `heard` when it first hears of progress, then a line of JSON for each fetch.
"""

import asyncio
import hashlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from comfyserve.core.errors import DomainError
from comfyserve.fetch.cache.store import Store
from comfyserve.fetch.fetching import Fetching
from comfyserve.fetch.guard import Guard
from tests.fetch.cache.conftest import LIMITS
from tests.fetch.cache.scripted import PlainHttp


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def fetch(fetching: Fetching, url: str, first: bool) -> dict[str, Any]:
    def on_bytes(received: int, total: int | None) -> None:
        nonlocal first
        if first:
            tell("heard")
        first = False

    try:
        async with fetching.fetch(url, purpose="model", on_bytes=on_bytes) as file:
            sha256 = hashlib.sha256(await asyncio.to_thread(file.path.read_bytes)).hexdigest()
            return {"sha256": sha256, "cached": file.cached}
    except DomainError as error:
        return {"error": error.code, "message": error.message}


async def main(folder: Path, url: str, times: int) -> None:
    store = Store(folder, 0)
    store.open()
    fetching = Fetching({"http": PlainHttp()}, store, Guard("127.0.0.0/8"), LIMITS, clock=time.time)
    for found in await asyncio.gather(*(fetch(fetching, url, index == 0) for index in range(times))):
        tell(json.dumps(found))
    await fetching.close()


if __name__ == "__main__":
    if len(sys.argv) > 4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
