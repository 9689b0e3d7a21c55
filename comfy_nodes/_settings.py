"""What the operator of a ComfyUI may set for these nodes: environment variables, read when they are needed."""

import os

PREFIX = "COMFYSERVE_NODES_"
MB = 1024 * 1024

TABLE: dict[str, tuple[str, str]] = {
    "ALLOW_PRIVATE_NETWORK": (
        "off",
        "Which addresses that are not public may be downloaded from: `off`, `on`, or host names, addresses and "
        "networks with commas between.",
    ),
    "MEDIA_MB": ("512", "The largest picture, video, sound or other file that is downloaded, in MB."),
    "MODEL_MB": ("65536", "The largest model that is downloaded, in MB."),
    "MEDIA_SECONDS": ("300", "The most seconds that the download of a file may take."),
    "MODEL_SECONDS": ("21600", "The most seconds that the download of a model may take."),
    "BATCH_MB": ("16384", "The most memory that one picture, batch or video may take when it is decoded, in MB."),
    "SOCKET_MB": (
        "64",
        "The most memory that the pictures of one realtime connection may take, in MB: those that it sent as files, "
        "and as much of those that it has not taken yet.",
    ),
    "SOCKETS": ("32", "The most realtime connections that are open at a time."),
}
"""Name after the prefix -> default, help."""


def word(name: str) -> str:
    """The setting as text."""
    return os.environ.get(PREFIX + name, "").strip() or TABLE[name][0]


def whole(name: str) -> int:
    """The setting as a whole number. Raises ValueError that names the variable."""
    text = word(name)
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"The environment variable {PREFIX}{name} must be a whole number above 0, not {text[:80]!r}.")
    return int(text)
