"""What makes conditioning and latent at once: pictures that become clips, guides, controls over time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from comfyserve.embedded.nodes.models.conditioning import with_options
from comfyserve.embedded.nodes.models.signed import simulates
from comfyserve.embedded.nodes.models.text import with_option
from comfyserve.embedded.simulate import grid, wish
from comfyserve.embedded.simulate import latent as latents
from comfyserve.embedded.simulate.grid import Grid
from comfyserve.embedded.simulate.latent import Floats, empty, rounded_bytes
from comfyserve.embedded.simulate.model import Bytes, Conditioning, Control, Embedding, Latent, Look, Model

Keys = dict[int, Bytes]
Made = tuple[Conditioning, Conditioning, Latent]


def pictures_of(images: Floats) -> Bytes:
    """IMAGE as bytes [N,H,W,3]."""
    return rounded_bytes(np.ascontiguousarray(images[..., :3]))


def keyframes(start: Floats | None = None, end: Floats | None = None) -> Keys:
    """The frames that are given: from the first on, and up to the last."""
    keys = dict(enumerate(pictures_of(start))) if start is not None else {}
    if end is not None:
        keys |= {number - len(end): picture for number, picture in enumerate(pictures_of(end))}
    return keys


def video_grid(vae: Model) -> Grid:
    """The clips of a VAE; those of Wan 2.1 if it makes none."""
    return vae.family.grid if vae.family.grid.stride else grid.VIDEO


@simulates(
    "WanImageToVideo",
    "WanFirstLastFrameToVideo",
    "WanFunControlToVideo",
    "Wan22FunControlToVideo",
    "WanFunInpaintToVideo",
    "WanCameraImageToVideo",
    "WanTrackToVideo",
    "WanSoundImageToVideo",
    "WanHuMoImageToVideo",
)
def wan(
    positive: Conditioning,
    negative: Conditioning,
    vae: Model,
    width: int,
    height: int,
    length: int,
    batch_size: int,
    start_image: Floats | None = None,
    end_image: Floats | None = None,
    control_video: Floats | None = None,
    ref_image: Floats | None = None,
    ref_motion: Floats | None = None,
    camera_conditions: str | None = None,
    **unused: Any,
) -> Made:
    """A clip that starts and ends with the given pictures and follows the control; tracks and sound move nothing."""
    options: dict[str, Any] = {wish.KEYFRAMES: keyframes(start_image, end_image)}
    if camera_conditions is not None:
        options[wish.CAMERA] = camera_conditions
    both = [with_options(one, options) for one in (positive, negative)]
    if ref_image is not None:
        both = [with_option(one, wish.REFERENCES, (pictures_of(ref_image)[0],)) for one in both]
    if control_video is not None:
        both = [_following(one, control_video) for one in both]
    return both[0], both[1], empty(video_grid(vae), width, height, batch_size, length)


@simulates("WanSoundImageToVideoExtend")
def wan_extend(
    positive: Conditioning,
    negative: Conditioning,
    vae: Model,
    length: int,
    video_latent: Latent,
    audio_encoder_output: Any = None,
    ref_image: Floats | None = None,
    control_video: Floats | None = None,
) -> Made:
    """Goes on from the last frame of a clip."""
    last = latents.decode(video_latent)[-1]
    given = {wish.KEYFRAMES: {0: last}}
    made = empty(video_grid(vae), last.shape[1], last.shape[0], 1, length)
    return with_options(positive, given), with_options(negative, given), made


@simulates("WanVaceToVideo")
def vace(
    positive: Conditioning,
    negative: Conditioning,
    vae: Model,
    width: int,
    height: int,
    length: int,
    batch_size: int,
    strength: float,
    control_video: Floats | None = None,
    control_masks: Floats | None = None,
    reference_image: Floats | None = None,
) -> tuple[Conditioning, Conditioning, Latent, int]:
    """A clip that follows the control, or keeps it outside the masks; a reference adds a place of time to cut off."""
    trimmed = 0 if reference_image is None else 1
    both = [positive, negative]
    if reference_image is not None:
        both = [with_option(one, wish.REFERENCES, (pictures_of(reference_image)[0],)) for one in both]
    if control_video is not None and control_masks is not None:
        kept = (pictures_of(control_video), np.asarray(control_masks, np.float32))
        both = [with_options(one, {wish.INPAINT: kept}) for one in both]
    elif control_video is not None:
        both = [_following(one, control_video, strength) for one in both]
    clip = empty(video_grid(vae), width, height, batch_size, length + 4 * trimmed)
    return both[0], both[1], clip, trimmed


@simulates("WanPhantomSubjectToVideo")
def phantom(
    positive: Conditioning,
    negative: Conditioning,
    vae: Model,
    width: int,
    height: int,
    length: int,
    batch_size: int,
    images: Floats | None = None,
) -> tuple[Conditioning, Conditioning, Conditioning, Latent]:
    """A clip with the subjects of the pictures."""
    first = positive
    if images is not None:
        first = with_option(positive, wish.REFERENCES, tuple(pictures_of(images)))
    return first, negative, negative, empty(video_grid(vae), width, height, batch_size, length)


@simulates("WanAnimateToVideo")
def animate(
    positive: Conditioning,
    negative: Conditioning,
    vae: Model,
    width: int,
    height: int,
    length: int,
    batch_size: int,
    continue_motion_max_frames: int,
    video_frame_offset: int,
    clip_vision_output: Bytes | None = None,
    reference_image: Floats | None = None,
    face_video: Floats | None = None,
    pose_video: Floats | None = None,
    background_video: Floats | None = None,
    character_mask: Floats | None = None,
    continue_motion: Floats | None = None,
) -> tuple[Conditioning, Conditioning, Latent, int, int, int]:
    """A clip of the reference that follows the pose; outputs how much of its start to cut, and where to go on."""
    both = [positive, negative]
    if reference_image is not None:
        both = [with_option(one, wish.REFERENCES, (pictures_of(reference_image)[0],)) for one in both]
    if pose_video is not None:
        both = [_following(one, pose_video[video_frame_offset:][:length], 0.6) for one in both]
    repeated = 0
    if continue_motion is not None:
        before = continue_motion[-continue_motion_max_frames:]
        both = [with_options(one, {wish.KEYFRAMES: keyframes(before)}) for one in both]
        repeated = (len(before) - 1) // 4 * 4 + 1
    clip = empty(video_grid(vae), width, height, batch_size, length + 4)
    return both[0], both[1], clip, 1, repeated, video_frame_offset + length


@simulates("WanCameraEmbedding")
def camera(
    camera_pose: str,
    width: int,
    height: int,
    length: int,
    speed: float = 1.0,
    fx: float = 0.5,
    fy: float = 0.5,
    cx: float = 0.5,
    cy: float = 0.5,
) -> tuple[str, int, int, int]:
    """The way of the camera by its name."""
    return camera_pose, width, height, length


def _latent_only(name: str, own: Grid | None) -> None:
    @simulates(name)
    def image_to_latent(
        vae: Model,
        width: int,
        height: int,
        length: int,
        batch_size: int,
        start_image: Floats | None = None,
        end_image: Floats | None = None,
    ) -> Latent:
        """A clip's latent with its first and last frames."""
        cells = own or video_grid(vae)
        return {**empty(cells, width, height, batch_size, length), wish.KEYFRAMES: keyframes(start_image, end_image)}


