"""The model nodes by role, called directly."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from comfyserve.embedded.context import EngineSettings, Interrupted, NodeContext, activate
from comfyserve.embedded.nodes import NODE_CLASS_MAPPINGS
from comfyserve.embedded.nodes.models import family
from comfyserve.embedded.nodes.models.refused import REFUSED, NotSimulated
from comfyserve.embedded.nodes.models.signed import signatures
from comfyserve.embedded.nodes.models.vae import factor_of
from comfyserve.embedded.simulate.latent import Floats
from comfyserve.embedded.simulate.model import Latent, Model
from comfyserve.embedded.simulate.model_files import well_known
from comfyserve.embedded.simulate.sound import RATE
from tests.embedded.simulate.conftest import Heard

SD = "v1-5-pruned-emaonly.safetensors"
SAMPLER = {"steps": 4, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal"}


def run(class_type: str, **inputs: Any) -> Any:
    """What the node returns: one value, or a tuple of several."""
    found = NODE_CLASS_MAPPINGS[class_type].run(**inputs)
    return found[0] if len(found) == 1 else found


def words(text: str) -> Any:
    return run("CLIPTextEncode", text=text, clip=Model.loaded(SD))


def sampled(latent: Latent, positive: Any = None, model: str | Model = SD, **options: Any) -> Latent:
    links = {
        "model": Model.loaded(model) if isinstance(model, str) else model,
        "positive": words("a red mug") if positive is None else positive,
        "negative": words(""),
        "latent_image": latent,
    }
    made: Latent = run("KSampler", **{**SAMPLER, "seed": 5, "denoise": 1.0, **links, **options})
    return made


def decoded(latent: Latent) -> Floats:
    pictures: Floats = run("VAEDecode", samples=latent, vae=Model.loaded(SD))
    return pictures


def empty(side: int = 128, batch: int = 1) -> Latent:
    latent: Latent = run("EmptyLatentImage", width=side, height=side, batch_size=batch)
    return latent


def flat(red: float, green: float, blue: float, side: int = 128) -> Floats:
    return np.broadcast_to(np.asarray([red, green, blue], np.float32), (1, side, side, 3)).copy()


def distance(first: Floats, second: Floats) -> float:
    return float(np.abs(first - second).mean()) * 255


def test_every_signature_has_a_behaviour_and_none_is_published_twice() -> None:
    assert family.classes.keys() == signatures().keys()
    assert all(NODE_CLASS_MAPPINGS[name] is family.classes[name] for name in signatures())


@pytest.mark.parametrize("class_type", REFUSED)
def test_what_cannot_be_simulated_says_what_to_do(class_type: str) -> None:
    with pytest.raises(NotSimulated, match="real ComfyUI"):
        run(class_type)


def test_the_well_known_names_are_of_listed_folders_and_unique() -> None:
    listed = {kind["files"] for kind in _file_kinds()}
    assert listed - {"diffusers"} <= well_known().keys()
    assert all(len(set(names)) == len(names) for names in well_known().values())


def _file_kinds() -> list[dict[str, str]]:
    specs = (spec for entry in signatures().values() for group in entry["inputs"].values() for spec in group.values())
    return [spec[0] for spec in specs if isinstance(spec[0], dict) and "files" in spec[0]]


class TestLoaders:
    def test_loading_takes_its_time_and_can_be_interrupted(self, context: NodeContext) -> None:
        activate(replace(context, settings=EngineSettings(load_ms=3_600_000)))
        context.interrupt.set()
        with pytest.raises(Interrupted):
            run("CheckpointLoaderSimple", ckpt_name=SD)

    def test_several_text_encoders_are_one_model(self, context: NodeContext) -> None:
        clip = run("DualCLIPLoader", clip_name1="clip_l.safetensors", clip_name2="t5xxl_fp16.safetensors", type="flux")
        assert clip.name == "clip_l.safetensors + t5xxl_fp16.safetensors"

    def test_a_lora_of_no_strength_is_none(self, context: NodeContext) -> None:
        model = Model.loaded(SD)
        assert run("LoraLoaderModelOnly", model=model, lora_name="MoXinV1.safetensors", strength_model=0.0) is model

    @pytest.mark.parametrize("class_type", ["FreeU_V2", "PerturbedAttentionGuidance", "RescaleCFG", "ModelMergeSimple"])
    def test_a_patch_changes_the_picture_mildly(self, context: NodeContext, class_type: str) -> None:
        model = Model.loaded(SD)
        given = {"model1": model, "model2": Model.loaded("other.ckpt")} if "Merge" in class_type else {"model": model}
        patched = run(class_type, **given, scale=3.0)
        assert patched.identity != model.identity
        assert 0 < distance(decoded(sampled(empty(), model=patched)), decoded(sampled(empty()))) < 15

    def test_a_named_look_is_what_its_name_says(self, context: NodeContext) -> None:
        lora = {"lora_name": "noir_style.safetensors", "strength_model": 1.0}
        gray = run("LoraLoaderModelOnly", model=Model.loaded(SD), **lora)
        made = decoded(sampled(empty(), model=gray))
        assert np.ptp(made, axis=-1).max() < 0.02


class TestConditioning:
    def test_an_area_holds_its_own_words(self, context: NodeContext) -> None:
        area = {"width": 64, "height": 128, "x": 64, "y": 0, "strength": 1.0}
        night = run("ConditioningSetArea", conditioning=words("city at night"), **area)
        both = run("ConditioningCombine", conditioning_1=words("mountains"), conditioning_2=night)
        mixed, plain = decoded(sampled(empty(), both)), decoded(sampled(empty(), words("mountains")))
        assert distance(mixed[:, :, :64], plain[:, :, :64]) < 4
        assert mixed[:, :, 90:].mean() < 0.7 * plain[:, :, 90:].mean()

    def test_a_mask_holds_its_own_words(self, context: NodeContext) -> None:
        mask = np.zeros((1, 128, 128), np.float32)
        mask[:, :64] = 1
        inside = {"mask": mask, "strength": 1.0, "set_cond_area": "default"}
        night = run("ConditioningSetMask", conditioning=words("city at night"), **inside)
        both = run("ConditioningCombine", conditioning_1=words("mountains"), conditioning_2=night)
        mixed, plain = decoded(sampled(empty(), both)), decoded(sampled(empty(), words("mountains")))
        assert distance(mixed[:, 70:], plain[:, 70:]) < 4
        assert mixed[:, :40].mean() < 0.7 * plain[:, :40].mean()

    def test_words_hold_in_their_part_of_the_way(self, context: NodeContext) -> None:
        late = run("ConditioningSetTimestepRange", conditioning=words("sea"), start=0.5, end=1.0)
        early = run("ConditioningSetTimestepRange", conditioning=words("a red mug"), start=0.0, end=0.5)
        both = run("ConditioningCombine", conditioning_1=late, conditioning_2=early)
        given = run("VAEEncode", pixels=flat(0.5, 0.5, 0.5), vae=Model.loaded(SD))
        first = decoded(sampled(given, both, denoise=0.5))
        assert distance(first, decoded(sampled(given, words("sea"), denoise=0.5))) == 0

    def test_an_average_has_the_composition_of_one_and_the_colours_of_both(self, context: NodeContext) -> None:
        pair = {"conditioning_to": words("a red mug"), "conditioning_from": words("a blue mug")}
        red = decoded(sampled(empty(), run("ConditioningAverage", **pair, conditioning_to_strength=1.0)))
        mixed = decoded(sampled(empty(), run("ConditioningAverage", **pair, conditioning_to_strength=0.6)))
        assert distance(red, decoded(sampled(empty()))) == 0
        assert 0.5 < distance(red, mixed) < 40

    def test_no_words_are_left_of_a_zeroed_one(self, context: NodeContext) -> None:
        zero = run("ConditioningZeroOut", conditioning=words("a red mug"))
        assert distance(decoded(sampled(empty(), zero)), decoded(sampled(empty(), words("")))) == 0

    def test_a_hook_is_a_lora_for_its_words(self, context: NodeContext) -> None:
        hook = run("CreateHookLora", lora_name="noir.safetensors", strength_model=1.0, strength_clip=1.0)
        area = {"strength": 1.0, "set_cond_area": "default"}
        hooked = run("ConditioningSetProperties", cond_NEW=words("a red mug"), hooks=hook, **area)
        assert np.ptp(decoded(sampled(empty(), hooked)), axis=-1).max() < 0.02

    def test_a_hint_of_one_tone_changes_nothing(self, context: NodeContext) -> None:
        net = run("ControlNetLoader", control_net_name="control_v11p_sd15_canny.pth")
        hint = {"control_net": net, "image": flat(0.5, 0.5, 0.5), "strength": 1.0}
        controlled = run("ControlNetApply", conditioning=words("a red mug"), **hint)
        assert distance(decoded(sampled(empty(), controlled)), decoded(sampled(empty()))) == 0

    def test_a_control_acts_only_in_its_part_of_the_way(self, context: NodeContext) -> None:
        hint = flat(0.0, 0.0, 0.0)
        hint[:, 30:100, 30:100] = 0.6
        given = {"positive": words("a red mug"), "negative": words(""), "image": hint, "strength": 1.0}
        given["control_net"] = Model.loaded("depth")
        late, _ = run("ControlNetApplyAdvanced", **given, start_percent=0.0, end_percent=0.4)
        start = run("VAEEncode", pixels=flat(0.2, 0.4, 0.9), vae=Model.loaded(SD))
        assert distance(decoded(sampled(start, late, denoise=0.5)), decoded(sampled(start, denoise=0.5))) == 0


@pytest.mark.parametrize(
    ("class_type", "sizes", "shape"),
    [
        ("EmptyLatentImage", {"width": 512, "height": 768}, (1, 4, 96, 64)),
        ("EmptySD3LatentImage", {"width": 1024, "height": 512}, (1, 16, 64, 128)),
        ("EmptyChromaRadianceLatentImage", {"width": 64, "height": 32}, (1, 3, 32, 64)),
        ("EmptyHunyuanImageLatent", {"width": 2048, "height": 1024}, (1, 64, 32, 64)),
        ("EmptyHunyuanLatentVideo", {"width": 848, "height": 480, "length": 25}, (1, 16, 7, 60, 106)),
        ("EmptyLTXVLatentVideo", {"width": 768, "height": 512, "length": 97}, (1, 128, 13, 16, 24)),
        ("EmptyMochiLatentVideo", {"width": 848, "height": 480, "length": 25}, (1, 12, 5, 60, 106)),
        ("EmptyCosmosLatentVideo", {"width": 1280, "height": 704, "length": 121}, (1, 16, 16, 88, 160)),
        ("EmptyLatentAudio", {"seconds": 47.6}, (1, 64, 1024)),
        ("EmptyAceStepLatentAudio", {"seconds": 120.0}, (1, 8, 16, 1291)),
    ],
)
def test_an_empty_latent_has_its_familys_shape(class_type: str, sizes: dict[str, Any], shape: tuple[int, ...]) -> None:
    latent = run(class_type, batch_size=1, **sizes)
    assert latent["samples"].shape == shape
    assert not latent["samples"].any()


class TestSampling:
    def test_every_step_reports_progress_with_a_preview(self, context: NodeContext, heard: Heard) -> None:
        sampled(empty())
        assert heard.steps == [(step, 4, True) for step in (1, 2, 3, 4)]

    def test_an_interrupt_ends_the_drawing_of_a_clip(self, context: NodeContext, heard: Heard) -> None:
        clip = run("EmptyHunyuanLatentVideo", width=64, height=64, length=49, batch_size=1)
        context.interrupt.set()
        with pytest.raises(Interrupted):
            sampled(clip)
        assert heard.steps == []

    def test_a_batch_index_picks_the_picture_of_a_batch(self, context: NodeContext) -> None:
        batch = decoded(sampled(empty(batch=3)))
        assert distance(decoded(sampled({**empty(), "batch_index": [2]})), batch[2:]) == 0

    def test_two_halves_of_the_sigmas_are_one_way(self, context: NodeContext) -> None:
        model = Model.loaded("flux1-dev.safetensors")
        guider = run("CFGGuider", model=model, positive=words("a red mug"), negative=words(""), cfg=1.0)
        method = run("KSamplerSelect", sampler_name="euler")
        sigmas = run("BasicScheduler", model=model, scheduler="simple", steps=8, denoise=1.0)
        high, low = run("SplitSigmas", sigmas=sigmas, step=4)
        common = {"guider": guider, "sampler": method}
        noise = run("RandomNoise", noise_seed=5)
        whole, _ = run("SamplerCustomAdvanced", noise=noise, sigmas=sigmas, latent_image=empty(), **common)
        half, clean = run("SamplerCustomAdvanced", noise=noise, sigmas=high, latent_image=empty(), **common)
        nothing = run("DisableNoise")
        rest, _ = run("SamplerCustomAdvanced", noise=nothing, sigmas=low, latent_image=half, **common)
        assert distance(decoded(half), decoded(whole)) > 15
        assert distance(decoded(clean), decoded(whole)) < 6
        assert distance(decoded(rest), decoded(whole)) < 6

    def test_no_sigmas_are_no_steps(self, context: NodeContext, heard: Heard) -> None:
        guider = run("BasicGuider", model=Model.loaded(SD), conditioning=words("a red mug"))
        none = np.zeros(0, np.float32)
        given = {"noise": run("RandomNoise", noise_seed=5), "guider": guider, "sampler": None, "sigmas": none}
        latent = empty()
        assert run("SamplerCustomAdvanced", latent_image=latent, **given) == (latent, latent)
        assert heard.steps == []

    def test_options_of_a_sampler_are_part_of_what_decides(self, context: NodeContext) -> None:
        one, two = (str(run("SamplerEulerAncestral", eta=eta, s_noise=1.0)) for eta in (1.0, 0.5))
        assert one != two


class TestVae:
    def test_a_video_vae_makes_one_clip_of_a_batch(self, context: NodeContext) -> None:
        frames = np.linspace(0, 1, 7, dtype=np.float32)[:, None, None, None] * np.ones((1, 64, 64, 3), np.float32)
        latent = run("VAEEncode", pixels=frames, vae=Model.loaded("wan_2.1_vae.safetensors"))
        assert latent["samples"].shape == (1, 16, 2, 8, 8)
        assert decoded(latent) == pytest.approx(frames[:5], abs=0.003)

    def test_pixel_space_has_a_place_per_pixel(self, context: NodeContext) -> None:
        latent = run("VAEEncode", pixels=flat(0.2, 0.4, 0.6, 16), vae=run("VAELoader", vae_name="pixel_space"))
        assert latent["samples"].shape == (1, 3, 16, 16)

    def test_a_part_of_a_clip_decodes_to_its_frames(self, context: NodeContext) -> None:
        clip = run("EmptyHunyuanLatentVideo", width=64, height=64, length=13, batch_size=1)
        made = sampled(clip, words("sea"))
        frames = decoded(made)
        tail = decoded(run("TrimVideoLatent", samples=made, trim_amount=2))
        assert (len(frames), len(tail)) == (13, 5)
        assert distance(tail[1:], frames[9:]) == 0

    def test_a_latent_upscale_keeps_the_detail(self, context: NodeContext) -> None:
        made = sampled(empty())
        size = {"upscale_method": "bilinear", "width": 256, "height": 256, "crop": "disabled"}
        large = decoded(run("LatentUpscale", samples=made, **size))
        plain = decoded({"samples": run("LatentUpscale", samples=made, **size)["samples"]})
        off, plainly_off = (
            distance(one.reshape(1, 128, 2, 128, 2, 3).mean(axis=(2, 4)), decoded(made)) for one in (large, plain)
        )
        assert off < 0.6 * plainly_off

    def test_a_hole_is_filled_with_the_subject_and_the_rest_stays(self, context: NodeContext) -> None:
        mask = np.zeros((1, 128, 128), np.float32)
        mask[:, 40:104, 40:104] = 1
        given = {"pixels": flat(0.1, 0.2, 0.9), "mask": mask, "vae": Model.loaded(SD)}
        hollow = run("VAEEncodeForInpaint", grow_mask_by=0, **given)
        made = decoded(sampled(hollow))[0]
        red = (made[..., 0] > 0.5) & (made[..., 2] < 0.4)
        assert red[44:100, 44:100].mean() > 0.15
        assert made[:36] == pytest.approx(flat(0.1, 0.2, 0.9)[0, :36], abs=0.01)

    def test_without_a_noise_mask_the_conditioning_keeps_the_rest(self, context: NodeContext) -> None:
        mask = np.zeros((1, 128, 128), np.float32)
        mask[:, 40:104, 40:104] = 1
        given = {"pixels": flat(0.1, 0.2, 0.9), "mask": mask, "vae": Model.loaded(SD)}
        both = {"positive": words("a red mug"), "negative": words("")}
        positive, _, latent = run("InpaintModelConditioning", noise_mask=False, **both, **given)
        assert "noise_mask" not in latent
        assert decoded(sampled(latent, positive))[0, :36] == pytest.approx(flat(0.1, 0.2, 0.9)[0, :36], abs=0.01)

    @pytest.mark.parametrize(
        ("name", "factor"),
        [
            ("4x-UltraSharp.pth", 4),
            ("RealESRGAN_x4plus.pth", 4),
            ("RealESRGAN_x2plus.pth", 2),
            ("OmniSR_X2_DIV2K.safetensors", 2),
            ("1xSkinContrast.pth", 1),
            ("8x_NMKD-Superscale_150000_G.pth", 8),
            ("unknown.pth", 4),
            ("4xFFHQDAT.pth", 4),
        ],
    )
    def test_the_name_of_an_upscale_model_says_its_factor(self, name: str, factor: int) -> None:
        assert factor_of(name) == factor


class TestClips:
    def test_first_and_last_frame_stand_where_they_are_given(self, context: NodeContext) -> None:
        sizes = {"width": 64, "height": 64, "length": 9, "batch_size": 1}
        ends = {"start_image": flat(1.0, 0.0, 0.0, 64), "end_image": flat(0.0, 0.0, 1.0, 64)}
        both = {"positive": words("sea"), "negative": words(""), "vae": Model.loaded("wan_2.1_vae.safetensors")}
        positive, _, latent = run("WanFirstLastFrameToVideo", **both, **sizes, **ends)
        frames = decoded(sampled(latent, positive, "wan2.1_flf2v_720p_14B_fp16.safetensors"))
        reds = frames[..., 0].mean(axis=(1, 2))
        assert (reds[0], reds[-1]) == (1.0, 0.0)
        assert list(reds) == sorted(reds, reverse=True)

    def test_a_guide_stands_at_its_frame(self, context: NodeContext) -> None:
        latent = run("EmptyLTXVLatentVideo", width=64, height=64, length=17, batch_size=1)
        given = {"positive": words("sea"), "negative": words(""), "vae": Model.loaded("ltx"), "latent": latent}
        guide = {"image": flat(1.0, 0.0, 0.0, 64), "frame_idx": -1, "strength": 1.0}
        positive, negative, guided = run("LTXVAddGuide", **given, **guide)
        made = sampled(guided, positive, "ltx-video-2b-v0.9.safetensors")
        _, _, cropped = run("LTXVCropGuides", positive=positive, negative=negative, latent=made)
        assert decoded(cropped)[-1] == pytest.approx(flat(1.0, 0.0, 0.0, 64)[0])

    def test_a_reference_of_vace_adds_a_place_that_is_cut_off(self, context: NodeContext) -> None:
        sizes = {"width": 64, "height": 64, "length": 9, "batch_size": 1, "strength": 1.0}
        both = {"positive": words("sea"), "negative": words(""), "vae": Model.loaded("wan_2.1_vae.safetensors")}
        positive, _, latent, trim = run("WanVaceToVideo", **both, **sizes, reference_image=flat(1.0, 0.5, 0.2, 64))
        assert (latent["samples"].shape, trim) == ((1, 16, 4, 8, 8), 1)
        made = sampled(latent, positive, "wan2.1_vace_14B_fp16.safetensors")
        assert len(decoded(run("TrimVideoLatent", samples=made, trim_amount=trim))) == 9

    def test_a_batch_is_a_clip_with_a_motion_model_and_pictures_without(self, context: NodeContext) -> None:
        motion = run("ADE_AnimateDiffLoRALoader", name="v2_lora_PanLeft.ckpt", strength=1.0)
        motion_model = run("ADE_LoadAnimateDiffModel", model_name="mm_sd_v15_v2.ckpt")
        applied = run("ADE_ApplyAnimateDiffModelSimple", motion_model=motion_model, motion_lora=motion)
        moving = run("ADE_UseEvolvedSampling", model=Model.loaded(SD), beta_schedule="autoselect", m_models=applied)
        clip = decoded(sampled(empty(batch=16), model=moving))
        batch = decoded(sampled(empty(batch=2)))
        assert distance(clip[0], clip[1]) < 0.5 * distance(batch[0], batch[1])
        # The camera goes left, so what is in the picture goes right.
        assert distance(clip[15, :, 8:], clip[0, :, :-8]) < distance(clip[15, :, :-8], clip[0, :, 8:])
        still = run("ADE_AnimateDiffUnload", model=moving)
        assert distance(decoded(sampled(empty(batch=2), model=still)), batch) == 0

    def test_stage_b_draws_what_stage_c_made(self, context: NodeContext) -> None:
        stage_c, stage_b = run("StableCascade_EmptyLatentImage", width=336, height=336, compression=42, batch_size=1)
        assert (stage_c["samples"].shape, stage_b["samples"].shape) == ((1, 16, 8, 8), (1, 4, 84, 84))
        first = sampled(stage_c, model="stable_cascade_stage_c.safetensors")
        positive = run("StableCascade_StageB_Conditioning", conditioning=words("a red mug"), stage_c=first)
        second = sampled(stage_b, positive, "stable_cascade_stage_b.safetensors")
        assert distance(decoded(second), decoded(first)) < 1


class TestSound:
    def test_a_song_has_its_length_and_is_decided_by_words_and_seed(self, context: NodeContext) -> None:
        latent = run("EmptyLatentAudio", seconds=2.0, batch_size=1)
        vae = Model.loaded("stable_audio_open_1.0.safetensors")

        def sung(text: str, seed: int) -> Floats:
            made = sampled(latent, words(text), "stable_audio_open_1.0.safetensors", seed=seed)
            audio = run("VAEDecodeAudio", samples=made, vae=vae)
            assert audio["sample_rate"] == RATE
            wave: Floats = audio["waveform"]
            return wave

        wave = sung("piano", 1)
        assert wave.shape == (1, 2, latent["samples"].shape[-1] * 2048)
        assert 0.01 < np.abs(wave).mean() < np.abs(wave).max() <= 1
        assert np.array_equal(wave, sung("piano", 1))
        assert not np.array_equal(wave, sung("drums", 1))
        assert not np.array_equal(wave, sung("piano", 2))

    def test_encoded_sound_comes_back(self, context: NodeContext) -> None:
        wave = np.sin(np.linspace(0, 400, 22050, dtype=np.float32))[None, None]
        vae = Model.loaded("stable_audio_open_1.0.safetensors")
        latent = run("VAEEncodeAudio", audio={"waveform": wave, "sample_rate": 22050}, vae=vae)
        back = run("VAEDecodeAudio", samples=latent, vae=vae)["waveform"]
        assert back.shape == (1, 2, 44100)
        assert back[0, 0, ::2] == pytest.approx(wave[0, 0], abs=0.02)

    def test_endless_sound_is_refused(self, context: NodeContext) -> None:
        with pytest.raises(ValueError, match="more sound"):
            run("EmptyLatentAudio", seconds=1000.0, batch_size=4096)

    def test_a_picture_is_no_sound(self, context: NodeContext) -> None:
        with pytest.raises(ValueError, match="audio models decode"):
            run("VAEDecodeAudio", samples=empty(), vae=Model.loaded(SD))
