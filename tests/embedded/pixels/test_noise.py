import numpy as np
import pytest

from comfyserve.embedded.pixels.noise import normal_noise


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 2, 2, 3), (1, 4, 4, 1), (1, 5, 5, 3), (2, 64, 64, 3)])
def test_a_seed_gives_the_same_noise_again(shape: tuple[int, ...]) -> None:
    first = normal_noise(shape, 5)
    assert first.shape == shape
    assert first.dtype == np.float32
    assert (first == normal_noise(shape, 5)).all()
    assert (first != normal_noise(shape, 6)).any()


def test_only_the_lower_half_of_a_seed_counts() -> None:
    assert (normal_noise((4, 8), 2**63 + 7) == normal_noise((4, 8), 7)).all()


def test_the_noise_is_normal() -> None:
    samples = normal_noise((1000, 100), 1)
    assert abs(samples.mean()) < 0.02
    assert abs(samples.std() - 1) < 0.02


def test_an_odd_tail_does_not_disturb_the_blocks_before_it() -> None:
    whole, odd = normal_noise((64,), 3), normal_noise((60,), 3)
    assert (odd[:44] == whole[:44]).all()
    assert (odd[44:] != whole[44:60]).any()
