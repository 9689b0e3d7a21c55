"""The progress bar of `comfyserve run`, on standard error; nothing is drawn where nobody watches."""

import sys
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from comfyserve.client import Client, Event

TITLE_WIDTH, BAR_WIDTH = 34, 20
"""Columns of a terminal: with the rest of the line just under eighty."""

STEPS = {
    "claimed": "starting",
    "staged": "starting",
    "started": "running",
    "executed": "collecting",
    "lost": "trying again",
}
"""What the bar says after an event of a run."""

FRACTIONS = {"claimed": 0.0, "staged": 0.0, "started": 0.0, "executed": 1.0, "lost": 0.0}
"""How far the bar is after an event, where that changes."""


async def follow(client: Client, record: Any, *, quiet: bool) -> Any:
    """The run at its end; until then its progress is shown, unless `quiet`."""
    hidden = quiet or not sys.stderr.isatty()
    with bar_on(Console(stderr=True), hidden=hidden) as bar:
        task = add_run(bar)
        async for event in client.events(record["id"]):
            if event.kind == "run":
                return event.data
            show(bar, task, event)
    return record


def bar_on(console: Console, *, hidden: bool = False) -> Progress:
    """A bar that goes when its context is left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(BAR_WIDTH),
        TextColumn("{task.fields[share]}"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=hidden)


def add_run(bar: Progress) -> TaskID:
    """The line of a run that waits."""
    return bar.add_task(_fitted("queued"), total=1.0, share=_share(0.0))


def show(bar: Progress, task: TaskID, event: Event) -> None:
    """Draw what an event of the run says."""
    if event.kind == "progress":
        _move(bar, task, event.data["fraction"])
    elif event.kind == "download":
        _show_download(bar, task, event.data)
    elif event.kind == "node_started":
        bar.update(task, description=_fitted(event.data["data"].get("title") or "running"))
    elif words := STEPS.get(event.kind):
        bar.update(task, description=_fitted(words))
        _move(bar, task, FRACTIONS[event.kind])


def _show_download(bar: Progress, task: TaskID, file: Any) -> None:
    """`downloading model.safetensors 43 % of 2.1 GB`; of one whose size is not known only what has arrived."""
    received, total = file["received"], file["total"]
    bar.update(task, description=_fitted(f"downloading {file['name'].rpartition('/')[2]}"))
    if total:
        _move(bar, task, received / total, f" of {decimal(total)}")
    else:
        bar.update(task, completed=0.0, share=decimal(received))


def _move(bar: Progress, task: TaskID, fraction: float, of: str = "") -> None:
    bar.update(task, completed=fraction, share=_share(fraction) + of)


def _share(fraction: float) -> str:
    return f"{fraction * 100:3.0f} %"


def _fitted(text: str) -> str:
    """Exactly the width of the column, so that the bar does not move."""
    line = " ".join(text.split())
    return escape(f"{line[: TITLE_WIDTH - 3]}..." if len(line) > TITLE_WIDTH else f"{line:<{TITLE_WIDTH}}")
