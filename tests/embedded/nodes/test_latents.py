from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from comfyserve.embedded.context import NodeContext
from comfyserve.embedded.nodes.latent_batches import batch, from_batch, rebatch, repeat, seed_behavior
from comfyserve.embedded.nodes.latent_files import latent_exists, load_latent, read_tensors, save_latent, write_tensors
from comfyserve.embedded.nodes.latent_operations import apply, sharpen, tonemap
from comfyserve.embedded.nodes.latents import (
    add,
    blend,
    composite,
    composite_masked,
    concat,
    crop,
    cut,
    flip,
    interpolate,
    multiply,
    rotate,
    subtract,
    upscale_latent,
    upscale_latent_by,
)
from comfyserve.embedded.simulate.latent import decode, encode

pytestmark = pytest.mark.usefixtures("context")

CELLS = np.arange(1 * 4 * 9 * 10, dtype=np.float32).reshape(1, 4, 9, 10)
CLIP = np.arange(16 * 3 * 8 * 9, dtype=np.float32).reshape(1, 16, 3, 8, 9)
PICTURES = np.random.default_rng(5).random((2, 72, 80, 3), np.float32)


def latent(samples: np.ndarray, **more: Any) -> dict[str, Any]:
    return {"samples": samples, **more}


def filled(value: float, height: int = 8, width: int = 8, count: int = 1) -> dict[str, Any]:
    return latent(np.full((count, 4, height, width), value, np.float32))


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [(128, 96, (12, 16)), (0, 96, (12, 13)), (160, 0, (18, 20)), (8, 0, (8, 8)), (0, 0, (9, 10)), (8, 8, (8, 8))],
)
def test_sizes_are_pixels_with_a_least_side(width: int, height: int, shape: tuple[int, int]) -> None:
    resized = upscale_latent(latent(CELLS), "bilinear", width, height, "disabled")
    assert resized["samples"].shape == (1, 4, *shape)


def test_every_frame_of_a_video_is_resized() -> None:
    resized = upscale_latent_by(latent(CLIP), "nearest-exact", 2.0)["samples"]
    assert resized.shape == (1, 16, 3, 16, 18)
    assert (resized[..., ::2, ::2] == CLIP).all()


def test_bislerp_keeps_the_length_between_equal_lengths() -> None:
    one, two = np.array([1.0, 0, 0, 0]), np.array([0, 1.0, 0, 0])
    row = np.stack([one, two], -1)[np.newaxis, :, np.newaxis].astype(np.float32)
    turned = upscale_latent_by(latent(np.repeat(row, 2, axis=2)), "bislerp", 2.0)["samples"]
    assert_allclose(np.linalg.norm(turned, axis=1), 1, atol=1e-6)
    # A quarter and three quarters of the way from the one direction to the other.
    assert_allclose(turned[0, :2, 0, 1], [np.cos(np.pi / 8), np.sin(np.pi / 8)], atol=1e-6)


def test_bislerp_mixes_opposite_directions_straight() -> None:
    row = np.array([1.0, -1.0], np.float32).reshape(1, 1, 1, 2).repeat(4, 1)
    turned = upscale_latent_by(latent(row), "bislerp", 2.0)["samples"]
    assert_allclose(turned[0, 0, 0], [1, 0.5, -0.5, -1])


def test_turning_and_flipping_carry_the_pictures_along() -> None:
    simulated = encode(PICTURES)
    for moved, expected in (
        (rotate(simulated, "90 degrees"), np.rot90(decode(simulated), 1, (2, 1))),
        (flip(simulated, "x-axis: vertically"), decode(simulated)[:, ::-1]),
        (flip(simulated, "y-axis: horizontally"), decode(simulated)[:, :, ::-1]),
        (crop(simulated, 64, 64, 8, 0), decode(simulated)[:, :64, 8:72]),
    ):
        assert (decode(moved) == expected).all()


