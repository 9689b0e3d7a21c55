import numpy as np
import pytest

from comfyserve.embedded.nodes.alpha import MODES, join_alpha, porter_duff, split_alpha
from comfyserve.embedded.pixels.arrays import Image, Mask


def flat(*color: float, size: int = 2, batch: int = 1) -> Image:
    return np.broadcast_to(np.array(color, np.float32), (batch, size, size, len(color))).copy()


def opaque(size: int = 2, batch: int = 1) -> Mask:
    return np.zeros((batch, size, size), np.float32)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_stays_in_range(mode: str) -> None:
    half = opaque() + np.float32(0.5)
    image, mask = porter_duff(flat(1, 0.5, 0), half, flat(0, 0.5, 1), half, mode)
    assert image.shape == (1, 2, 2, 3) and mask.shape == (1, 2, 2)
    assert image.dtype == mask.dtype == np.float32
    assert image.min() >= 0 and image.max() <= 1


@pytest.mark.parametrize(
    ("mode", "color", "masked"),
    [
        ("SRC_OVER", 0.75, 0),
        ("DST_OVER", 0.25, 0),
        ("CLEAR", 0, 1),
        ("XOR", 0, 1),
        ("ADD", 1, 0),
        ("SCREEN", 0.8125, 0),
    ],
)
def test_opaque_pictures(mode: str, color: float, masked: float) -> None:
    image, mask = porter_duff(flat(0.75, 0.75, 0.75), opaque(), flat(0.25, 0.25, 0.25), opaque(), mode)
    assert image[0, 0, 0, 0] == pytest.approx(color)
    assert mask[0, 0, 0] == pytest.approx(masked)


def test_sizes_follow_the_destination_and_batches_the_shortest() -> None:
    image, mask = porter_duff(
        flat(1, 1, 1, size=3, batch=2), opaque(5, 3), flat(0, 0, 0, size=4, batch=4), opaque(), "SRC"
    )
    assert image.shape == (1, 4, 4, 3)
    assert mask.shape == (1, 4, 4)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="SRC_OVER"):
        porter_duff(flat(1, 1, 1), opaque(), flat(0, 0, 0), opaque(), "OVER")
    with pytest.raises(ValueError, match="channels"):
        porter_duff(flat(1, 1, 1, 1), opaque(), flat(0, 0, 0), opaque(), "SRC")


def test_splitting_without_alpha_gives_an_empty_mask() -> None:
    image, mask = split_alpha(flat(1, 0, 0))
    assert image.shape == (1, 2, 2, 3)
    assert not mask.any()


def test_joining_undoes_splitting() -> None:
    rgba = flat(1, 0.5, 0.25, 0.75)
    assert join_alpha(*split_alpha(rgba)).tolist() == rgba.tolist()


def test_joining_takes_the_shorter_batch_and_resizes_the_mask() -> None:
    assert join_alpha(flat(1, 1, 1, batch=3), opaque(5, 2)).shape == (2, 2, 2, 4)
    assert join_alpha(flat(1, 1, 1, 0.5), np.ones((2, 2), np.float32))[..., 3].max() == 0
