"""What `comfyserve run` sends besides inputs. Secrets are read from files, for a command line is seen by everybody."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from comfyserve.cli.console import Exit, fail
from comfyserve.cli.workflow_file import read_json

ConvertOption = Annotated[
    str,
    typer.Option(
        "--convert",
        metavar="FORMAT|JSON",
        help="Store pictures as jpeg, webp, avif or png; or JSON of format and options.",
    ),
]
TargetOption = Annotated[
    Path | None,
    typer.Option("--target", metavar="FILE", help="A JSON file: the bucket, repository or address for the results."),
]
CredentialsOption = Annotated[
    Path | None,
    typer.Option("--credentials", metavar="FILE", help="A JSON file: what opens private addresses of the run."),
]


def read_options(convert: str, target: Path | None, credentials: Path | None, *, as_json: bool) -> dict[str, Any]:
    """The fields of a submit that these flags ask for; ends the command with a sentence when one cannot be read."""
    options: dict[str, Any] = {}
    if convert:
        options["convert_output"] = _conversion(convert, as_json=as_json)
    if target is not None:
        options["target"] = read_json(target, as_json=as_json)
    if credentials is not None:
        options["credentials"] = read_json(credentials, as_json=as_json)
    return options


def _conversion(text: str, *, as_json: bool) -> Any:
    if not text.lstrip().startswith("{"):
        return {"format": text}
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        fail(f"--convert is neither a format nor JSON: {error}.", Exit.USAGE, as_json=as_json)
