"""Names of files in a target: what an output is called, below what the caller wished for."""

from comfyserve.core.errors import InvalidInput, Place

MAX_PATH = 1000
"""Characters; S3 and GCS take 1024 bytes."""


def join(prefix: str, name: str, field: str) -> str:
    """The prefix with the name right behind it, without leading slashes.

    Raises InvalidInput when a part of it is empty, `.` or `..`, or when it holds a control character: nobody's file
    shall lie outside of the prefix.
    """
    path = prefix.lstrip("/") + name
    parts = [*path.replace("\\", "/").split("/"), *name.replace("\\", "/").split("/")]
    if len(path) > MAX_PATH or not path.isprintable() or any(part in ("", ".", "..") for part in parts):
        raise InvalidInput(
            f"The files of the run cannot be named so below target.{field}: a path has at most {MAX_PATH} characters, "
            "and no empty part, no '..' and no control characters.",
            place=Place(field=f"target.{field}"),
        )
    return path
