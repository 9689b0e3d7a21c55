"""What commands print, and the exit codes that scripts may rely on."""

import asyncio
import json
import shutil
import signal
import sys
import textwrap
from collections.abc import Coroutine, Sequence
from enum import IntEnum
from typing import Annotated, Any, NoReturn, TypeVar

import typer

T = TypeVar("T")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]

NARROWEST = 30
GAP = "  "


class Exit(IntEnum):
    """Exit codes, listed in docs/cli.md."""

    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    UNHEALTHY = 5
    STOPPED = 130


def say(text: str) -> None:
    """A line for people, on standard output."""
    typer.echo(text)


def note(text: str) -> None:
    """A line beside the result, on standard error."""
    typer.secho(text, err=True, dim=True)


def complain(text: str) -> None:
    """What went wrong, on standard error."""
    typer.secho(text, err=True, fg="red")


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns; only the last one is wrapped, to the width of the terminal."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)][:-1]
    left = sum(widths) + len(GAP) * len(widths)
    room = max(shutil.get_terminal_size().columns - left, NARROWEST) if sys.stdout.isatty() else 10_000
    for row in (heads, *rows):
        begin = "".join(f"{cell:<{width}}{GAP}" for cell, width in zip(row, widths, strict=False))
        lines = textwrap.wrap(row[-1], room) or [""]
        say("\n".join((begin + lines[0], *(" " * left + line for line in lines[1:]))).rstrip())


def fail(message: str, ending: Exit, *, as_json: bool = False, **facts: Any) -> NoReturn:
    """Say what went wrong on standard error (or as JSON on standard output) and end with this code."""
    if as_json:
        print_json({"error": {"message": message, **facts}})
    else:
        complain(f"Error: {message}")
    raise typer.Exit(ending)


def finish(work: Coroutine[Any, Any, T], *, as_json: bool = False) -> T:
    """Run a command's work; what a server refuses or does not answer becomes a sentence and an exit code."""
    from comfyserve.client import ApiError, ServerUnreachable

    try:
        return asyncio.run(_stoppable(work))
    except (asyncio.CancelledError, KeyboardInterrupt):
        if as_json:
            print_json({"error": {"message": "Stopped.", "code": "stopped"}})
        raise typer.Exit(Exit.STOPPED) from None
    except ServerUnreachable as error:
        fail(str(error), Exit.UNREACHABLE, as_json=as_json, code="unreachable")
    except ApiError as error:
        message = _sentence(error.status, str(error), error.place)
        fail(message, Exit.REFUSED, as_json=as_json, code=error.code, place=dict(error.place))
    except OSError as error:
        message = f"{error.filename or 'A file'}: {error.strerror or error}."
        fail(message, Exit.USAGE, as_json=as_json, code="file")


async def _stoppable(work: Coroutine[Any, Any, T]) -> T:
    """SIGTERM does what Ctrl-C does: the work is cancelled and cleans up."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def _sentence(status: int, message: str, place: Any) -> str:
    """The server's sentence with what it does not say itself: where, and where a key comes from."""
    if (field := place.get("field")) and field not in message:
        message += f" (field {field})"
    if (node := place.get("node_id")) and f"node {node}" not in message:
        message += f" (node {node})"
    return f"{message} The key comes from --key or COMFYSERVE_KEY." if status == 401 else message
