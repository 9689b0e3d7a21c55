"""The table of node classes as packs see it, live, and the built-in classes by name."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, Final

from comfyserve.embedded.comfy_modules import folder_paths
from comfyserve.embedded.comfy_modules.comfy import model_management
from comfyserve.embedded.nodes.declare import MAX_SIDE
from comfyserve.embedded.packs.arrays import pack_values
from comfyserve.embedded.packs.host import engine, needs_torch
from comfyserve.embedded.packs.v3 import as_v1, declared_class, is_v3

MAX_RESOLUTION: Final = MAX_SIDE
CORE_MODULE: Final = "nodes"
SAVE_LEVEL, PREVIEW_LEVEL = 4, 1
TEMP_LETTERS: Final = 5

FUNCTIONS: Final = {
    "CLIPTextEncode": "encode",
    "ConditioningCombine": "combine",
    "ConditioningAverage": "addWeighted",
    "ConditioningConcat": "concat",
    "ConditioningSetArea": "append",
    "ConditioningSetAreaPercentage": "append",
    "ConditioningSetAreaStrength": "append",
    "ConditioningSetMask": "append",
    "ConditioningZeroOut": "zero_out",
    "ConditioningSetTimestepRange": "set_range",
    "VAEDecode": "decode",
    "VAEDecodeTiled": "decode",
    "VAEEncode": "encode",
    "VAEEncodeTiled": "encode",
    "VAEEncodeForInpaint": "encode",
    "InpaintModelConditioning": "encode",
    "SaveLatent": "save",
    "LoadLatent": "load",
    "CheckpointLoader": "load_checkpoint",
    "CheckpointLoaderSimple": "load_checkpoint",
    "DiffusersLoader": "load_checkpoint",
    "unCLIPCheckpointLoader": "load_checkpoint",
    "CLIPSetLastLayer": "set_last_layer",
    "LoraLoader": "load_lora",
    "LoraLoaderModelOnly": "load_lora_model_only",
    "VAELoader": "load_vae",
    "ControlNetLoader": "load_controlnet",
    "DiffControlNetLoader": "load_controlnet",
    "ControlNetApply": "apply_controlnet",
    "ControlNetApplyAdvanced": "apply_controlnet",
    "UNETLoader": "load_unet",
    "CLIPLoader": "load_clip",
    "DualCLIPLoader": "load_clip",
    "CLIPVisionLoader": "load_clip",
    "CLIPVisionEncode": "encode",
    "StyleModelLoader": "load_style_model",
    "StyleModelApply": "apply_stylemodel",
    "unCLIPConditioning": "apply_adm",
    "GLIGENLoader": "load_gligen",
    "GLIGENTextBoxApply": "append",
    "EmptyLatentImage": "generate",
    "LatentFromBatch": "frombatch",
    "RepeatLatentBatch": "repeat",
    "LatentUpscale": "upscale",
    "LatentUpscaleBy": "upscale",
    "LatentRotate": "rotate",
    "LatentFlip": "flip",
    "LatentComposite": "composite",
    "LatentBlend": "blend",
    "LatentCrop": "crop",
    "SetLatentNoiseMask": "set_mask",
    "KSampler": "sample",
    "KSamplerAdvanced": "sample",
    "LoadImage": "load_image",
    "LoadImageMask": "load_image",
    "LoadImageOutput": "load_image",
    "ImageScale": "upscale",
    "ImageScaleBy": "upscale",
    "ImageInvert": "invert",
    "ImageBatch": "batch",
    "EmptyImage": "generate",
    "ImagePadForOutpaint": "expand_image",
}
"""The method that ComfyUI's class has; packs call it."""


class NodeClasses(MutableMapping[str, Any]):
    """Class name -> class as its pack wrote it. Writing replaces, the core's classes too."""

    is_whole_table = True
    """Some packs write into this table and offer it as their own: only what they added is theirs."""

    def __getitem__(self, name: str) -> Any:
        return _with_method(name, declared_class(engine().catalogue[name].node_class))

    def __setitem__(self, name: str, node_class: Any) -> None:
        adapted = as_v1(node_class) if is_v3(node_class) else node_class
        engine().catalogue.replace(name, adapted, getattr(node_class, "__module__", CORE_MODULE))
        engine().catalogue[name].prepare = pack_values

    def __delitem__(self, name: str) -> None:
        engine().catalogue.remove(name)

    def __contains__(self, name: object) -> bool:
        return name in engine().catalogue

    def __iter__(self) -> Iterator[str]:
        return iter(list(engine().catalogue))

    def __len__(self) -> int:
        return len(engine().catalogue)

    def copy(self) -> dict[str, Any]:
        return dict(self)


