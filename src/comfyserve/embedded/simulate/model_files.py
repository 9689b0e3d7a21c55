"""The names of model files that well-known graphs ask for: the simulated models need no file, so all are there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources


@cache
def well_known() -> Mapping[str, Sequence[str]]:
    """Model folder -> file names."""
    text = resources.files("comfyserve.embedded.simulate").joinpath("model_files.json").read_text("utf-8")
    names: dict[str, list[str]] = json.loads(text)
    return names