_latent_only("CosmosImageToVideoLatent", grid.COSMOS)
_latent_only("CosmosPredict2ImageToVideoLatent", grid.VIDEO)
_latent_only("Wan22ImageToVideoLatent", grid.WAN22)


@simulates("HunyuanImageToVideo")
def hunyuan(
    positive: Conditioning,
    vae: Model,
    width: int,
    height: int,
    length: int,
    batch_size: int,
    guidance_type: str,
    start_image: Floats | None = None,
) -> tuple[Conditioning, Latent]:
    """A clip that starts with the picture."""
    made = with_options(positive, {wish.KEYFRAMES: keyframes(start_image)})
    return made, empty(grid.VIDEO, width, height, batch_size, length)


@simulates("HunyuanRefinerLatent")
def hunyuan_refiner(positive: Conditioning, negative: Conditioning, latent: Latent, noise_augmentation: float) -> Made:
    """The picture to refine, and an empty latent of its size."""
    samples = np.asarray(latent["samples"])
    given = {wish.KEYFRAMES: dict(enumerate(latents.decode(latent)))}
    cells = replace(latents.grid_by(latent), channels=32)
    shape = (samples.shape[0], 32, *samples.shape[2:])
    made = {"samples": np.zeros(shape, np.float32), latents.GRID: cells}
    return with_options(positive, given), with_options(negative, given), made


@simulates("LTXVImgToVideo")
def ltxv(
    positive: Conditioning,
    negative: Conditioning,
    vae: Model,
    image: Floats,
    width: int,
    height: int,
    length: int,
    batch_size: int,
    strength: float,
) -> Made:
    """A clip that starts with the picture."""
    made = {**empty(grid.LTXV, width, height, batch_size, length), wish.KEYFRAMES: keyframes(image)}
    return positive, negative, made


@simulates("LTXVAddGuide")
def ltxv_guide(
    positive: Conditioning,
    negative: Conditioning,
    vae: Model,
    latent: Latent,
    image: Floats,
    frame_idx: int,
    strength: float,
) -> Made:
    """The pictures stand from this frame on; negative numbers count from the end."""
    given = {frame_idx + number: picture for number, picture in enumerate(pictures_of(image))}
    return positive, negative, {**latent, wish.KEYFRAMES: {**latent.get(wish.KEYFRAMES, {}), **given}}


