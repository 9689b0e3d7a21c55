"""Sigmas, held against numbers that ComfyUI 0.3.64 gave (real_sigmas.json: family/scheduler/steps, and nodes)."""

import json
from pathlib import Path

import numpy as np
import pytest

from comfyserve.embedded.nodes.models import sigmas as nodes
from comfyserve.embedded.nodes.models.patches import flow_shift, flux_shift
from comfyserve.embedded.simulate import schedules
from comfyserve.embedded.simulate.families import family_of
from comfyserve.embedded.simulate.latent import Floats
from comfyserve.embedded.simulate.model import Model
from comfyserve.embedded.simulate.noise_scale import NoiseScale

REAL: dict[str, list[float]] = json.loads((Path(__file__).parent / "real_sigmas.json").read_text())
FILES = {
    "sd": "v1-5-pruned-emaonly.safetensors",
    "sd3": "sd3_medium.safetensors",
    "flux": "flux1-dev.safetensors",
    "wan": "wan2.1_t2v_14B_fp8_scaled.safetensors",
    "svd": "svd.safetensors",
}
TEN = np.linspace(10, 0, 11, dtype=np.float32)


@pytest.mark.parametrize("case", [case for case in REAL if "/" in case])
def test_a_schedule_has_the_real_numbers(case: str) -> None:
    family, scheduler, steps = case.split("/")
    made = schedules.schedule(scheduler, family_of(FILES[family]).noise, int(steps))
    assert made == pytest.approx(REAL[case], rel=2e-3, abs=1e-5)


@pytest.mark.parametrize(
    ("case", "made"),
    [
        ("lap", nodes.laplace(10, 14.614642, 0.0291675, 0.0, 0.5)),
        ("vp", nodes.variance_preserving(10, 19.9, 0.1, 0.001)),
        ("poly", nodes.polyexponential(10, 14.614642, 0.0291675, 1.5)),
        ("ays", nodes.aligned("SD1", 12, 1.0)),
        ("oss", nodes.aligned("Wan", 20, 1.0)),
        ("ossf", nodes.aligned("FLUX", 8, 0.5)),
        ("ltx", nodes.ltxv(20, 2.05, 0.95, True, 0.1)),
        ("ext", nodes.extend(TEN, 2, -1.0, 3.0, "cosine")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_scheduler_node_has_the_real_numbers(case: str, made: Floats) -> None:
    assert made == pytest.approx(REAL[case], rel=2e-3, abs=1e-5)


@pytest.mark.parametrize("noise", [NoiseScale(), NoiseScale("flow", 3.0), NoiseScale("log", low=0.002, high=700.0)])
def test_the_noise_of_many_times_is_that_of_each(noise: NoiseScale) -> None:
    times = np.linspace(0, 1, 7)
    assert noise.sigmas(times).tolist() == [noise.sigma(float(time)) for time in times]


@pytest.mark.parametrize("scheduler", schedules.SCHEDULES)
def test_the_longest_schedule_is_made_at_once(scheduler: str) -> None:
    sigmas = schedules.with_denoise(scheduler, NoiseScale(), 1000, 1000 / schedules.MOST_STEPS)
    assert 1 < len(sigmas) <= 1001 and (np.diff(sigmas) <= 0).all()


def test_denoise_takes_the_end_of_a_longer_schedule() -> None:
    noise = NoiseScale()
    assert len(schedules.with_denoise("karras", noise, 10, 0.5)) == 11
    assert schedules.with_denoise("karras", noise, 10, 0.5) == pytest.approx(
        schedules.schedule("karras", noise, 20)[10:]
    )
    assert len(schedules.with_denoise("karras", noise, 10, 0.0)) == 0


def test_a_schedule_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="ask for fewer"):
        schedules.with_denoise("normal", NoiseScale(), 10_000, 1e-9)


def test_sigmas_are_split_flipped_and_begun_anew() -> None:
    high, low = nodes.split(TEN, 4)
    assert (list(high), list(low)) == ([10, 9, 8, 7, 6], [6, 5, 4, 3, 2, 1, 0])
    high, low = nodes.split_by_share(TEN, 0.3)
    assert (high[-1], list(low)) == (3, [3, 2, 1, 0])
    assert list(nodes.flip(TEN)[:2]) == pytest.approx([0.0001, 1])
    assert nodes.set_first(TEN, 99.0)[0] == 99
    assert TEN[0] == 10


def test_time_is_the_inverse_of_sigma() -> None:
    for noise in (NoiseScale(), NoiseScale("flow", 3.0), NoiseScale("log", low=0.002, high=700.0)):
        times = np.linspace(0.05, 1, 7)
        assert [noise.time(noise.sigma(float(time))) for time in times] == pytest.approx(times, abs=2e-3)


def test_the_sampling_nodes_shift_the_noise_of_a_model() -> None:
    model = Model.loaded("flux1-dev.safetensors")
    assert flow_shift(model, 3.0).family.noise == NoiseScale("flow", 3.0)
    assert flux_shift(model, 1.15, 0.5, 1024, 1024).family.noise == family_of("flux1-dev.safetensors").noise
    assert flux_shift(model, 1.15, 0.5, 512, 512).family.noise.shift < family_of("flux1-dev.safetensors").noise.shift


def test_a_share_of_the_way_has_a_sigma() -> None:
    model = Model.loaded("sd3_medium.safetensors")
    assert nodes.at_percent(model, 0.0, False) == 1.0
    assert nodes.at_percent(model, 1.0, False) == 0.0
    assert nodes.at_percent(model, 0.5, False) == pytest.approx(0.75)
    assert nodes.at_percent(Model.loaded("v1-5.ckpt"), 0.0, True) == pytest.approx(14.6146, abs=1e-3)


@pytest.mark.parametrize(
    ("file", "family"),
    [
        ("sd_xl_base_1.0.safetensors", "sdxl"),
        ("sub/flux1-dev.safetensors", "flux"),
        ("ae.safetensors", "flux"),
        ("wan2.2_vae.safetensors", "wan22"),
        ("wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", "wan"),
        ("qwen_image_vae.safetensors", "qwen_image"),
        ("ltxv-13b-0.9.7-dev.safetensors", "ltxv"),
        ("hunyuan_video_vae_bf16.safetensors", "hunyuan_video"),
        ("cosmos_cv8x8x8_1.0.safetensors", "cosmos"),
        ("mine.safetensors", "sd"),
        ("swan.safetensors", "sd"),
    ],
)
def test_a_file_name_tells_its_family(file: str, family: str) -> None:
    assert family_of(file).name == family
