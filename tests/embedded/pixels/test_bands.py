from collections.abc import Iterator

import numpy as np
import pytest

from comfyserve.embedded.pixels.arrays import Image
from comfyserve.embedded.pixels.bands import PART_SAMPLES, each_band, share_out
from comfyserve.embedded.pixels.filters import gaussian_blur, sharpened
from comfyserve.embedded.pixels.noise import normal_noise
from comfyserve.embedded.pixels.resample import METHODS, upscale


def picture(*shape: int) -> Image:
    return np.random.default_rng(1).random(shape, np.float32)


@pytest.mark.parametrize("count", [0, 1, 5, 1000])
def test_bands_cover_every_row_once(count: int) -> None:
    touched = np.zeros(count, int)

    def touch(band: slice) -> None:
        touched[band] += 1

    each_band(count, PART_SAMPLES // 2, touch)
    assert (touched == 1).all()


def test_parts_are_made_in_order() -> None:
    made: list[int] = []

    def parts() -> Iterator[int]:
        for number in range(1, 200):
            made.append(number)
            yield number

    done: list[int] = []
    share_out(parts(), done.append)
    assert made == sorted(made)
    assert sorted(done) == made


def test_what_a_part_raises_reaches_the_caller() -> None:
    def work(part: int) -> None:
        if part == 150:
            raise ValueError("part 150")

    with pytest.raises(ValueError, match="part 150"):
        share_out(iter(range(200)), work)


def test_work_may_share_out_its_own_work() -> None:
    done: list[int] = []
    share_out(iter(range(8)), lambda _: share_out(iter(range(8)), done.append))
    assert sorted(done) == sorted(list(range(8)) * 8)


def test_the_error_state_of_the_caller_holds_in_every_part() -> None:
    def work(_: int) -> None:
        np.float32(np.inf) - np.float32(np.inf)

    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        share_out(iter(range(100)), work)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"lanczos"}))
@pytest.mark.parametrize("size", [(300, 450), (130, 90), (300, 90)])
def test_a_picture_of_many_bands_is_that_of_its_parts(method: str, size: tuple[int, int]) -> None:
    """Each column of a tall picture is resized alone as within it, although it then is one band."""
    tall = picture(1, 260, 400, 3)
    whole = upscale(tall, 400, size[0], method)
    column = upscale(tall[:, :, 7:8], 1, size[0], method)
    np.testing.assert_allclose(whole[:, :, 7:8], column, atol=1e-6)
    assert upscale(tall, size[1], size[0], method).shape == (1, *size, 3)


@pytest.mark.parametrize("radius", [1, 9, 31])
def test_a_blur_of_many_bands_is_that_of_its_parts(radius: int) -> None:
    tall = picture(1, 500, 400, 3)
    whole = gaussian_blur(tall, radius, 1.0)
    middle = gaussian_blur(tall[:, 200:300], radius, 1.0)
    np.testing.assert_allclose(whole[:, 250 - 10 : 250 + 10], middle[:, 40:60], atol=1e-6)
    assert (gaussian_blur(np.full_like(tall, 0.3), radius, 1.0) == np.float32(0.3)).all()
    np.testing.assert_allclose(sharpened(tall, radius, 1.0, 10), np.clip(tall + 10 * (tall - whole), 0, 1), atol=1e-5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"lanczos"}))
def test_what_is_no_number_stays_where_it_is(method: str, wrong: float) -> None:
    tall = picture(1, 260, 400, 3)
    tall[0, 130, 200, 1] = wrong
    resized = upscale(tall, 600, 390, method)
    assert not np.isfinite(resized[0, 185:206, 285:316, 1]).all()
    assert np.isfinite(resized[..., (0, 2)]).all()
    assert np.isfinite(resized[0, :180]).all()


def test_noise_of_many_parts_begins_like_that_of_one() -> None:
    long = normal_noise((5 * PART_SAMPLES + 7,), 3)
    assert (long[:4096] == normal_noise((4096,), 3)).all()
    assert abs(long.std() - 1) < 0.01
    assert len(np.unique(long)) > 0.9 * len(long)
