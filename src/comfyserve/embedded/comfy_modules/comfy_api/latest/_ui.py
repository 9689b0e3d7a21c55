"""`ui`: what V3 nodes show, with pictures and sound saved to the engine's folders."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from comfyserve.embedded.comfy_modules.comfy_api.latest._fields import FolderType
from comfyserve.embedded.comfy_modules.comfy_api.latest._schema import UIOutput
from comfyserve.embedded.packs.host import engine
from comfyserve.embedded.pixels.codec import save_png

PREVIEW_LETTERS = 5
PNG_LEVEL, PREVIEW_LEVEL = 4, 1


class SavedResult(dict[str, str]):
    """Name, subfolder and type of a saved file."""

    def __init__(self, filename: str, subfolder: str, type: FolderType) -> None:
        super().__init__(filename=filename, subfolder=subfolder, type=FolderType(type).value)

    @property
    def filename(self) -> str:
        return self["filename"]

    @property
    def subfolder(self) -> str:
        return self["subfolder"]

    @property
    def type(self) -> FolderType:
        return FolderType(self["type"])


class SavedImages(UIOutput):
    """Saved pictures."""

    def __init__(self, results: list[SavedResult], is_animated: bool = False) -> None:
        self.results = results
        self.is_animated = is_animated
        self.prompt: Any = None
        """The graph that they are of, by which simulated results are marked."""

    def as_dict(self) -> dict[str, Any]:
        shown = {"images": self.results} | ({"animated": (True,)} if self.is_animated else {})
        return _marked(shown, self.prompt)


class SavedAudios(UIOutput):
    """Saved sound."""

    def __init__(self, results: list[SavedResult]) -> None:
        self.results = results

    def as_dict(self) -> dict[str, Any]:
        return {"audio": self.results}


class ImageSaveHelper:
    """Saves batches of pictures [B,H,W,C]."""

    @staticmethod
    def save_images(
        images: Any, filename_prefix: str, folder_type: FolderType, cls: Any = None, compress_level: int = PNG_LEVEL
    ) -> list[SavedResult]:
        """One PNG per picture, with the graph of the hidden values of cls."""
        kind = FolderType(folder_type)
        target = engine().folders.next_output(filename_prefix, kind.value, images[0].shape[1], images[0].shape[0])
        texts = _texts(cls)
        saved = []
        for index, picture in enumerate(images):
            name = target.name(index, "png")
            save_png(target.folder / name, np.asarray(picture, np.float32), texts, compress_level)
            saved.append(SavedResult(name, target.subfolder, kind))
        return saved

    @staticmethod
    def get_save_images_ui(
        images: Any, filename_prefix: str, cls: Any = None, compress_level: int = PNG_LEVEL
    ) -> SavedImages:
        """As save_images, to the output folder, ready to be shown."""
        saved = ImageSaveHelper.save_images(images, filename_prefix, FolderType.output, cls, compress_level)
        shown = SavedImages(saved)
        shown.prompt = _prompt(cls)
        return shown


class AudioSaveHelper:
    """Saves sound through the engine's own nodes."""

    @staticmethod
    def save_audio(
        audio: Mapping[str, Any],
        filename_prefix: str,
        folder_type: FolderType,
        cls: Any = None,
        format: str = "flac",
        quality: str = "128k",
    ) -> list[SavedResult]:
        """Raises NotImplementedError: give the sound to a SaveAudio node."""
        raise NotImplementedError("The embedded engine saves sound with its own nodes: connect SaveAudio instead.")

    @staticmethod
    def get_save_audio_ui(audio: Mapping[str, Any], filename_prefix: str, cls: Any = None, **more: Any) -> SavedAudios:
        """As save_audio."""
        return SavedAudios(AudioSaveHelper.save_audio(audio, filename_prefix, FolderType.output, cls, **more))


class PreviewImage(UIOutput):
    """Pictures in the temp folder."""

    def __init__(self, image: Any, animated: bool = False, cls: Any = None, **_: Any) -> None:
        prefix = "ComfyUI_temp_" + "".join(random.choices(string.ascii_lowercase, k=PREVIEW_LETTERS))
        self.values = ImageSaveHelper.save_images(image, prefix, FolderType.temp, cls, PREVIEW_LEVEL)
        self.animated = animated
        self.prompt = _prompt(cls)

    def as_dict(self) -> dict[str, Any]:
        return _marked({"images": self.values, "animated": (self.animated,)}, self.prompt)


class PreviewMask(PreviewImage):
    """Masks as gray pictures in the temp folder."""

    def __init__(self, mask: Any, animated: bool = False, cls: Any = None, **more: Any) -> None:
        gray = np.reshape(mask, (-1, *mask.shape[-2:], 1))
        super().__init__(np.repeat(gray, 3, axis=-1), animated, cls, **more)


class PreviewAudio(UIOutput):
    """Sound in the temp folder."""

    def __init__(self, audio: Mapping[str, Any], cls: Any = None, **_: Any) -> None:
        self.values = AudioSaveHelper.save_audio(audio, "ComfyUI_temp", FolderType.temp, cls)

    def as_dict(self) -> dict[str, Any]:
        return {"audio": self.values}


class PreviewVideo(UIOutput):
    """Videos that are saved already."""

    def __init__(self, values: Sequence[Mapping[str, Any]], **_: Any) -> None:
        self.values = list(values)

    def as_dict(self) -> dict[str, Any]:
        return {"images": self.values, "animated": (True,)}


class PreviewUI3D(UIOutput):
    """A 3D file and how it is looked at."""

    def __init__(self, model_file: Any, camera_info: Any, **more: Any) -> None:
        self.model_file = model_file
        self.camera_info = camera_info
        self.bg_image_path = more.get("bg_image_path")

    def as_dict(self) -> dict[str, Any]:
        shown = [self.model_file, self.camera_info]
        return {"result": shown if self.bg_image_path is None else [*shown, self.bg_image_path]}


class PreviewText(UIOutput):
    """A text."""

    def __init__(self, value: str, **_: Any) -> None:
        self.value = value

    def as_dict(self) -> dict[str, Any]:
        return {"text": (self.value,)}


def _texts(cls: Any) -> dict[str, str]:
    from comfyserve.embedded.nodes.io import png_texts

    hidden = getattr(cls, "hidden", None)
    return {} if hidden is None else png_texts(hidden.prompt or None, hidden.extra_pnginfo)


def _prompt(cls: Any) -> Any:
    return getattr(getattr(cls, "hidden", None), "prompt", None)


def _marked(shown: dict[str, Any], prompt: Any) -> dict[str, Any]:
    from comfyserve.embedded.nodes.io import marked

    return marked(shown, prompt)
