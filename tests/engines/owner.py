"""Starts an engine, says so and waits to be killed."""

import asyncio
import sys

from comfyserve.engines.launch import PORT, Launch
from comfyserve.engines.process import ProcessEngine


async def main(server: str, pids: str) -> None:
    engine = ProcessEngine(Launch((sys.executable, "-S", server, PORT, "--fork", pids, "--stubborn")))
    await engine.ready()
    print("ready", flush=True)  # noqa: T201  (the test waits for it)
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
