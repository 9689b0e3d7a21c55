"""Memory and disk over many runs: both must be flat once the kept runs are full."""

from rich.console import Console

from bench import callers, servers
from bench.load import measure

STEPS = 10
KEEP_RUNS = 200


async def soak(console: Console, runs: int) -> None:
    """Print memory and disk after each tenth of the runs, with few finished runs kept."""
    async with servers.platform(0, keep_runs=str(KEEP_RUNS)) as platform, callers.queue(platform) as job:
        for step in range(1, STEPS + 1):
            sample = await measure(platform, job, runs // STEPS, 8)
            console.print(
                f"{step * runs // STEPS:>6} runs  {sample.memory:6.0f} MiB resident  "
                f"{platform.disk_mib():6.1f} MiB on disk  {sample.rate:5.0f} runs/s"
            )
