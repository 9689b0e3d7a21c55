import numpy as np
import pytest

from comfyserve.embedded.pixels.arrays import (
    TooLarge,
    as_masks,
    check_batches,
    check_room,
    fit_batch,
    from_bytes,
    match_channels,
    to_bytes,
)


def test_every_level_survives_the_round_trip() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert (to_bytes(from_bytes(levels)) == levels).all()


@pytest.mark.parametrize(("value", "level"), [(0.99, 252), (0.5, 127), (1.7, 255), (-0.3, 0), (0.9999, 254)])
def test_saving_clips_and_truncates(value: float, level: int) -> None:
    assert to_bytes(np.array([value], np.float32))[0] == level


def test_room_is_bounded() -> None:
    assert check_room([1, 2, 3]) == (1, 2, 3)
    with pytest.raises(TooLarge, match="--picture-megabytes"):
        check_room((1, 16384, 16384, 3))


@pytest.mark.parametrize(("size", "items"), [(2, [0, 1]), (3, [0, 1, 2]), (7, [0, 1, 2, 0, 1, 2, 0])])
def test_batches_are_cut_or_repeated(size: int, items: list[int]) -> None:
    batch = np.arange(3, dtype=np.float32).reshape(3, 1)
    assert fit_batch(batch, size)[:, 0].tolist() == items


def test_a_plain_mask_becomes_a_batch_of_one() -> None:
    assert as_masks(np.zeros((4, 5), np.float32)).shape == (1, 4, 5)
    assert as_masks(np.zeros((2, 1, 4, 5), np.float32)).shape == (2, 4, 5)


def test_surplus_channels_are_cut_and_missing_ones_refused() -> None:
    gray, rgb, rgba = (np.zeros((1, 2, 2, channels), np.float32) for channels in (1, 3, 4))
    assert match_channels(rgb, rgba)[1].shape == (1, 2, 2, 3)
    with pytest.raises(ValueError, match="4 channels"):
        match_channels(rgba, rgb)
    below, above = match_channels(rgb, gray)
    assert (below[..., 3] == 1).all()
    assert above.shape == (1, 2, 2, 1)


def test_batches_are_of_one_size_or_single() -> None:
    check_batches(3, 1, 3)
    with pytest.raises(ValueError, match="2, 3"):
        check_batches(2, 3)
