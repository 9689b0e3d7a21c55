"""The V3 API: nodes with a schema, in an extension that the pack's comfy_entrypoint() returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from comfyserve.embedded.comfy_modules.comfy.utils import report
from comfyserve.embedded.comfy_modules.comfy_api import input as _input
from comfyserve.embedded.comfy_modules.comfy_api import input_impl as _input_impl
from comfyserve.embedded.comfy_modules.comfy_api import util as _util
from comfyserve.embedded.comfy_modules.comfy_api.latest import _io as io
from comfyserve.embedded.comfy_modules.comfy_api.latest import _ui as ui

comfy_io = io

__all__ = ["ComfyAPI", "ComfyAPISync", "ComfyExtension", "Input", "InputImpl", "Types", "comfy_io", "io", "ui"]


class ComfyExtension(ABC):
    """What a V3 pack brings."""

    async def on_load(self) -> None:  # noqa: B027  packs need not have it
        """Called once before the nodes are asked for."""

    @abstractmethod
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The node classes."""


class Input:
    """Types of values, for annotations."""

    Image: ClassVar[Any] = _input.ImageInput
    Audio: ClassVar[Any] = _input.AudioInput
    Mask: ClassVar[Any] = _input.MaskInput
    Latent: ClassVar[Any] = _input.LatentInput
    Video: ClassVar[Any] = _input.VideoInput


class InputImpl:
    """Videos."""

    VideoFromFile: ClassVar[Any] = _input_impl.VideoFromFile
    VideoFromComponents: ClassVar[Any] = _input_impl.VideoFromComponents


class Types:
    """Words for videos."""

    VideoCodec: ClassVar[Any] = _util.VideoCodec
    VideoContainer: ClassVar[Any] = _util.VideoContainer
    VideoComponents: ClassVar[Any] = _util.VideoComponents


class ComfyAPI:
    """What a node may ask of the server while it runs."""

    VERSION = "latest"
    STABLE = False

    class Execution:
        """About the running node."""

        async def set_progress(
            self,
            value: float,
            max_value: float,
            node_id: str | None = None,
            preview_image: Any = None,
            ignore_size_limit: bool = False,
        ) -> None:
            """Report progress, with a preview (a Pillow image or a picture [H,W,C]). Raises Interrupted."""
            report(value, max_value, _pillow(preview_image), node_id)

    def __init__(self) -> None:
        self.execution = self.Execution()


class ComfyAPISync:
    """ComfyAPI without `await`."""

    class Execution:
        """About the running node."""

        def set_progress(
            self,
            value: float,
            max_value: float,
            node_id: str | None = None,
            preview_image: Any = None,
            ignore_size_limit: bool = False,
        ) -> None:
            """As ComfyAPI's."""
            report(value, max_value, _pillow(preview_image), node_id)

    def __init__(self) -> None:
        self.execution = self.Execution()


def _pillow(picture: Any) -> Any:
    if picture is None or not hasattr(picture, "shape"):
        return picture
    from comfyserve.embedded.pixels.codec import to_pillow

    return to_pillow(picture[0] if picture.ndim == 4 else picture)
