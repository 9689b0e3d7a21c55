"""The table of commands. Each imports what it needs when it runs, so that the others start quickly."""

import sys

import typer

from comfyserve import __version__
from comfyserve.cli.console import Exit, complain, say
from comfyserve.cli.deploy import deploy
from comfyserve.cli.doctor import doctor
from comfyserve.cli.engine import app as engine_app
from comfyserve.cli.key import app as key_app
from comfyserve.cli.run import run
from comfyserve.cli.settings import settings
from comfyserve.cli.solo import app as solo_app
from comfyserve.cli.up import up
from comfyserve.cli.worker import worker

app = typer.Typer(
    name="comfyserve",
    help="One command turns any ComfyUI workflow into a production API on machines you own.",
    epilog="Start with `comfyserve up`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"comfyserve {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and end."
    ),
) -> None:
    """What stands before the commands."""


app.command()(up)
app.command()(worker)
app.add_typer(solo_app, name="solo")
app.command()(deploy)
app.command()(run)
app.add_typer(key_app, name="key")
app.add_typer(engine_app, name="engine")
app.command()(settings)
app.command()(doctor)


def main() -> None:
    """The entry point; a wrong setting is a sentence, not a trace."""
    try:
        app(prog_name="comfyserve")
    except ValueError as error:
        for sentence in _wrong_settings(error):
            complain(f"Error: {sentence}")
        sys.exit(Exit.USAGE)


def _wrong_settings(error: ValueError) -> list[str]:
    """What is wrong with the settings; an error that is about something else is raised again."""
    from tomllib import TOMLDecodeError

    from pydantic import ValidationError

    from comfyserve.settings import FILE, Settings, variable_of
    from comfyserve.solo_settings import SoloSettings

    if isinstance(error, TOMLDecodeError):
        return [f"{FILE} cannot be read: {error}."]
    tables = {table.__name__: table for table in (Settings, SoloSettings)}
    if not isinstance(error, ValidationError) or error.title not in tables:
        raise error
    originals = tables[error.title].originals
    return [
        f"{_named(variable_of(str(problem['loc'][0]), problem['input'], originals)) if problem['loc'] else ''}"
        f"{_reason(problem['msg'])}."
        for problem in error.errors()
    ]


def _named(variable: str) -> str:
    return f"{variable}: "


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")
