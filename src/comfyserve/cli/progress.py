"""The progress bar of `comfyserve run`, on standard error; nothing is drawn where nobody watches."""

import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from comfyserve.client import Client, Event

TITLE_WIDTH = 28

STEPS = {"claimed": "starting", "started": "running", "executed": "collecting", "lost": "trying again"}
"""What the bar says after an event of a run."""


async def follow(client: Client, record: Any, *, quiet: bool) -> Any:
    """The run at its end; until then its progress is shown, unless `quiet`."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn()
    hidden = quiet or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task(_fitted("queued"), total=1.0)
        async for event in client.events(record["id"]):
            if event.kind == "run":
                return event.data
            _show(bar, task, event)
    return record


def _show(bar: Progress, task: TaskID, event: Event) -> None:
    if event.kind == "progress":
        bar.update(task, completed=event.data["fraction"])
    elif event.kind == "node_started":
        bar.update(task, description=_fitted(event.data["data"].get("title") or "running"))
    elif words := STEPS.get(event.kind):
        done = {"executed": 1.0, "lost": 0.0}.get(event.kind)
        bar.update(task, description=_fitted(words), completed=done)


def _fitted(text: str) -> str:
    """Exactly the width of the column, so that the bar does not move."""
    line = " ".join(text.split())
    return escape(f"{line[: TITLE_WIDTH - 3]}..." if len(line) > TITLE_WIDTH else f"{line:<{TITLE_WIDTH}}")
