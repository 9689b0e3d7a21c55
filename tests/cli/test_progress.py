"""The line that `comfyserve run` draws on a terminal."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from comfyserve.cli.progress import add_run, bar_on, show
from comfyserve.client import Event

WIDTH = 80
MODEL = "models.example.com/sd/model.safetensors"


def drawn(*events: tuple[str, Any]) -> str:
    """The last line after these events, without the bar and the clock."""
    paper = StringIO()
    console = Console(file=paper, width=WIDTH, force_terminal=True, color_system=None, legacy_windows=False)
    bar = bar_on(console)
    task = add_run(bar)
    for kind, data in events:
        show(bar, task, Event(kind, data))
    console.print(bar.get_renderable())
    lines = paper.getvalue().rstrip("\n").splitlines()
    assert len(lines) == 1 and len(lines[0]) <= WIDTH, lines
    return " ".join(word for word in lines[0].split()[:-1] if not set(word) <= set("\u2501\u2578\u257a"))


def download(received: int, total: int | None, name: str = MODEL) -> tuple[str, Any]:
    """A message of a file on its way."""
    return "download", {"label": "ckpt", "name": name, "received": received, "total": total}


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([], "queued 0 %"),
        ([("claimed", {}), download(903_000_000, 2_100_000_000)], "downloading model.safetensors 43 % of 2.1 GB"),
        ([download(2_100_000_000, 2_100_000_000)], "downloading model.safetensors 100 % of 2.1 GB"),
        ([download(1_500_000, None)], "downloading model.safetensors 1.5 MB"),
        ([download(1, 2, "a/a-very-long-name-of-a-model.st")], "downloading a-very-long-name-of... 50 % of 2 bytes"),
        ([download(1, 2, "host/[red]x")], "downloading [red]x 50 % of 2 bytes"),
        ([download(1, 2), ("staged", {})], "starting 0 %"),
        ([("started", {}), ("progress", {"fraction": 0.4})], "running 40 %"),
        ([("node_started", {"data": {"title": "KSampler"}}), ("progress", {"fraction": 1.0})], "KSampler 100 %"),
        ([("progress", {"fraction": 0.4}), ("lost", {})], "trying again 0 %"),
    ],
)  # fmt: skip
def test_the_line_says_what_is_going_on(events: list[tuple[str, Any]], line: str) -> None:
    assert drawn(*events) == line
