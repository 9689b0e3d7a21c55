"""What encoders write."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from comfyserve.embedded.context import NodeContext
from comfyserve.embedded.media.encode import Reel, write_video
from comfyserve.embedded.media.video import H264
from comfyserve.embedded.pixels.arrays import Bytes

WIDTH, HEIGHT, FRAMES = 848, 480, 20


def moving(width: int, height: int, count: int) -> Iterator[Bytes]:
    """Coloured blocks that travel to the side."""
    cells = np.random.default_rng(1).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    blocks = cells.repeat(8, axis=0).repeat(8, axis=1)
    return (np.roll(blocks, number * 3, axis=1) for number in range(count))


def written(path: Path, width: int = WIDTH, height: int = HEIGHT, count: int = FRAMES) -> bytes:
    write_video(path, Reel(moving(width, height, count), width, height, Fraction(24), count), H264, {})
    return path.read_bytes()


def test_h264_is_the_same_whatever_was_encoded_before(context: NodeContext, tmp_path: Path) -> None:
    made = set()
    for _ in range(3):
        made.add(written(tmp_path / "one.mp4"))
        written(tmp_path / "other.mp4", 320, 200, 8)
    assert len(made) == 1
