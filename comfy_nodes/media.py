"""The External inputs that are files. The first source that names one counts; a broken one is an error, not skipped."""

from pathlib import Path
from typing import Any

import numpy as np

from . import _exr, _host, _pictures, _sources, _video
from ._nodes import node

NO_BATCHES = "This node does not work in batches: take the link from meta_batch and set frame_load_cap instead."
NO_LATENT = "The LATENT output is empty: link a vae to the video input."


def _picture_changed(input_id: str = "", default_value_url: str = "", **_: Any) -> str:
    return _sources.fingerprint(input_id, default_value_url, endings=_sources.PICTURES)


def _video_changed(
    input_id: str = "", default_value_url: str = "", default_video: str = "", default_value: str = "", **_: Any
) -> str:
    return _sources.fingerprint(input_id, default_value_url, default_video or default_value, endings=_sources.VIDEOS)


def _batch_changed(images: str | None = None, **_: Any) -> str:
    return _pictures.list_fingerprint(images or "")


def _file_changed(file_url: str = "", **_: Any) -> str:
    return _sources.fingerprint(file_url, endings=frozenset())


def _audio_changed(audio_file: str = "", **_: Any) -> str:
    return _sources.fingerprint(audio_file)


def _exr_changed(exr_file: str = "", **_: Any) -> str:
    return _sources.fingerprint(exr_file)


def _check_video(input_id: str = "", default_video: str = "", default_value_url: str = "") -> bool | str:
    return _check_default(default_video, input_id, default_value_url)


def _check_vid(input_id: str = "", default_value: str = "") -> bool | str:
    return _check_default(default_value, input_id, "")


@node("ComfyUIDeployExternalImage", IS_CHANGED=staticmethod(_picture_changed))
def image(input_id: str, default_value: Any = None, default_value_url: str = "", **_: Any) -> tuple[Any]:
    """A picture without its transparency."""
    return (_picture((input_id, default_value_url), default_value, alpha=False),)


@node("ComfyUIDeployExternalImageAlpha", IS_CHANGED=staticmethod(_picture_changed))
def image_alpha(input_id: str, default_value: Any = None, **_: Any) -> tuple[Any]:
    """A picture with its transparency."""
    return (_picture((input_id,), default_value, alpha=True),)


@node("ComfyUIDeployExternalImageBatch", IS_CHANGED=staticmethod(_batch_changed))
def image_batch(input_id: str, images: str = "[]", default_value: Any = None, **_: Any) -> tuple[Any]:
    """Several pictures as one batch, all in the size of the first."""
    samples = _pictures.load_list(images)
    if samples is None and default_value is None:
        raise ValueError(_nothing(input_id, 'a list of pictures, such as ["https://..."]'))
    return (default_value if samples is None else _host.engine().array(samples),)


@node(
    "ComfyUIDeployExternalVideo",
    IS_CHANGED=staticmethod(_video_changed),
    VALIDATE_INPUTS=staticmethod(_check_video),
)
def video(
    input_id: str,
    force_rate: int = 0,
    force_size: str = "Disabled",
    custom_width: int = 512,
    custom_height: int = 512,
    frame_load_cap: int = 0,
    skip_first_frames: int = 0,
    select_every_nth: int = 1,
    meta_batch: Any = None,
    vae: Any = None,
    default_video: str = "",
    default_value_url: str = "",
    **_: Any,
) -> tuple[Any, ...]:
    """The frames of a video as a batch, with its sound and facts."""
    path = _video_path(input_id, default_value_url, default_video, meta_batch)
    every = max(1, select_every_nth)
    choice = _video.Choice(
        force_rate, skip_first_frames, every, frame_load_cap, force_size, custom_width, custom_height
    )
    loaded = _video.load(path, choice)
    seconds = loaded.info["loaded_duration"] if frame_load_cap else None
    frames = _host.engine().array(loaded.frames)
    latent = {"samples": vae.encode(frames)} if vae is not None else _video.Absent(NO_LATENT)
    return frames, len(loaded.frames), _sound_of(path, loaded.start, seconds), loaded.info, latent


@node(
    "ComfyUIDeployExternalVid",
    IS_CHANGED=staticmethod(_video_changed),
    VALIDATE_INPUTS=staticmethod(_check_vid),
)
def video_path(input_id: str, meta_batch: Any = None, default_value: str = "", **_: Any) -> tuple[str]:
    """The path of a video file."""
    return (str(_video_path(input_id, "", default_value, meta_batch)),)


