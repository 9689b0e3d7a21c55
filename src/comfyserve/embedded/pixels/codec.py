"""Picture files to arrays and back: the frames of a file, 8-bit samples, PNG with text chunks (spec 11, 12)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, ImageSequence
from PIL.PngImagePlugin import PngInfo

from comfyserve.embedded.pixels.arrays import (
    Bytes,
    Image,
    Mask,
    TooLarge,
    check_room,
    from_bytes,
    most_samples,
    to_bytes,
)

# A picture without alpha loads with an empty mask of this size, whatever its own (catalogue, LoadImage).
EMPTY_MASK = (64, 64)
# Pillow reads these with a foreign program, or fetches what they name.
FOREIGN = frozenset({"EPS", "WMF", "FITS", "GRIB", "HDF5", "BUFR"})
CHANNELS = {"red": "R", "green": "G", "blue": "B", "alpha": "A"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded frame: RGB bytes [H,W,3], and its alpha bytes [H,W] when the file has one."""

    rgb: Bytes
    alpha: Bytes | None


@contextmanager
def opened(path: Path) -> Iterator[Pillow.Image]:
    """A picture that Pillow reads by itself. TooLarge by its head, ValueError for what is none or is damaged."""
    # Pillow's own bound is one for all programs; this one follows the setting.
    Pillow.MAX_IMAGE_PIXELS = most_samples()
    try:
        with Pillow.open(path) as file:
            if file.format in FOREIGN:
                raise ValueError(f"{file.format} is not read here")
            check_room((file.height, file.width, 3))
            yield file
    except TooLarge as reason:
        raise TooLarge(f"{path.name} is too large. {reason}") from reason
    except Pillow.DecompressionBombError as reason:
        raise TooLarge(
            f"{path.name} is too large. Give a smaller picture, or start the engine with a larger --picture-megabytes."
        ) from reason
    # Pillow's decoders raise a dozen unrelated types for damaged files, on opening and on reading frames alike.
    except Exception as reason:
        raise ValueError(f"{path.name} is not a picture that can be read. Give a PNG, JPEG or WEBP file.") from reason


def load_frames(path: Path) -> tuple[Image, Mask]:
    """Every frame of a file as IMAGE and MASK (1 - alpha; without alpha zeros of EMPTY_MASK).

    Frames of another size than the first are skipped; of an MPO only the first counts. ValueError if it is no picture.
    """
    with opened(path) as file:
        frames = _same_sized(file)
    image = from_bytes(np.stack([frame.rgb for frame in frames]))
    if all(frame.alpha is None for frame in frames):
        return image, np.zeros((len(frames), *EMPTY_MASK), np.float32)
    opaque = np.full(image.shape[1:3], 255, np.uint8)
    alpha = np.stack([opaque if frame.alpha is None else frame.alpha for frame in frames])
    return image, 1 - from_bytes(alpha)


def load_channel(path: Path, channel: str) -> Mask:
    """One channel of a file's first frame as MASK [1,H,W], alpha inverted. ValueError if it is no picture."""
    with opened(path) as file:
        picture = ImageOps.exif_transpose(file)
        picture = _eight_bit(picture)
        rgba = picture if picture.getbands() == ("R", "G", "B", "A") else picture.convert("RGBA")
        samples = from_bytes(np.asarray(rgba.getchannel(CHANNELS[channel])))[np.newaxis]
    return 1 - samples if channel == "alpha" else samples


def load_rgb(path: Path) -> Pillow.Image:
    """The first frame of a file in RGB, not turned by its EXIF. ValueError if it is no picture."""
    with opened(path) as file:
        return _eight_bit(file).convert("RGB")


def to_pillow(samples: Image) -> Pillow.Image:
    """One picture [H,W,C] as a Pillow image: 1, 3 or 4 channels; ValueError for others."""
    if 0 in samples.shape:
        raise ValueError("An empty picture cannot be saved. Look for a crop that lies outside of its picture.")
    channels = samples.shape[-1]
    if channels not in (1, 3, 4):
        raise ValueError(f"A picture with {channels} channels cannot be saved: it needs 1, 3 or 4.")
    check_room(samples.shape)
    return Pillow.fromarray(to_bytes(samples[..., 0] if channels == 1 else samples))


def save_png(path: Path, samples: Image, texts: Mapping[str, str], compress_level: int = 4) -> None:
    """Write one picture [H,W,C] with its texts as tEXt chunks. ValueError for a keyword that PNG does not allow."""
    info = PngInfo()
    for key, text in texts.items():
        if not key.isprintable() or not key.isascii() or not 0 < len(key) < 80:
            raise ValueError(f"The metadata name {key!r} is not possible in a PNG: use 1 to 79 plain characters.")
        info.add_text(key, text)
    to_pillow(samples).save(path, "PNG", pnginfo=info, compress_level=compress_level)


def _same_sized(file: Pillow.Image) -> list[Frame]:
    frames: list[Frame] = []
    for frame in _frames(file):
        if not frames or frame.rgb.shape == frames[0].rgb.shape:
            frames.append(frame)
            check_room((len(frames), *frame.rgb.shape))
    return frames


def _frames(file: Pillow.Image) -> Iterator[Frame]:
    for raw in ImageSequence.Iterator(file):
        frame = _eight_bit(ImageOps.exif_transpose(raw))
        yield Frame(np.asarray(frame.convert("RGB")), _alpha(frame))
        if file.format == "MPO":
            return


def _eight_bit(frame: Pillow.Image) -> Pillow.Image:
    return frame.point(lambda level: level * (1 / 255)) if frame.mode == "I" else frame


def _alpha(frame: Pillow.Image) -> Bytes | None:
    if frame.mode == "P" and "transparency" in frame.info:
        frame = frame.convert("RGBA")
    return np.asarray(frame.getchannel("A")) if "A" in frame.getbands() else None
