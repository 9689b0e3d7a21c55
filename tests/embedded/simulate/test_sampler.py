"""The simulated model: what decides a picture, how steps converge, what latents keep."""

import itertools
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from comfyserve.embedded.simulate import SimulatedSampler, Task
from comfyserve.embedded.simulate.latent import Floats, check_size
from comfyserve.embedded.simulate.model import Conditioning, Embedding, Latent, Model
from comfyserve.embedded.simulate.prompt import COLOURS, SUBJECTS, read
from comfyserve.embedded.simulate.recolour import following, palette
from comfyserve.embedded.simulate.scene import render

CAP = "Alone in the frame minimalist product shot of a Black baseball cap"
CHECKPOINT = Model.loaded("simulated-sd15.safetensors")


def words(text: str) -> Conditioning:
    return [[Embedding(text), {}]]


TASK = Task(CHECKPOINT, words(CAP), words(""), seed=7, steps=6, cfg=7.0)
MODEL = SimulatedSampler()


def empty(batch: int = 1, height: int = 128, width: int = 128) -> Latent:
    return {"samples": np.zeros((batch, 4, height // 8, width // 8), np.float32)}


def picture(task: Task = TASK, latent: Latent | None = None) -> Floats:
    return MODEL.decode(MODEL.sample(task, latent or empty(), lambda step, preview: None))


def gradient(height: int = 128, width: int = 128) -> Floats:
    down, across = np.mgrid[0:height, 0:width].astype(np.float32) / max(height, width)
    return np.stack([down, across, (down * 4 + across) % 1], axis=-1)[None]


def likeness(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_a_picture_has_the_size_of_its_latent_and_the_documented_shape() -> None:
    latent = MODEL.sample(TASK, empty(2, 64, 96), lambda step, preview: None)
    assert latent["samples"].shape == (2, 4, 8, 12)
    assert latent["samples"].dtype == np.float32
    decoded = MODEL.decode(latent)
    assert decoded.shape == (2, 64, 96, 3)
    assert decoded.dtype == np.float32
    assert decoded.min() >= 0
    assert decoded.max() <= 1


def test_the_same_task_gives_the_same_bytes_in_another_process() -> None:
    code = (
        "import numpy as np; from hashlib import sha256; from comfyserve.embedded.simulate import *;"
        "from comfyserve.embedded.simulate.model import *;"
        "t = Task(Model.loaded('simulated-sd15.safetensors'),"
        f" [[Embedding({CAP!r}), {{}}]], [[Embedding(''), {{}}]], seed=7, steps=6, cfg=7.0); m = SimulatedSampler();"
        "l = m.sample(t, {'samples': np.zeros((1, 4, 16, 16), np.float32)}, lambda s, p: None);"
        "import sys; sys.stdout.write(sha256(m.decode(l).tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert other.stdout == sha256(picture().tobytes()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"positive": words("a red mug")},
        {"negative": words("blur")},
        {"steps": 7},
        {"cfg": 3.0},
        {"method": "euler/karras"},
        {"model": Model.loaded("other.safetensors")},
        {"model": CHECKPOINT.add("patch", "FreeU")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_part_of_the_task_changes_the_picture(change: dict[str, Any]) -> None:
    assert not np.array_equal(picture(), picture(replace(TASK, **change)))


def test_the_pictures_of_a_batch_differ() -> None:
    one, two = picture(latent=empty(2))
    assert not np.array_equal(one, two)


def test_previews_come_closer_at_every_step_and_end_at_the_picture() -> None:
    shown = []
    latent = MODEL.sample(TASK, empty(), lambda step, preview: shown.append(np.asarray(preview(64), np.float32)))
    final = MODEL.decode(latent)[0].reshape(64, 2, 64, 2, 3).mean(axis=(1, 3)) * 255
    distances = [float(np.abs(one - final).mean()) for one in shown]
    assert len(shown) == TASK.steps
    assert all(later < earlier for earlier, later in itertools.pairwise(distances))
    assert distances[0] > 10
    assert distances[-1] < 1


def test_the_less_denoise_the_more_the_result_resembles_its_input() -> None:
    start = gradient()
    latent = MODEL.encode(start)
    alike = [likeness(picture(replace(TASK, start=share), latent), start) for share in (0.0, 0.2, 0.5, 0.8, 1.0)]
    assert alike == sorted(alike, reverse=True)
    assert alike[1] > 0.8
    assert alike[4] < 0.5


def test_encoding_and_decoding_gives_the_picture_back() -> None:
    start = gradient()
    assert np.abs(MODEL.decode(MODEL.encode(start)) - start).max() <= 0.5 / 255 + 1e-6


def test_sizes_are_cut_to_cells_and_alpha_is_dropped() -> None:
    assert MODEL.decode(MODEL.encode(np.zeros((1, 70, 37, 4), np.float32))).shape == (1, 64, 32, 3)


def test_cells_that_a_node_changed_decide_the_picture() -> None:
    latent = MODEL.encode(gradient())
    flipped = {**latent, "samples": np.ascontiguousarray(latent["samples"][:, :, ::-1])}
    assert likeness(MODEL.decode(flipped), gradient()[:, ::-1]) > 0.85


def test_a_latent_without_our_pictures_is_decoded_from_its_cells() -> None:
    samples = MODEL.encode(gradient())["samples"]
    assert likeness(MODEL.decode({"samples": samples}), gradient()) > 0.85


def test_a_latent_of_sixteen_channels_is_decoded() -> None:
    assert MODEL.decode({"samples": np.zeros((1, 16, 4, 4), np.float32)}).shape == (1, 32, 32, 3)


def test_inpainting_changes_only_what_the_mask_allows() -> None:
    start = gradient()
    mask = np.zeros((1, 128, 128), np.float32)
    mask[:, :, 64:] = 1
    result = picture(latent={**MODEL.encode(start), "noise_mask": mask})
    assert np.abs(result[:, :, :60] - start[:, :, :60]).max() < 0.01
    assert np.abs(result[:, :, 68:] - start[:, :, 68:]).mean() > 0.1


def test_too_many_pixels_are_refused_with_a_hint() -> None:
    with pytest.raises(ValueError, match="Ask for less"):
        check_size(1, 16384, 16384)


@pytest.mark.parametrize(
    ("prompt", "subject", "colour"),
    [
        (CAP, "cap", "black"),
        ("white mug on a red background", "mug", "white"),
        ("a T-shirt, navy", "shirt", "navy"),
        ("mountains at sunset", "mountains", None),
        ("hope", "abstract", None),
        ("capable seasoned shape", "abstract", None),
        ("", "abstract", None),
    ],
)
def test_a_prompt_is_read(prompt: str, subject: str, colour: str | None) -> None:
    reading = read(prompt)
    assert (reading.subject, reading.colour) == (subject, COLOURS[colour] if colour else None)


def test_a_named_background_is_not_the_products_colour() -> None:
    assert read("white mug on a red background").backdrop == COLOURS["red"]


def test_a_picture_larger_than_what_is_drawn_has_its_full_size() -> None:
    assert picture(replace(TASK, steps=1), empty(1, 1600, 1600)).shape == (1, 1600, 1600, 3)


@pytest.mark.parametrize("subject", [row[0].split("|")[0].replace("?", "").replace("\\s", "") for row in SUBJECTS])
@pytest.mark.parametrize("size", [(64, 64), (40, 104), (104, 40), (16, 16)], ids=str)
def test_every_subject_is_drawn_at_every_shape(subject: str, size: tuple[int, int]) -> None:
    drawn = picture(replace(TASK, positive=words(f"a green {subject}"), steps=1), empty(1, *size))
    assert drawn.shape == (1, *size, 3)
    assert np.isfinite(drawn).all()
    assert drawn.std() > 0.02


def test_the_walls_of_a_city_at_night_are_not_black() -> None:
    near = render("a city at night", "3", 256, 256)[-40:].mean(axis=-1)
    assert np.percentile(near, 10) > 0.06


def test_the_lines_of_a_drawing_are_soft() -> None:
    hint = np.zeros((64, 64, 3), np.uint8)
    hint[:, 32] = 255
    plain = np.full((64, 64, 3), 128, np.uint8)
    row = following(plain, hint, 1.0, palette(plain))[10].astype(int).mean(axis=-1)
    assert 3 < np.ptp(row) < 70
    assert np.abs(np.diff(row)).max() < 40
