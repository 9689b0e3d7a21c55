"""Names that callers give to files of an engine: they never lead out of their folder.

A name is refused although the engine might refuse it as well: the same graph must be as safe on every engine.
"""

import re

from comfyserve.core.addresses import is_unknown_address, url_prefixes
from comfyserve.core.errors import InvalidInput, Place

MAX_NAME = 2048
DRIVE = re.compile(r"[A-Za-z]:")
CONTROL = re.compile(r"[\0-\x1f\x7f\ud800-\udfff]")
SHOWN = 80


def fault_of(name: str, *, windows: bool = False) -> str | None:
    """What is wrong with the name of a file, an ending of a sentence; None for one inside its folder.

    `windows`: a backslash parts folders, as an engine on Windows lists its models.
    """
    if len(name) > MAX_NAME:
        return f"has more than {MAX_NAME} characters"
    if CONTROL.search(name):
        return "has a control character"
    if "\\" in name and not windows:
        return "has a backslash; part folders with /"
    plain = name.strip().replace("\\", "/")
    if plain.startswith("/") or DRIVE.match(plain):
        return "is an absolute path; give the name of a file below the engine's own folder"
    if ".." in (part.strip() for part in _without_type(plain).split("/")):
        return "leaves its folder with ..; give the name of a file inside it"
    return None


def check_name(name: str, place: Place, *, windows: bool = False) -> None:
    """Raise InvalidInput with the place for a name that `fault_of` finds fault with."""
    if (fault := fault_of(name, windows=windows)) is not None:
        shown = name if len(name) <= SHOWN else f"{name[: SHOWN - 3]}..."
        raise InvalidInput(f"{place.field or 'The name'} {fault}: {shown!r}.", place=place)


def _without_type(name: str) -> str:
    """The name without ` [output]`, ` [input]` or ` [temp]` at its end."""
    return re.sub(r"\s*\[(input|output|temp)\]$", "", name)


def check_address(value: object, place: Place) -> None:
    """Raise InvalidInput for an address of a kind that nobody fetches."""
    if isinstance(value, str) and is_unknown_address(value):
        known = ", ".join(url_prefixes())
        raise InvalidInput(f"{place.field} is no address that is fetched: those begin with {known}.", place=place)