@node("ComfyUIDeployExternalAudio", IS_CHANGED=staticmethod(_audio_changed))
def audio(input_id: str, audio_file: str = "", default_value: Any = None, **_: Any) -> tuple[Any]:
    """The sound of an audio or video file."""
    source = _given(audio_file, input_id)
    if source:
        return (_video.sound(_content(source), _sources.shown(source)),)
    if default_value is None:
        raise ValueError(_nothing(input_id, "a sound file"))
    return (default_value,)


@node("ComfyUIDeployExternalFile", IS_CHANGED=staticmethod(_file_changed))
def file(input_id: str, file_url: str = "", **_: Any) -> tuple[str]:
    """The path of any file."""
    source = _given(file_url, input_id)
    engine = _host.engine()
    if not source or (engine.may_fetch and not _sources.names_a_file(source)):
        return (source,)
    return (str(_sources.path_of(source)),)


@node("ComfyUIDeployExternalEXR", IS_CHANGED=staticmethod(_exr_changed))
def exr(
    input_id: str,
    exr_file: str = "",
    tonemap: str = "sRGB",
    default_image: Any = None,
    default_mask: Any = None,
    **_: Any,
) -> tuple[Any, Any]:
    """A picture of high dynamic range, and its alpha channel as a mask."""
    source = _given(exr_file, input_id)
    engine = _host.engine()
    if source:
        picture, mask = _exr_parts(source, tonemap)
        return engine.array(picture), engine.array(mask)
    if default_image is None:
        raise ValueError(_nothing(input_id, "an EXR file"))
    if default_mask is None:
        default_mask = engine.array(np.zeros(tuple(default_image.shape[:3]), np.float32))
    return default_image, default_mask


def _picture(sources: tuple[str, ...], default: Any, *, alpha: bool) -> Any:
    for source in sources:
        samples = _pictures.load(source, alpha=alpha) if source else None
        if samples is not None:
            return _host.engine().array(samples)
    if default is None:
        raise ValueError(_nothing(sources[0], "a picture"))
    return default


def _video_path(input_id: str, url: str, default: str, meta_batch: Any) -> Path:
    if meta_batch is not None:
        raise ValueError(NO_BATCHES)
    for source, endings in ((input_id, _sources.VIDEOS), (url, None), (default, None)):
        path = _sources.path_of(source, endings) if source else None
        if path is not None:
            return path
    raise ValueError(_nothing(input_id, "a video"))


def _check_default(default: str | None, input_id: str | None, url: str | None) -> bool | str:
    """What ComfyUI asks before the run: the default must be there only if it is what the run uses."""
    try:
        if not default or url or (input_id and _sources.names_a_file(input_id, _sources.VIDEOS)):
            return True
        found = _host.input_file(default) is not None
    except ValueError as error:
        return str(error)
    return found or f"There is no {default[:200]!r} in the input folder: upload it, or give the input a video."


def _sound_of(path: Path, start: float, seconds: float | None) -> Any:
    """The sound beside the frames; a video without one is told to whoever reads it."""
    try:
        return _video.sound(path, path.name, start, seconds)
    except ValueError as error:
        return _video.Absent(str(error))


def _exr_parts(source: str, tonemap: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        samples = _exr.read(_content(source))
    except ValueError as error:
        raise ValueError(f"{_sources.shown(source)} cannot be read: {str(error).rstrip('.')}.") from error
    mask = np.clip(samples[..., 3], 0, 1) if samples.shape[-1] > 3 else np.zeros(samples.shape[:2], np.float32)
    picture = _toned(samples[..., :3], tonemap)
    return np.ascontiguousarray(picture[np.newaxis], np.float32), np.ascontiguousarray(mask[np.newaxis], np.float32)


def _toned(samples: np.ndarray, tonemap: str) -> np.ndarray:
    if tonemap == "linear":
        return samples
    light: np.ndarray = np.maximum(samples, 0)
    if tonemap == "Reinhard":
        light = light / (1 + light)
    curved = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    toned: np.ndarray = np.clip(curved, 0, 1)
    return toned


def _content(source: str) -> bytes:
    content = _sources.read(source)
    if content is None:
        raise ValueError("Give a URL, a data URI or the name of a file in the input folder.")
    return content


def _given(field: str | None, input_id: str) -> str:
    """The field that callers fill; a URL that came in the place of the input's name counts as well."""
    text = (field or "").strip()
    return text or (input_id if _sources.is_web(input_id) or input_id[:5].lower() == _sources.DATA else "")


def _nothing(input_id: str, what: str) -> str:
    return f"The input {input_id[:200]!r} has no value and no default: give it {what}."
