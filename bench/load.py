"""A bounded load: so many jobs by so many callers, and what it cost."""

import asyncio
import statistics
import time
from dataclasses import dataclass

from bench.callers import Job
from bench.servers import Server


@dataclass(frozen=True)
class Sample:
    """One round: milliseconds a job (p50, p95), jobs a second, CPU milliseconds a job with all children and of the
    process `own`, resident MiB after it."""

    p50: float
    p95: float
    rate: float
    cpu: float
    memory: float
    own: float = 0.0


async def measure(server: Server, job: Job, jobs: int, callers: int) -> Sample:
    """Run exactly `jobs` jobs, each caller waiting for its answer before the next. Any failure ends the measurement."""
    left = iter(range(jobs))
    latencies: list[float] = []

    async def caller() -> None:
        for _ in left:
            began = time.perf_counter()
            await job()
            latencies.append((time.perf_counter() - began) * 1000)

    cpu, own, began = server.cpu_seconds(), server.own_cpu_seconds(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds, cpu, own = time.perf_counter() - began, server.cpu_seconds() - cpu, server.own_cpu_seconds() - own
    ordered = sorted(latencies)
    return Sample(
        p50=statistics.median(ordered),
        p95=ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)],
        rate=jobs / seconds,
        cpu=cpu * 1000 / jobs,
        memory=server.memory_mib(),
        own=own * 1000 / jobs,
    )


def spread(values: list[float], digits: int = 1) -> str:
    """min / median / max."""
    return " / ".join(f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
