"""What commands print, and the exit codes that scripts may rely on."""

import asyncio
import json
import sys
from collections.abc import Coroutine
from enum import IntEnum
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

from comfyserve.client import ApiError, ServerUnreachable

T = TypeVar("T")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]


class Exit(IntEnum):
    """Exit codes, listed in docs/cli.md."""

    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    UNHEALTHY = 5


out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """A line for people, on standard output; markup is not read."""
    out.print(text, markup=False)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def fail(message: str, ending: Exit, *, as_json: bool = False, **facts: Any) -> NoReturn:
    """Say what went wrong on standard error (or as JSON on standard output) and end with this code."""
    if as_json:
        print_json({"error": {"message": message, **facts}})
    else:
        err.print(f"Error: {message}", style="red", markup=False)
    raise typer.Exit(ending)


def finish(work: Coroutine[Any, Any, T], *, as_json: bool = False) -> T:
    """Run a command's work; what a server refuses or does not answer becomes a sentence and an exit code."""
    try:
        return asyncio.run(work)
    except ServerUnreachable as error:
        fail(str(error), Exit.UNREACHABLE, as_json=as_json, code="unreachable")
    except ApiError as error:
        where = " ".join(f"({name.replace('_', ' ')} {value})" for name, value in error.place.items())
        message = f"{error} {where}".rstrip()
        fail(message, Exit.REFUSED, as_json=as_json, code=error.code, place=dict(error.place))
