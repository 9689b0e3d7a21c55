"""A workflow file on its way to the server: JSON in either form, or a file that ComfyUI saved with its workflow."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comfyserve.cli.console import Exit, fail

if TYPE_CHECKING:
    from comfyserve.client import Client

JSON_SUFFIX = ".json"
CARRIERS = frozenset(
    {
        *(".png", ".apng", ".webp", ".svg"),
        *(".mp4", ".mov", ".m4v", ".webm", ".mkv"),
        *(".flac", ".mp3", ".opus", ".ogg"),
        *(".latent", ".safetensors"),
    }
)
"""Names of files that may carry a workflow; the server reads it out of them."""


def names_a_file(target: str) -> bool:
    """Whether a name has the ending of a workflow file."""
    return Path(target).suffix.lower() in CARRIERS | {JSON_SUFFIX}


def read_workflow(file: Path, *, as_json: bool = False) -> Any:
    """The JSON of the file, or the path of one that carries it; ends the command with a sentence when it is neither."""
    if file.suffix.lower() in CARRIERS and file.is_file():
        return file
    return read_json(file, as_json=as_json)


def read_json(file: Path, *, as_json: bool = False) -> Any:
    """The JSON of the file; ends the command with a sentence when it has none."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}.", Exit.USAGE, as_json=as_json)
    except (ValueError, RecursionError) as error:
        fail(f"{file} is not JSON: {error}.", Exit.USAGE, as_json=as_json)


async def forms_of(client: "Client", workflow: Any) -> dict[str, Any]:
    """What a call that makes a workflow sends: `graph`, and `editor` where the file carries both."""
    if not isinstance(workflow, Path):
        return {"graph": workflow}
    found = await client.read_graph(workflow)
    return {name: found[name] for name in ("graph", "editor") if found.get(name) is not None}
