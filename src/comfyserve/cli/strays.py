"""Settings that nobody reads: a misspelt name should be noticed at the start, not wondered about."""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from comfyserve.settings import FILE, PREFIX, Settings

ELSEWHERE = frozenset({"URL", "KEY", "CHROMIUM", "SKIP_PAGES"})
"""Variables that the other commands, the tests and the build read."""


def stray_settings(environment: Mapping[str, str], folder: Path, table: type[Settings] = Settings) -> list[str]:
    """A sentence for each COMFYSERVE_ variable, and each name in the settings file in `folder`, that means nothing."""
    variables = (name.removeprefix(PREFIX) for name in environment if name.upper().startswith(PREFIX))
    named = [(f"{PREFIX}{name}", name) for name in variables if name not in ELSEWHERE]
    named += [(f"{name} in {FILE}", name) for name in _lines(folder / FILE)]
    return [_sentence(shown, name, table) for shown, name in named if name.lower() not in table.model_fields]


def _lines(file: Path) -> Iterable[str]:
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else ()


def _sentence(shown: str, name: str, table: type[Settings]) -> str:
    longer = [known for known in table.model_fields if known.startswith(f"{name.lower()}_")]
    near = longer if len(longer) == 1 else get_close_matches(name.lower(), table.model_fields, n=1)
    hint = f"Did you mean {PREFIX}{near[0].upper()}?" if near else "`comfyserve settings` lists them all."
    return f"{shown} is no setting and is ignored. {hint}"
