"""The table of commands."""

import sys

import typer
from pydantic import ValidationError

from comfyserve import __version__
from comfyserve.cli.console import Exit, err, say
from comfyserve.cli.deploy import deploy
from comfyserve.cli.doctor import doctor
from comfyserve.cli.key import app as key_app
from comfyserve.cli.run import run
from comfyserve.cli.settings import settings
from comfyserve.cli.up import up

app = typer.Typer(
    name="comfyserve",
    help="One command turns any ComfyUI workflow into a production API on machines you own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def root(version: bool = typer.Option(False, "--version", help="Print the version and end.")) -> None:
    """What stands before the commands."""
    if version:
        say(f"comfyserve {__version__}")
        raise typer.Exit


app.command()(up)
app.command()(deploy)
app.command()(run)
app.add_typer(key_app, name="key")
app.command()(settings)
app.command()(doctor)


def main() -> None:
    """The entry point; a wrong setting is a sentence, not a trace."""
    try:
        app()
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"])
            err.print(f"Error: the setting {name} is wrong: {problem['msg']}.", style="red", markup=False)
        sys.exit(Exit.USAGE)
