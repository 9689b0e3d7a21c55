"""JSON and YAML files, read within a bound."""

import json
from pathlib import Path
from typing import Any

import yaml

from comfyserve.workflows.errors import Unreadable
from comfyserve.workflows.limits import MIB

YAML = frozenset({".yaml", ".yml"})


def read_document(file: Path, most: int) -> Any:
    """What a file of at most so many bytes holds; blocks on the disk. Raises Unreadable."""
    kind = "YAML" if file.suffix in YAML else "JSON"
    try:
        with file.open("rb") as source:
            content = source.read(most + 1)
    except OSError as error:
        raise Unreadable(f"{file.name} cannot be read: {error.strerror}.") from error
    if len(content) > most:
        raise Unreadable(f"{file.name} is larger than {most // MIB} MiB.")
    try:
        return yaml.safe_load(content) if kind == "YAML" else json.loads(content)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(f"{file.name} is not {kind}: {error}") from error
