"""Edits of a given picture: what the words name takes their colour, the rest stays as it was."""

import io

import numpy as np
from PIL import Image

from comfyserve.embedded.simulate.chance import generator
from comfyserve.embedded.simulate.edit import COLOUR_SHARE, edited, names_colours
from comfyserve.embedded.simulate.latent import rounded_bytes
from comfyserve.embedded.simulate.model import Bytes
from comfyserve.embedded.simulate.prompt import COLOURS, read
from comfyserve.embedded.simulate.recolour import palette
from comfyserve.embedded.simulate.scene import render

SIDE = 256
MIDDLE = (slice(110, 180), slice(110, 146))
CORNER = (slice(4, 30), slice(4, 30))


def given(words: str) -> Bytes:
    """What the words name, with the noise of a WebP file."""
    file = io.BytesIO()
    Image.fromarray(rounded_bytes(render(words, "2", SIDE, SIDE))).save(file, "WEBP", quality=60)
    return np.asarray(Image.open(file).convert("RGB"), np.uint8)


def edit(picture: Bytes, words: str, seed: int = 1) -> Bytes:
    return edited(picture, read(words), palette(rounded_bytes(render(words, "9", SIDE, SIDE))), generator(seed))


def near(picture: Bytes, colour: str) -> float:
    """The mean distance to a named colour, in levels."""
    return float(np.abs(picture.reshape(-1, 3).mean(axis=0) - np.asarray(COLOURS[colour]) * 255).max())


def test_a_white_shirt_on_grey_takes_the_colour_and_its_background_stays() -> None:
    shirt = given("a white shirt on a grey background")
    made = edit(shirt, "make the T-shirt burgundy")
    assert near(made[MIDDLE], "burgundy") < (1 - COLOUR_SHARE) * 255 + 8
    assert np.array_equal(made[CORNER], shirt[CORNER])


def test_the_noise_of_a_file_is_not_made_stronger() -> None:
    shirt = given("a white shirt on a grey background")
    made = edit(shirt, "make the T-shirt burgundy")
    assert np.abs(np.diff(made[MIDDLE].astype(int), axis=1)).max() <= 6


def test_a_background_that_is_named_takes_the_colour_and_the_subject_stays() -> None:
    mug = given("a coral mug on a cream background")
    made = edit(mug, "change the background to teal")
    assert near(made[CORNER], "teal") < 45
    assert np.array_equal(made[130:150, 110:130], mug[130:150, 110:130])


def test_the_colour_to_change_to_is_meant() -> None:
    made = edit(given("a white shirt on a grey background"), "change the white shirt to navy")
    assert near(made[MIDDLE], "navy") < near(made[MIDDLE], "white")


def test_a_picture_of_one_tone_is_coloured_as_a_whole() -> None:
    plain = np.full((SIDE, SIDE, 3), 128, np.uint8)
    made = edit(plain, "a red mug")
    assert len(np.unique(made.reshape(-1, 3), axis=0)) == 1
    assert near(made, "red") < near(plain, "red")


def test_only_colours_and_hours_count_as_colours() -> None:
    assert [names_colours(read(words)) for words in ("a mug, steam rises", "a red mug", "a mug at night")] == [
        False,
        True,
        True,
    ]


def test_the_seed_decides_the_shade() -> None:
    shirt = given("a white shirt on a grey background")
    assert not np.array_equal(edit(shirt, "a burgundy shirt"), edit(shirt, "a burgundy shirt", seed=2))
