"""Names of outputs: untrusted, since an engine and its nodes choose them."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from comfyserve.core.outputs import EngineFile

UNFIT = re.compile(r'[\0-\x1f\x7f\ud800-\udfff<>:"|?*%#]')
MAX_PART = 150
MAX_FOLDERS = 8
MAX_ENDING = 8


def file_name(file: EngineFile) -> str:
    """The last part of its name."""
    return PurePosixPath(file.filename.replace("\\", "/")).name


def ending(filename: str) -> str:
    """The file's ending, when it is a plain one; a blob key holds nothing else of a name that an engine chose."""
    suffix = PurePosixPath(filename).suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= MAX_ENDING else ""


def with_ending(filename: str, word: str) -> str:
    """The name with another ending: the word as it is, after a dot."""
    return f"{PurePosixPath(filename).stem}.{word}"


def target_names(first: str, files: Iterable[tuple[str, str]]) -> list[str]:
    """Names in a caller's target for (subfolder, filename) pairs: `<first>_<subfolder>/<filename>`, and as they are
    where they begin with `first`, which is an id.

    No two are equal: the second of a name gets `_2` before its ending. They depend on nothing but the arguments, so
    that a run that is tried again writes over what it has written. None leads out of the target.
    """
    taken: set[str] = set()
    begin = _clean(first)
    return [_free(_plain(begin, f"{subfolder}/{filename}"), taken) for subfolder, filename in files]


def _plain(first: str, path: str) -> str:
    path = _clean(path) or "output"
    return path if path.startswith(first) else f"{first}_{path}"


def _clean(path: str) -> str:
    clean = [UNFIT.sub("_", part).strip() for part in path.replace("\\", "/").split("/")]
    kept = [_short(part) for part in clean if part not in ("", ".", "..")]
    return "/".join([*kept[:-1][:MAX_FOLDERS], *kept[-1:]])


def _short(part: str) -> str:
    if len(part) <= MAX_PART:
        return part
    suffix = ending(part)
    return part[: MAX_PART - len(suffix)] + suffix


def _free(name: str, taken: set[str]) -> str:
    """The name, or the first numbered one that nobody has; it is taken from now on."""
    path = PurePosixPath(name)
    number, free = 2, name
    while free.lower() in taken:
        free = str(path.with_name(f"{path.stem}_{number}{path.suffix}"))
        number += 1
    taken.add(free.lower())
    return free