def test_a_crop_stays_eight_cells_from_the_far_edge() -> None:
    assert crop(latent(CELLS), 64, 64, 999, 999)["samples"].shape == (1, 4, 8, 8)
    assert (crop(latent(CELLS), 64, 64, 999, 0)["samples"] == CELLS[:, :, :8, 2:]).all()


def test_a_composite_falls_off_only_inside() -> None:
    pasted = composite(filled(0, 16, 16), filled(1), 0, 32, 32)["samples"][0, 0]
    # 32 pixels are 4 cells; the left side lies on the edge, so it stays whole.
    assert_allclose(pasted[4:12, 0], [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25])
    assert_allclose(pasted[8, :9], [1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0])


def test_a_masked_composite_is_cut_at_the_edge() -> None:
    mask = np.zeros((1, 64, 64), np.float32)
    mask[..., 32:] = 1
    pasted = composite_masked(filled(0), filled(1), 16, 0, False, mask)["samples"][0, 0]
    assert (pasted[:, :6] == 0).all()
    assert (pasted[:, 6:] == 1).all()


def test_a_mask_reaches_every_frame() -> None:
    pasted = composite_masked(latent(CLIP * 0), latent(CLIP * 0 + 1), 0, 0, False, np.ones((1, 8, 8), np.float32))
    assert (pasted["samples"] == 1).all()


def test_arithmetic_fits_the_second_to_the_first() -> None:
    one, two = filled(3, 8, 8, 2), filled(1, 4, 16)
    assert (add(one, two)["samples"] == 4).all()
    assert (subtract(one, two)["samples"] == 2).all()
    assert_allclose(blend(one, two, 0.25)["samples"], 1.5)
    assert (multiply(one, -2.0)["samples"] == -6).all()


def test_interpolation_turns_directions_and_mixes_lengths() -> None:
    one, two = np.zeros((1, 4, 2, 2), np.float32), np.zeros((1, 4, 2, 2), np.float32)
    one[:, 0], two[:, 1] = 2, 4
    mixed = interpolate(latent(one), latent(two), 0.5)["samples"]
    assert_allclose(mixed[0, :2, 0, 0], [3 / np.sqrt(2)] * 2, atol=1e-6)
    assert (interpolate(latent(one * 0), latent(two * 0), 0.5)["samples"] == 0).all()
    with pytest.raises(ValueError, match="one latent at a time"):
        interpolate(filled(1, count=3), filled(1, count=3), 0.5)


@pytest.mark.parametrize(
    ("dim", "shape", "first"),
    [("x", (1, 4, 9, 20), 0), ("-x", (1, 4, 9, 20), 1), ("y", (1, 4, 18, 10), 0), ("t", (1, 8, 9, 10), 0)],
)
def test_latents_are_joined(dim: str, shape: tuple[int, ...], first: int) -> None:
    joined = concat(latent(CELLS * 0), latent(CELLS * 0 + 1), dim)["samples"]
    assert joined.shape == shape
    assert joined[0, 0, 0, 0] == first


def test_latents_that_do_not_fit_are_not_joined() -> None:
    with pytest.raises(ValueError, match=r"\[1, 4, 9, 10\]"):
        concat(latent(CELLS), latent(CLIP), "x")
    with pytest.raises(ValueError, match="cannot be joined"):
        concat(latent(CELLS), filled(1), "x")


@pytest.mark.parametrize(("index", "amount", "columns"), [(2, 3, [2, 3, 4]), (99, 5, [9]), (-2, 9, [8, 9])])
def test_a_cut_stays_inside(index: int, amount: int, columns: list[int]) -> None:
    assert (cut(latent(CELLS), "x", index, amount)["samples"] == CELLS[..., columns]).all()


