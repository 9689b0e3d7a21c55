"""Clips: words move the camera, and a given first picture keeps its colours."""

from dataclasses import replace

import numpy as np
import pytest

from comfyserve.embedded.simulate import SimulatedSampler, Task
from comfyserve.embedded.simulate.chance import generator
from comfyserve.embedded.simulate.grid import VIDEO
from comfyserve.embedded.simulate.model import Bytes, Embedding, Model
from comfyserve.embedded.simulate.motion import PAN, camera_for
from comfyserve.embedded.simulate.wish import KEYFRAMES


@pytest.mark.parametrize(
    ("words", "right", "into"),
    [
        ("slow pan left", -1, 1),
        ("the camera pans to the right", 1, 1),
        ("panning left over the roofs", -1, 1),
        ("v2_lora_PanLeft.ckpt", -1, 1),
        ("the camera pushes in", 0, 1),
        ("the camera moves forward", 0, 1),
        ("zooming in on the mug", 0, 1),
        ("it zooms out", 0, -1),
        ("the camera pulls back", 0, -1),
        ("dolly out", 0, -1),
    ],
)
def test_words_move_the_camera(words: str, right: int, into: int) -> None:
    camera = camera_for(words, generator("any"))
    assert (round(camera.right / PAN / 2), np.sign(camera.into)) == (right, into)


@pytest.mark.parametrize("words", ["a panda left the room", "an expanding right angle", "pushing ink", "a frozen lake"])
def test_words_that_only_look_alike_leave_the_camera_to_chance(words: str) -> None:
    assert camera_for(words, generator("any")) == camera_for("", generator("any"))


def last_frame(words: str, given: Bytes) -> Bytes:
    """The last of nine frames that start with a given picture, the camera standing still."""
    model = Model.loaded("wan2.1_i2v_480p_14B_fp16.safetensors")
    task = Task(model, [[Embedding(f"{words}, static"), {KEYFRAMES: {0: given}}]], [], seed=3, steps=2)
    latent = {"samples": np.zeros((1, 16, 3, 16, 16), np.float32), "simulated_grid": VIDEO}
    sampler = SimulatedSampler()
    made = sampler.decode(sampler.sample(replace(task, cfg=1.0), latent, lambda step, preview: None))
    return np.asarray(made[-1] * 255 + 0.5, np.uint8)


def test_a_given_picture_keeps_its_colours_unless_words_name_some() -> None:
    given = np.full((128, 128, 3), (200, 60, 60), np.uint8)
    assert np.abs(last_frame("a mug, steam rises", given).astype(int) - given).max() <= 1
    drifted = np.abs(last_frame("a blue mug", given).astype(int) - given).max()
    assert 1 < drifted < 0.15 * 255