class NodeTitles(MutableMapping[str, str]):
    """Class name -> title."""

    def __getitem__(self, name: str) -> str:
        title = engine().catalogue[name].display_name
        if title is None:
            raise KeyError(name)
        return title

    def __setitem__(self, name: str, title: str) -> None:
        engine().catalogue.entitle(name, title)

    def __delitem__(self, name: str) -> None:
        engine().catalogue.entitle(name, None)

    def __iter__(self) -> Iterator[str]:
        catalogue = engine().catalogue
        return iter([name for name in catalogue if catalogue[name].display_name is not None])

    def __len__(self) -> int:
        return sum(1 for _ in self)


NODE_CLASS_MAPPINGS: Final = NodeClasses()
NODE_DISPLAY_NAME_MAPPINGS: Final = NodeTitles()
EXTENSION_WEB_DIRS: Final[dict[str, Any]] = engine().catalogue.web_folders
LOADED_MODULE_DIRS: Final[dict[str, Any]] = engine().catalogue.pack_folders


class SaveImage:
    """Saves pictures; packs subclass it and set output_dir, type and prefix_append."""

    def __init__(self) -> None:
        self.output_dir = folder_paths.get_output_directory()
        self.type = "output"
        self.prefix_append = ""
        self.compress_level = SAVE_LEVEL

    INPUT_TYPES = staticmethod(lambda: _core("SaveImage").INPUT_TYPES())
    RETURN_TYPES: tuple[Any, ...] = ()
    FUNCTION = "save_images"
    OUTPUT_NODE = True
    CATEGORY = "image"

    def save_images(
        self, images: Any, filename_prefix: str = "ComfyUI", prompt: Any = None, extra_pnginfo: Any = None
    ) -> dict[str, Any]:
        """One PNG per picture [H,W,C], with the graph as text chunks."""
        from comfyserve.embedded.files.folders import output_name
        from comfyserve.embedded.nodes.io import marked, png_texts
        from comfyserve.embedded.pixels.codec import save_png

        height, width = images[0].shape[:2]
        target = output_name(Path(self.output_dir), filename_prefix + self.prefix_append, width, height)
        texts = png_texts(prompt, extra_pnginfo)
        saved = []
        for index, picture in enumerate(images):
            name = target.name(index, "png")
            save_png(target.folder / name, picture, texts, self.compress_level)
            saved.append({"filename": name, "subfolder": target.subfolder, "type": self.type})
        return {"ui": marked({"images": saved}, prompt)}


class PreviewImage(SaveImage):
    """The same into the temp folder."""

    INPUT_TYPES = staticmethod(lambda: _core("PreviewImage").INPUT_TYPES())

    def __init__(self) -> None:
        super().__init__()
        self.output_dir = folder_paths.get_temp_directory()
        self.type = "temp"
        self.prefix_append = "_temp_" + "".join(random.choices(string.ascii_lowercase, k=TEMP_LETTERS))
        self.compress_level = PREVIEW_LEVEL


def __getattr__(name: str) -> Any:
    """The built-in classes that stand in ComfyUI's `nodes`."""
    catalogue = engine().catalogue
    if name in catalogue and catalogue.is_core(name) and catalogue[name].module == CORE_MODULE:
        return _with_method(name, _core(name))
    raise AttributeError(f"module 'nodes' has no attribute {name!r} in the embedded engine")


def _core(name: str) -> Any:
    return engine().catalogue[name].node_class


def _with_method(name: str, node_class: Any) -> Any:
    """The class, with the method that ComfyUI's has."""
    method = FUNCTIONS.get(name)
    if method is not None and engine().catalogue.is_core(name) and not hasattr(node_class, method):
        setattr(node_class, method, staticmethod(_by_place(node_class)))
    return node_class


def _by_place(node_class: Any) -> Callable[..., Any]:
    """The class's function, which takes its inputs by name, for callers that give them by place."""

    def method(*places: Any, **names: Any) -> Any:
        declared = [name for group in node_class.INPUT_TYPES().values() for name in group]
        return getattr(node_class, node_class.FUNCTION)(**dict(zip(declared, places, strict=False)), **names)

    return method


def before_node_execution() -> None:
    """Raises when the running prompt was interrupted."""
    model_management.throw_exception_if_processing_interrupted()


def interrupt_processing(value: bool = True) -> None:
    """Interrupt the running prompt."""
    model_management.interrupt_current_processing(value)


def get_module_name(module_path: str) -> str:
    """The name of a pack: the last part of its path, without the ending of a file."""
    path = Path(module_path)
    return path.stem if path.is_file() else path.name


def common_ksampler(*_: object, **__: object) -> Any:
    """Raises NeedsTorch: use the KSampler node."""
    needs_torch("nodes.common_ksampler")