@simulates("LTXVCropGuides")
def ltxv_crop(positive: Conditioning, negative: Conditioning, latent: Latent) -> Made:
    """The simulated model keeps guides beside the latent, so there is nothing to cut."""
    return positive, negative, {key: value for key, value in latent.items() if key != wish.KEYFRAMES}


@simulates("LTXVConditioning")
def ltxv_rate(positive: Conditioning, negative: Conditioning, frame_rate: float) -> tuple[Conditioning, Conditioning]:
    """The frame rate is for the saver; nothing changes."""
    return with_options(positive, {"frame_rate": frame_rate}), with_options(negative, {"frame_rate": frame_rate})


@simulates("LTXVPreprocess")
def ltxv_preprocess(image: Floats, img_compression: int) -> Floats:
    """The pictures with the faults of a video codec; 0 leaves them alone."""
    from io import BytesIO

    from PIL import Image

    if img_compression == 0:
        return image
    result = []
    for picture in pictures_of(image):
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=max(1, 100 - img_compression))
        result.append(np.asarray(Image.open(buffer).convert("RGB"), np.uint8))
    return latents.to_floats(np.stack(result))


@simulates("SVD_img2vid_Conditioning", "SV3D_Conditioning")
def svd(
    clip_vision: Model,
    init_image: Floats,
    vae: Model,
    width: int,
    height: int,
    video_frames: int,
    **motion: Any,
) -> Made:
    """A clip that starts with the picture; its latent is a batch of pictures."""
    return *_from_picture(init_image), empty(grid.SD, width, height, video_frames)


@simulates("StableZero123_Conditioning", "StableZero123_Conditioning_Batched")
def zero123(
    clip_vision: Model, init_image: Floats, vae: Model, width: int, height: int, batch_size: int, **angles: Any
) -> Made:
    """The object of the picture; the simulated model cannot turn it."""
    return *_from_picture(init_image), empty(grid.SD, width, height, batch_size)


@simulates("InstructPixToPixConditioning")
def instruct(positive: Conditioning, negative: Conditioning, vae: Model, pixels: Floats) -> Made:
    """The picture that is to be edited, and an empty latent of its size."""
    made = latents.encode(pixels)
    first = with_option(positive, wish.REFERENCES, (pictures_of(pixels)[0],))
    cleared = {"samples": np.zeros_like(made["samples"]), latents.GRID: grid.SD}
    return first, with_option(negative, wish.REFERENCES, ()), cleared


@simulates("SD_4XUpscale_Conditioning")
def upscale_x4(
    images: Floats,
    positive: Conditioning,
    negative: Conditioning,
    scale_ratio: float,
    noise_augmentation: float,
) -> Made:
    """The pictures to enlarge, and an empty latent of four pixels a place."""
    count, height, width = images.shape[:3]
    sides = (max(1, round(width * scale_ratio)), max(1, round(height * scale_ratio)))
    given = {wish.KEYFRAMES: {0: pictures_of(images)[0]}}
    made = empty(grid.X4_UPSCALER, *sides, count)
    return with_options(positive, given), with_options(negative, given), made


@simulates("StableCascade_StageB_Conditioning")
def cascade_b(conditioning: Conditioning, stage_c: Latent) -> Conditioning:
    """Stage B draws in full what stage C has made."""
    return with_options(conditioning, {wish.KEYFRAMES: {0: latents.decode(stage_c)[0]}})


@simulates("StableCascade_StageC_VAEEncode")
def cascade_encode(image: Floats, vae: Model, compression: int) -> tuple[Latent, Latent]:
    """The picture for stage C, and an empty latent for stage B."""
    height, width = image.shape[1:3]
    return latents.encode(image, Grid(compression, 16)), empty(grid.CASCADE_B, width, height, len(image))


@simulates("StableCascade_SuperResolutionControlnet")
def cascade_control(image: Floats, vae: Model) -> tuple[Floats, Latent, Latent]:
    """The picture as hint, and empty latents of twice its size."""
    count, height, width = image.shape[:3]
    stage_c = {"samples": np.zeros((count, 16, height // 16, width // 16), np.float32), latents.GRID: Grid(32, 16)}
    return image, stage_c, empty(grid.CASCADE_B, width * 2, height * 2, count)


@simulates("LotusConditioning")
def lotus() -> Conditioning:
    """No words: this family describes the picture it is given."""
    return [[Embedding(""), {}]]


def _from_picture(image: Floats) -> tuple[Conditioning, Conditioning]:
    pictures = pictures_of(image)
    first: Conditioning = [[Embedding(""), {wish.KEYFRAMES: {0: pictures[0]}, wish.LOOKS: (Look(pictures[0], 0.5),)}]]
    return first, [[Embedding(""), {}]]


def _following(conditioning: Conditioning, video: Floats, strength: float = 1.0) -> Conditioning:
    if strength <= 0 or len(video) == 0:
        return conditioning
    return with_option(conditioning, wish.CONTROLS, (Control(pictures_of(video), strength),))