def test_items_keep_their_masks_and_numbers() -> None:
    masks = np.arange(3, dtype=np.float32).reshape(3, 1, 1, 1) * np.ones((3, 1, 8, 8), np.float32)
    three = latent(np.arange(3, dtype=np.float32).reshape(3, 1, 1, 1) * np.ones((3, 4, 8, 8), np.float32))
    part = from_batch({**three, "noise_mask": masks, "batch_index": [7, 8, 9]}, 1, 5)
    assert part["samples"][:, 0, 0, 0].tolist() == [1, 2]
    assert part["noise_mask"][:, 0, 0, 0].tolist() == [1, 2]
    assert part["batch_index"] == [8, 9]
    repeated = repeat({**three, "noise_mask": masks, "batch_index": [5, 1, 2]}, 2)
    assert repeated["samples"].shape[0] == repeated["noise_mask"].shape[0] == 6
    assert repeated["batch_index"] == [5, 1, 2, 10, 6, 7]


def test_batches_are_joined_with_their_pictures() -> None:
    one, two = encode(PICTURES[:1]), encode(PICTURES[1:])
    both = batch(one, two)
    assert both["batch_index"] == [0, 0]
    assert (decode(both) == np.concatenate([decode(one), decode(two)])).all()
    assert (decode(from_batch(both, 1, 1)) == decode(two)).all()


def test_seed_behavior_sets_or_removes_the_numbers() -> None:
    assert seed_behavior(filled(0, count=3), "fixed")["batch_index"] == [0, 0, 0]
    assert "batch_index" not in seed_behavior({**filled(0), "batch_index": [4]}, "random")


def test_a_change_of_size_begins_a_new_batch() -> None:
    groups = rebatch([filled(0, count=3), filled(1, count=2), filled(2, 16, 16)], [2])
    assert [group["samples"].shape[0] for group in groups] == [2, 2, 1, 1]
    assert groups[2]["batch_index"] == [4]
    assert "noise_mask" not in groups[0]


def test_operations_keep_shape_and_draw_in_long_vectors() -> None:
    wild = latent(np.random.default_rng(2).standard_normal((2, 4, 12, 12)).astype(np.float32) * 5)
    calm = apply(wild, tonemap(0.5))["samples"]
    assert np.linalg.norm(calm, axis=1).max() < np.linalg.norm(wild["samples"], axis=1).max()
    assert_allclose(apply(wild, sharpen(3, 1.0, 0.0))["samples"], wild["samples"], atol=1e-5)
    with pytest.raises(ValueError, match="videos"):
        apply(latent(CLIP), sharpen(3, 1.0, 1.0))


def test_a_latent_without_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[1, 8, 100\]"):
        flip(latent(np.zeros((1, 8, 100), np.float32)), "x-axis: vertically")


def test_a_saved_latent_comes_back_with_its_pictures(context: NodeContext) -> None:
    simulated = encode(PICTURES)
    saved = save_latent(simulated, "latents/x", {"1": {}}, {"workflow": {"a": 1}})["latents"][0]
    assert saved == {"filename": "x_00001_.latent", "subfolder": "latents", "type": "output"}
    name = "latents/x_00001_.latent [output]"
    assert latent_exists(name) is True
    loaded = load_latent(name)
    assert (loaded["samples"] == simulated["samples"]).all()
    assert (decode(loaded) == decode(simulated)).all()
    text = (context.folders.output / "latents" / "x_00001_.latent").read_bytes()
    assert b'"workflow": "{\\"a\\": 1}"' in text


def test_a_latent_without_a_version_is_scaled(context: NodeContext) -> None:
    write_tensors(context.folders.input / "old.latent", {"latent_tensor": CELLS}, {})
    assert_allclose(load_latent("old.latent")["samples"], CELLS / 0.18215, rtol=1e-6)


@pytest.mark.parametrize(("kind", "data"), [("F16", "<f2"), ("F64", "<f8"), ("I32", "<i4")])
def test_other_number_types_are_read(kind: str, data: str, context: NodeContext) -> None:
    values = np.array([1, -2, 3], data)
    path = context.folders.input / "a.latent"
    header = f'{{"latent_tensor": {{"dtype": "{kind}", "shape": [3], "data_offsets": [0, {values.nbytes}]}}}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + values.tobytes())
    assert read_tensors(path, ("latent_tensor",))["latent_tensor"].tolist() == [1, -2, 3]
