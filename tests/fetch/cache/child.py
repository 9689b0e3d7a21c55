"""A process of its own that fetches: `python -m tests.fetch.cache.child SOURCE FOLDER URL TIMES [LARGEST_FILE]`.

SOURCE is `real`, or `plain` for one that keeps every byte at once. It writes `heard` when it first hears of progress,
then a line of JSON for each fetch.
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
from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.cache.store import Store
from comfyserve.fetch.fetching import Fetching, FetchingLimits
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.proxy import GuardingProxy
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


async def build(source: str, folder: Path) -> Fetching:
    guard = Guard("127.0.0.0/8")
    if source == "real":
        return await open_fetching(guard, GuardingProxy(guard), FetchOptions(folder))
    store = Store(folder, 0)
    store.open()
    return Fetching({"http": PlainHttp()}, store, guard, FetchingLimits(), clock=time.time)


async def main(source: str, folder: Path, url: str, times: int) -> None:
    fetching = await build(source, folder)
    for found in await asyncio.gather(*(fetch(fetching, url, index == 0) for index in range(times))):
        tell(json.dumps(found))
    await fetching.close()


if __name__ == "__main__":
    _, wanted, where, what, count, *largest = sys.argv
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest[0]), int(largest[0])))
    asyncio.run(main(wanted, Path(where), what, int(count)))
