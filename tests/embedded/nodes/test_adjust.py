import numpy as np
import pytest

from comfyserve.embedded.context import NodeContext
from comfyserve.embedded.nodes import adjust, effects
from comfyserve.embedded.pixels.arrays import Image


def flat(value: float, size: int = 4, channels: int = 3, batch: int = 1) -> Image:
    return np.full((batch, size, size, channels), value, np.float32)


def noise(size: int = 8, batch: int = 1) -> Image:
    return np.random.default_rng(1).random((batch, size, size, 3), np.float32)


def test_inverting_goes_through_alpha_and_out_of_range() -> None:
    assert adjust.invert(flat(0.25, channels=4))[0, 0, 0].tolist() == [0.75] * 4
    assert adjust.invert(flat(1.5))[0, 0, 0, 0] == -0.5


@pytest.mark.parametrize(
    ("mode", "result"),
    [
        ("normal", 0.25),
        ("multiply", 0.125),
        ("screen", 0.625),
        ("overlay", 0.25),
        ("soft_light", 0.375),
        ("difference", 0.25),
    ],
)
def test_blend_modes(mode: str, result: float) -> None:
    assert adjust.blend(flat(0.5), flat(0.25), 1.0, mode)[0, 0, 0, 0] == pytest.approx(result)


def test_a_difference_keeps_its_sign_and_is_clamped() -> None:
    assert adjust.blend(flat(0.25), flat(0.75), 1.0, "difference").max() == 0


def test_blending_fits_size_and_batch() -> None:
    blended = adjust.blend(flat(0.5, 4), flat(1.0, 9, channels=4, batch=3), 0.5, "normal")
    assert blended.shape == (3, 4, 4, 3)
    assert blended[2, 0, 0, 0] == pytest.approx(0.75)


@pytest.mark.parametrize(
    "call",
    [
        lambda: adjust.blend(flat(0.5), flat(0.5), 0.5, "zzz"),
        lambda: effects.morph(flat(0.5), "zzz", 3),
    ],
)
def test_an_unknown_choice_is_refused_with_the_list(call: object) -> None:
    with pytest.raises(ValueError, match="Use one of"):
        call()  # type: ignore[operator]  # one of the lambdas above


@pytest.mark.parametrize("radius", [4, 31])
def test_a_radius_must_fit_into_the_picture(radius: int) -> None:
    with pytest.raises(ValueError, match="smaller radius"):
        adjust.blur(flat(0.5, 4), radius, 1.0)
    with pytest.raises(ValueError, match="smaller radius"):
        adjust.sharpen(flat(0.5, 4), radius, 1.0, 1.0)


def test_blurring_keeps_flat_pictures_and_calms_others() -> None:
    assert np.allclose(adjust.blur(flat(0.5), 3, 0.5), 0.5)
    assert adjust.blur(noise(), 3, 1.0).std() < noise().std()


def test_sharpening_without_strength_changes_nothing() -> None:
    assert adjust.sharpen(noise(), 2, 1.0, 0.0).tolist() == noise().tolist()
    assert adjust.sharpen(noise(), 2, 1.0, 0.3).std() > noise().std()


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg", "bayer-2", "bayer-16"])
def test_quantizing_bounds_the_colours(context: NodeContext, dither: str) -> None:
    reduced = effects.reduce_colors(noise(16, batch=2), 5, dither)
    assert reduced.shape == (2, 16, 16, 3)
    assert all(len(np.unique(picture.reshape(-1, 3), axis=0)) <= 5 for picture in reduced)


def test_an_unknown_dither_is_refused(context: NodeContext) -> None:
    with pytest.raises(ValueError, match="Use one of"):
        effects.reduce_colors(noise(), 5, "zzz")


def test_noise_follows_its_seed_and_is_clamped() -> None:
    first = effects.add_noise(flat(0.5), 1, 1.0)
    assert (first == effects.add_noise(flat(0.5), 1, 1.0)).all()
    assert (first != effects.add_noise(flat(0.5), 2, 1.0)).any()
    assert first.min() == 0 and first.max() == 1
    assert (effects.add_noise(flat(0.5), 1, 0.0) == 0.5).all()


def test_colour_spaces_lead_back() -> None:
    assert np.allclose(effects.yuv_to_rgb(*effects.rgb_to_yuv(noise())), noise(), atol=0.01)


@pytest.mark.parametrize("size", [3, 5, 999])
def test_opening_and_closing_enclose_the_picture(size: int) -> None:
    image = noise()
    assert (effects.morph(image, "open", size) <= image).all()
    assert (effects.morph(image, "close", size) >= image).all()
    assert np.isfinite(effects.morph(image, "gradient", size)).all()


def test_edges_stand_where_the_picture_changes(context: NodeContext) -> None:
    image = flat(0, 16, batch=2)
    image[1, :, 8:] = 1
    edges = effects.find_edges(image, 0.2, 0.5)
    assert edges.shape == (2, 16, 16, 3)
    assert not edges[0].any()
    assert set(np.argwhere(edges[1, :, :, 0])[:, 1]) <= {7, 8}
    assert edges[1].any()
