"""Converts pictures by libvips, one after the other, as a process of its own: what an engine made may hang or crash a
decoder.

Runs as a script and imports nothing of ours, so that it starts quickly. Each line of standard input is an order (the
fields of `convert.Converter`'s orders), and gets one line on standard output: `{}`, or `{"error": sentence}`. When
standard input ends, the parent is gone or wants no more, and this process ends at once.
"""

import json
import os
import resource
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pyvips  # type: ignore[import-untyped]  # it brings no types

MOVING = ("gifload", "webpload")
"""Loaders whose pages are the frames of an animation; in other formats only the first page is the picture."""

PNG_SIGNATURE_BYTES, PNG_CHECK_BYTES = 8, 4
MAX_SENTENCE = 300


def main() -> None:
    """Obey the orders."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library may print is no answer
    pyvips.cache_set_max(0)  # nothing of a picture stays
    orders: SimpleQueue[dict[str, Any]] = SimpleQueue()
    threading.Thread(target=_read_orders, args=(orders,), daemon=True).start()
    while True:
        answers.write(json.dumps(_obey(orders.get())) + "\n")
        answers.flush()


def _read_orders(orders: SimpleQueue[dict[str, Any]]) -> None:
    """In a thread, so that the end of the orders is noticed in the middle of a picture."""
    for line in sys.stdin:
        orders.put(json.loads(line))
    os._exit(0)


def _obey(order: dict[str, Any]) -> dict[str, str]:
    _limit(order)
    try:
        _convert(order)
    except (pyvips.Error, ValueError, OSError, SyntaxError) as error:  # Pillow's broken files are the last two
        return {"error": _sentence(error, order)}
    return {}


def _limit(order: dict[str, Any]) -> None:
    """Bounds that hold even when nobody watches: memory, processor time, the size of the file, no core dump."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    processor_seconds = int(used.ru_utime + used.ru_stime) + order["processor_seconds"]
    for kind, most in (
        (resource.RLIMIT_AS, order["memory_bytes"]),
        (resource.RLIMIT_CPU, processor_seconds),
        (resource.RLIMIT_FSIZE, order["output_bytes"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _convert(order: dict[str, Any]) -> None:
    """Raises pyvips.Error or ValueError when the picture cannot be converted."""
    image = _open(order["source"], animated=order["animated"], pixels=order["pixels"])
    if image.width * image.height > order["pixels"]:
        raise ValueError(f"it has more than {order['pixels']} pixels")
    image = _in_srgb(image, sixteen=order["bits"] == 16)
    if image.hasalpha() and not order["alpha"]:
        image = image.flatten(background=[0, 0, 0])
    getattr(image, order["operation"])(order["target"], keep="none", **order["arguments"])


def _open(source: str, *, animated: bool, pixels: int) -> pyvips.Image:
    """The picture, read from top to bottom as it is needed: all frames of one that moves."""
    image = pyvips.Image.new_from_file(source, access="sequential", fail_on="warning")
    loader = image.get("vips-loader")
    moving_png = loader.startswith("png") and _is_moving_png(source)
    if not moving_png and (not loader.startswith(MOVING) or _pages(image) == 1):
        return image
    if not animated:
        raise ValueError("it is animated, and the format asked for is not")
    if moving_png:
        return _moving_png(source, pixels)
    return pyvips.Image.new_from_file(source, access="sequential", fail_on="warning", n=-1)


def _moving_png(source: str, pixels: int) -> pyvips.Image:
    """All frames of an animated PNG, one below the other; libvips reads only the first, so Pillow does it."""
    from PIL import Image, ImageSequence

    with Image.open(source) as picture:
        if picture.width * picture.height * getattr(picture, "n_frames", 1) > pixels:
            raise ValueError(f"it has more than {pixels} pixels")
        left_out = 1 if picture.info.get("default_image") else 0  # shown only where nothing can move
        frames, delays = [], []
        for number, frame in enumerate(ImageSequence.Iterator(picture)):
            if number >= left_out:
                data = frame.convert("RGBA").tobytes()
                frames.append(pyvips.Image.new_from_memory(data, picture.width, picture.height, 4, "uchar"))
                delays.append(round(frame.info.get("duration", 0)))
        joined = pyvips.Image.arrayjoin(frames, across=1).copy(interpretation="srgb")
        joined.set_type(pyvips.GValue.gint_type, "page-height", picture.height)
        joined.set_type(pyvips.GValue.array_int_type, "delay", delays)
        joined.set_type(pyvips.GValue.gint_type, "loop", int(picture.info.get("loop", 0)))
        return joined


def _pages(image: pyvips.Image) -> int:
    return int(image.get("n-pages")) if image.get_typeof("n-pages") else 1


def _is_moving_png(source: str) -> bool:
    """Whether a chunk `acTL` stands before the first `IDAT` (PNG specification, third edition, section 4.9)."""
    with Path(source).open("rb") as file:
        file.seek(PNG_SIGNATURE_BYTES)
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            if head[4:] == b"acTL":
                return True
            file.seek(int.from_bytes(head[:4], "big") + PNG_CHECK_BYTES, os.SEEK_CUR)
    return False


def _in_srgb(image: pyvips.Image, *, sixteen: bool) -> pyvips.Image:
    """In sRGB with 8 or 16 bits a sample; by the picture's own profile when it has one that works."""
    if image.get_typeof("icc-profile-data"):
        with suppress(pyvips.Error):
            image = image.icc_transform("srgb", embedded=True, depth=16 if sixteen else 8)
    image = image.colourspace("rgb16" if sixteen else "srgb")
    return image.cast("ushort" if sixteen else "uchar")


def _sentence(error: Exception, order: dict[str, Any]) -> str:
    """What libvips says, in one line and without the paths of files."""
    text = error.detail if isinstance(error, pyvips.Error) and error.detail else str(error)
    for path in (order["source"], order["target"]):
        text = text.replace(path, "the file")
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(lines))[:MAX_SENTENCE]


if __name__ == "__main__":
    main()
