"""The usual graphs of each model family, small, as people build them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfyserve.embedded.graph.graph_view import Graph

Link = list[Any]
STEPS = {"steps": 2, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal"}


class Draft:
    """A graph that grows: `add` puts a node in and returns its outputs as links."""

    def __init__(self) -> None:
        self.graph: Graph = {}

    def add(self, class_type: str, outputs: int = 1, /, **inputs: Any) -> Any:
        number = str(len(self.graph) + 1)
        self.graph[number] = {"class_type": class_type, "inputs": inputs}
        links: list[Link] = [[number, slot] for slot in range(outputs)]
        return links[0] if outputs == 1 else links

    def save(self, images: Link) -> Graph:
        self.add("SaveImage", images=images, filename_prefix="t")
        return self.graph


def checkpoint(
    draft: Draft, name: str = "v1-5-pruned-emaonly.safetensors", text: str = "a red mug"
) -> tuple[Link, ...]:
    """model, positive, negative, vae, clip."""
    model, clip, vae = draft.add("CheckpointLoaderSimple", 3, ckpt_name=name)
    return model, draft.add("CLIPTextEncode", text=text, clip=clip), encode(draft, clip, "blurry"), vae, clip


def encode(draft: Draft, clip: Link, text: str) -> Link:
    link: Link = draft.add("CLIPTextEncode", text=text, clip=clip)
    return link


def sampled(draft: Draft, model: Link, positive: Link, negative: Link, latent: Link, denoise: float = 1.0) -> Link:
    links = {"model": model, "positive": positive, "negative": negative, "latent_image": latent}
    link: Link = draft.add("KSampler", seed=5, denoise=denoise, **links, **STEPS)
    return link


def decoded(draft: Draft, samples: Link, vae: Link) -> Graph:
    return draft.save(draft.add("VAEDecode", samples=samples, vae=vae))


def empty(draft: Draft, class_type: str = "EmptyLatentImage", **sizes: int) -> Link:
    link: Link = draft.add(class_type, **{"width": 128, "height": 128, "batch_size": 1, **sizes})
    return link


def picture(draft: Draft) -> Link:
    """A picture that no model made: a red square on gray, 128x128."""
    gray = draft.add("EmptyImage", width=128, height=128, batch_size=1, color=0x808080)
    red = draft.add("EmptyImage", width=64, height=64, batch_size=1, color=0xE02020)
    mask = draft.add("SolidMask", value=1.0, width=64, height=64)
    link: Link = draft.add(
        "ImageCompositeMasked", destination=gray, source=red, x=32, y=32, resize_source=False, mask=mask
    )
    return link


def sd15() -> Graph:
    draft = Draft()
    model, positive, negative, vae, _ = checkpoint(draft)
    return decoded(draft, sampled(draft, model, positive, negative, empty(draft)), vae)


def sdxl_refiner() -> Graph:
    draft = Draft()
    model, positive, negative, _, _ = checkpoint(draft, "sd_xl_base_1.0.safetensors")
    refiner, fine, coarse, vae, _ = checkpoint(draft, "sd_xl_refiner_1.0.safetensors")
    common = {**STEPS, "steps": 5, "end_at_step": 10000}
    base = draft.add(
        "KSamplerAdvanced",
        **{**common, "model": model, "positive": positive, "negative": negative, "latent_image": empty(draft)},
        add_noise="enable",
        noise_seed=5,
        start_at_step=0,
        return_with_leftover_noise="enable",
    )
    draft.graph[base[0]]["inputs"]["end_at_step"] = 4
    refined = draft.add(
        "KSamplerAdvanced",
        **{**common, "model": refiner, "positive": fine, "negative": coarse, "latent_image": base},
        add_noise="disable",
        noise_seed=0,
        start_at_step=4,
        return_with_leftover_noise="disable",
    )
    return decoded(draft, refined, vae)


def flux(kontext: bool = False) -> Graph:
    draft = Draft()
    name = "flux1-dev-kontext_fp8_scaled.safetensors" if kontext else "flux1-dev.safetensors"
    model = draft.add("UNETLoader", unet_name=name, weight_dtype="default")
    clips = {"clip_name1": "clip_l.safetensors", "clip_name2": "t5xxl_fp16.safetensors"}
    clip = draft.add("DualCLIPLoader", type="flux", **clips)
    vae = draft.add("VAELoader", vae_name="ae.safetensors")
    positive = encode(draft, clip, "a green hoodie")
    latent = empty(draft, "EmptySD3LatentImage")
    if kontext:
        latent = draft.add("VAEEncode", pixels=draft.add("FluxKontextImageScale", image=picture(draft)), vae=vae)
        positive = draft.add("ReferenceLatent", conditioning=positive, latent=latent)
    guided = draft.add("FluxGuidance", conditioning=positive, guidance=3.5)
    shifted = draft.add("ModelSamplingFlux", model=model, max_shift=1.15, base_shift=0.5, width=1024, height=1024)
    out, _ = draft.add(
        "SamplerCustomAdvanced",
        2,
        noise=draft.add("RandomNoise", noise_seed=5),
        guider=draft.add("BasicGuider", model=shifted, conditioning=guided),
        sampler=draft.add("KSamplerSelect", sampler_name="euler"),
        sigmas=draft.add("BasicScheduler", model=shifted, scheduler="simple", steps=2, denoise=1.0),
        latent_image=latent,
    )
    return decoded(draft, out, vae)


def sd35() -> Graph:
    draft = Draft()
    model, _, _, vae, _ = checkpoint(draft, "sd3.5_large.safetensors")
    names = ("clip_l", "clip_g", "t5xxl_fp16")
    clip = draft.add("TripleCLIPLoader", **{f"clip_name{i}": f"{name}.safetensors" for i, name in enumerate(names, 1)})
    positive, negative = encode(draft, clip, "a teal bottle"), encode(draft, clip, "")
    zero = draft.add("ConditioningZeroOut", conditioning=negative)
    late = draft.add("ConditioningSetTimestepRange", conditioning=zero, start=0.1, end=1.0)
    early = draft.add("ConditioningSetTimestepRange", conditioning=negative, start=0.0, end=0.1)
    both = draft.add("ConditioningCombine", conditioning_1=late, conditioning_2=early)
    shifted = draft.add("ModelSamplingSD3", model=model, shift=3.0)
    return decoded(draft, sampled(draft, shifted, positive, both, empty(draft, "EmptySD3LatentImage")), vae)


def img2img() -> Graph:
    draft = Draft()
    model, positive, negative, vae, _ = checkpoint(draft)
    start = draft.add("VAEEncode", pixels=picture(draft), vae=vae)
    return decoded(draft, sampled(draft, model, positive, negative, start, 0.5), vae)


def inpaint() -> Graph:
    draft = Draft()
    model, positive, negative, vae, _ = checkpoint(draft, "512-inpainting-ema.safetensors")
    mask = draft.add("SolidMask", value=1.0, width=128, height=128)
    pixels = {"pixels": picture(draft), "mask": mask, "vae": vae}
    start = draft.add("VAEEncodeForInpaint", grow_mask_by=6, **pixels)
    return decoded(draft, sampled(draft, model, positive, negative, start), vae)


def controlnet() -> Graph:
    draft = Draft()
    model, positive, negative, vae, _ = checkpoint(draft)
    net = draft.add("ControlNetLoader", control_net_name="control_v11p_sd15_canny_fp16.safetensors")
    hint = draft.add("Canny", image=picture(draft), low_threshold=0.1, high_threshold=0.3)
    span = {"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
    given = {"positive": positive, "negative": negative, "control_net": net, "image": hint}
    positive, negative = draft.add("ControlNetApplyAdvanced", 2, **given, **span)
    return decoded(draft, sampled(draft, model, positive, negative, empty(draft)), vae)


def lora() -> Graph:
    draft = Draft()
    model, _, _, vae, clip = checkpoint(draft)
    strengths = {"strength_model": 0.8, "strength_clip": 0.8}
    model, clip = draft.add(
        "LoraLoader", 2, model=model, clip=clip, lora_name="blindbox_v1_mix.safetensors", **strengths
    )
    positive, negative = encode(draft, clip, "a red mug"), encode(draft, clip, "")
    return decoded(draft, sampled(draft, model, positive, negative, empty(draft)), vae)


def upscale() -> Graph:
    draft = Draft()
    model, positive, negative, vae, _ = checkpoint(draft)
    small = draft.add("VAEDecode", samples=sampled(draft, model, positive, negative, empty(draft)), vae=vae)
    upscaler = draft.add("UpscaleModelLoader", model_name="4x-UltraSharp.pth")
    return draft.save(draft.add("ImageUpscaleWithModel", upscale_model=upscaler, image=small))


def unclip() -> Graph:
    draft = Draft()
    model, clip, vae, vision = draft.add("unCLIPCheckpointLoader", 4, ckpt_name="sd21-unclip-h.ckpt")
    seen = draft.add("CLIPVisionEncode", clip_vision=vision, image=picture(draft), crop="center")
    strengths = {"strength": 1.0, "noise_augmentation": 0.0}
    words = encode(draft, clip, "a red mug")
    positive = draft.add("unCLIPConditioning", conditioning=words, clip_vision_output=seen, **strengths)
    return decoded(draft, sampled(draft, model, positive, encode(draft, clip, ""), empty(draft)), vae)


def gligen() -> Graph:
    draft = Draft()
    model, positive, negative, vae, clip = checkpoint(draft, text="a forest")
    box = {"text": "a yellow mug", "width": 64, "height": 64, "x": 32, "y": 32}
    boxes = draft.add("GLIGENLoader", gligen_name="gligen_sd14_textbox_pruned.safetensors")
    placed = draft.add("GLIGENTextBoxApply", conditioning_to=positive, clip=clip, gligen_textbox_model=boxes, **box)
    return decoded(draft, sampled(draft, model, placed, negative, empty(draft)), vae)


def hypernetwork() -> Graph:
    draft = Draft()
    model, positive, negative, vae, _ = checkpoint(draft)
    name = "simulated-hypernetwork.pt"
    model = draft.add("HypernetworkLoader", model=model, hypernetwork_name=name, strength=1.0)
    return decoded(draft, sampled(draft, model, positive, negative, empty(draft)), vae)


def photomaker() -> Graph:
    draft = Draft()
    model, _, negative, vae, clip = checkpoint(draft, "sd_xl_base_1.0.safetensors")
    maker = draft.add("PhotoMakerLoader", photomaker_model_name="photomaker-v1.bin")
    text = "a poster of a person photomaker"
    positive = draft.add("PhotoMakerEncode", photomaker=maker, image=picture(draft), clip=clip, text=text)
    return decoded(draft, sampled(draft, model, positive, negative, empty(draft)), vae)


def redux() -> Graph:
    draft = Draft()
    model, positive, negative, vae, _ = checkpoint(draft, "flux1-dev-fp8.safetensors")
    vision = draft.add("CLIPVisionLoader", clip_name="sigclip_vision_patch14_384.safetensors")
    seen = draft.add("CLIPVisionEncode", clip_vision=vision, image=picture(draft), crop="center")
    style = draft.add("StyleModelLoader", style_model_name="flux1-redux-dev.safetensors")
    given = {"conditioning": positive, "style_model": style, "clip_vision_output": seen}
    styled = draft.add("StyleModelApply", strength=1.0, strength_type="multiply", **given)
    return decoded(draft, sampled(draft, model, styled, negative, empty(draft, "EmptySD3LatentImage")), vae)


def hires_fix() -> Graph:
    draft = Draft()
    model, positive, negative, vae, _ = checkpoint(draft)
    first = sampled(draft, model, positive, negative, empty(draft))
    size = {"width": 256, "height": 256, "crop": "disabled"}
    large = draft.add("LatentUpscale", samples=first, upscale_method="nearest-exact", **size)
    return decoded(draft, sampled(draft, model, positive, negative, large, 0.5), vae)


def video(unet: str, clip: tuple[str, str], vae: str, latent: str, length: int, side: int = 128) -> Graph:
    draft = Draft()
    model, positive, negative, decoder = video_parts(draft, unet, clip, vae)
    start = empty(draft, latent, width=side, height=side, length=length)
    return decoded(draft, sampled(draft, model, positive, negative, start), decoder)


def video_parts(draft: Draft, unet: str, clip: tuple[str, str], vae: str) -> tuple[Link, Link, Link, Link]:
    model = draft.add("UNETLoader", unet_name=unet, weight_dtype="default")
    encoder = draft.add("CLIPLoader", clip_name=clip[0], type=clip[1])
    return model, encode(draft, encoder, "sea"), encode(draft, encoder, ""), draft.add("VAELoader", vae_name=vae)


UMT5 = ("umt5_xxl_fp8_e4m3fn_scaled.safetensors", "wan")
T5 = "t5xxl_fp16.safetensors"


def wan_image_to_video() -> Graph:
    draft = Draft()
    name = "wan2.1_i2v_480p_14B_fp16.safetensors"
    model, positive, negative, vae = video_parts(draft, name, UMT5, "wan_2.1_vae.safetensors")
    sizes = {"width": 128, "height": 128, "length": 9, "batch_size": 1}
    given = {"positive": positive, "negative": negative, "vae": vae, "start_image": picture(draft)}
    positive, negative, latent = draft.add("WanImageToVideo", 3, **given, **sizes)
    return decoded(draft, sampled(draft, model, positive, negative, latent), vae)


def ltxv_image_to_video() -> Graph:
    draft = Draft()
    name = "ltx-video-2b-v0.9.5.safetensors"
    model, _, vae = draft.add("CheckpointLoaderSimple", 3, ckpt_name=name)
    clip = draft.add("CLIPLoader", clip_name=T5, type="ltxv")
    sizes = {"width": 128, "height": 128, "length": 17, "batch_size": 1, "strength": 1.0}
    given = {"positive": encode(draft, clip, "sea"), "negative": encode(draft, clip, ""), "vae": vae}
    positive, negative, latent = draft.add("LTXVImgToVideo", 3, image=picture(draft), **given, **sizes)
    positive, negative = draft.add("LTXVConditioning", 2, positive=positive, negative=negative, frame_rate=25.0)
    shifts = {"max_shift": 2.05, "base_shift": 0.95, "stretch": True, "terminal": 0.1}
    out, _ = draft.add(
        "SamplerCustom",
        2,
        model=model,
        add_noise=True,
        noise_seed=5,
        cfg=3.0,
        positive=positive,
        negative=negative,
        sampler=draft.add("KSamplerSelect", sampler_name="euler"),
        sigmas=draft.add("LTXVScheduler", steps=2, latent=latent, **shifts),
        latent_image=latent,
    )
    return decoded(draft, out, vae)


def svd() -> Graph:
    draft = Draft()
    model, vision, vae = draft.add("ImageOnlyCheckpointLoader", 3, ckpt_name="svd.safetensors")
    sizes = {"width": 128, "height": 128, "video_frames": 5, "motion_bucket_id": 127, "fps": 6}
    given = {"clip_vision": vision, "init_image": picture(draft), "vae": vae, "augmentation_level": 0.0}
    positive, negative, latent = draft.add("SVD_img2vid_Conditioning", 3, **given, **sizes)
    guided = draft.add("VideoLinearCFGGuidance", model=model, min_cfg=1.0)
    return decoded(draft, sampled(draft, guided, positive, negative, latent), vae)


def animatediff() -> Graph:
    draft = Draft()
    model, positive, negative, vae, _ = checkpoint(draft, text="a forest")
    motion = draft.add("ADE_LoadAnimateDiffModel", model_name="mm_sd_v15_v2.ckpt")
    applied = draft.add("ADE_ApplyAnimateDiffModelSimple", motion_model=motion)
    context = draft.add("ADE_StandardStaticContextOptions", context_length=16, context_overlap=4)
    moving = draft.add(
        "ADE_UseEvolvedSampling", model=model, beta_schedule="autoselect", m_models=applied, context_options=context
    )
    return decoded(draft, sampled(draft, moving, positive, negative, empty(draft, batch_size=5)), vae)


def cogvideo() -> Graph:
    draft = Draft()
    model, vae = draft.add("DownloadAndLoadCogVideoModel", 2, model="THUDM/CogVideoX-5b")
    clip = draft.add("CLIPLoader", clip_name=T5, type="sd3")
    positive, clip = draft.add("CogVideoTextEncode", 2, clip=clip, prompt="sea")
    negative, _ = draft.add("CogVideoTextEncode", 2, clip=clip, prompt="")
    sampler = {"num_frames": 9, "steps": 2, "cfg": 6.0, "seed": 5, "scheduler": "CogVideoXDDIM"}
    links = {"model": model, "positive": positive, "negative": negative, "samples": empty(draft)}
    out = draft.add("CogVideoSampler", **links, **sampler)
    tiling = {"enable_vae_tiling": False, "tile_sample_min_height": 240, "tile_sample_min_width": 360}
    overlaps = {"tile_overlap_factor_height": 0.2, "tile_overlap_factor_width": 0.2, "auto_tile_size": True}
    return draft.save(draft.add("CogVideoDecode", vae=vae, samples=out, **tiling, **overlaps))


PICTURES: dict[str, tuple[Callable[[], Graph], int]] = {
    "sd15": (sd15, 128),
    "sdxl with refiner": (sdxl_refiner, 128),
    "flux": (flux, 128),
    "flux kontext": (lambda: flux(kontext=True), 1024),
    "sd3.5": (sd35, 128),
    "img2img": (img2img, 128),
    "inpaint": (inpaint, 128),
    "controlnet": (controlnet, 128),
    "lora": (lora, 128),
    "upscale": (upscale, 512),
    "unclip": (unclip, 128),
    "gligen": (gligen, 128),
    "hypernetwork": (hypernetwork, 128),
    "photomaker": (photomaker, 128),
    "style model": (redux, 128),
    "hires fix": (hires_fix, 256),
}
LLAVA = ("llava_llama3_fp8_scaled.safetensors", "wan")
CLIPS: dict[str, tuple[Callable[[], Graph], int]] = {
    "hunyuan": (
        lambda: video(
            "hunyuan_video_t2v_720p_bf16.safetensors",
            LLAVA,
            "hunyuan_video_vae_bf16.safetensors",
            "EmptyHunyuanLatentVideo",
            9,
        ),
        9,
    ),
    "mochi": (
        lambda: video(
            "mochi_preview_bf16.safetensors", (T5, "mochi"), "mochi_vae.safetensors", "EmptyMochiLatentVideo", 13
        ),
        13,
    ),
    "cosmos": (
        lambda: video(
            "Cosmos-1_0-Diffusion-7B-Text2World.safetensors",
            (T5, "cosmos"),
            "cosmos_cv8x8x8_1.0.safetensors",
            "EmptyCosmosLatentVideo",
            17,
        ),
        17,
    ),
    "wan": (
        lambda: video(
            "wan2.1_t2v_1.3B_fp16.safetensors", UMT5, "wan_2.1_vae.safetensors", "EmptyHunyuanLatentVideo", 5
        ),
        5,
    ),
    "wan image to video": (wan_image_to_video, 9),
    "ltxv image to video": (ltxv_image_to_video, 17),
    "svd": (svd, 5),
    "animatediff": (animatediff, 5),
    "cogvideox": (cogvideo, 9),
}
