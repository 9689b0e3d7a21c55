"""The nodes of a realtime session: pictures over a socket. Where there is no session they say so, or fall back."""

import io
import math
import sys
from typing import Any

import numpy as np

from . import _frames, _host, _pictures
from ._nodes import node
from ._sessions import SESSIONS
from .outputs import save_picture

ENDINGS = {"WEBP": "webp", "PNG": "png", "JPEG": "jpg"}
NO_PICTURE = (
    "The input {name!r} is fed by a realtime session, and none has sent a picture for it: send one over "
    "/comfyui-deploy/ws, link a picture to default_value, or use External Image."
)


def join_server() -> None:
    """Add the realtime socket to ComfyUI's server, if this runs inside of one.

    ComfyUI loads its server before any package. Nothing is imported for it: elsewhere a module of that name is foreign.
    """
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if server is not None:
        from . import _socket

        _socket.add_to(server)


def _check_input_id(input_id: str = "") -> bool | str:
    return _check_id(input_id, "input_id")


def _check_output_id(output_id: str = "") -> bool | str:
    return _check_id(output_id, "output_id")


def _input_changed(input_id: str | None = None, client_id: str | None = "", **_: Any) -> float | int:
    """The number of the picture that was received last, 0 for none; NaN for an id that comes through a link."""
    if input_id is None or client_id is None:
        return math.nan
    received = SESSIONS.picture(client_id, _frames.plain_id(input_id))
    return 0 if received is None else received.serial


def _always_changed(**_: Any) -> float:
    """A client gets the picture of each run, also when it is the one of the run before."""
    return math.nan


@node(
    "ComfyDeployWebscoketImageInput",
    VALIDATE_INPUTS=staticmethod(_check_input_id),
    IS_CHANGED=staticmethod(_input_changed),
)
def receive(input_id: str, client_id: str = "", default_value: Any = None, **_: Any) -> tuple[Any]:
    """A picture that a realtime session sends."""
    received = SESSIONS.picture(client_id, _frames.plain_id(input_id))
    if received is not None:
        name = f"What was sent for {input_id[:200]!r}"
        samples = _pictures.decoded(received.content, name, alpha=False, formats=tuple(_frames.NUMBERS))
        return (_host.engine().array(samples),)
    if default_value is None:
        raise ValueError(NO_PICTURE.format(name=input_id[:200]))
    return (default_value,)


@node(
    "ComfyDeployWebscoketImageOutput",
    VALIDATE_INPUTS=staticmethod(_check_output_id),
    IS_CHANGED=staticmethod(_always_changed),
)
def send(
    output_id: str, images: Any, file_type: str = "WEBP", quality: int = 80, client_id: str = "", **_: Any
) -> dict[str, Any]:
    """Pictures for a realtime session; without one they are previews in the temp folder."""
    batch = _host.to_numpy(images)
    sessions = SESSIONS.of(client_id)
    if not sessions:
        return {"ui": {"images": _previews(batch, output_id, ENDINGS[file_type], quality)}}
    engine = _host.engine()
    for samples in batch:
        engine.check_stopped()
        file = io.BytesIO()
        save_picture(file, samples, ENDINGS[file_type], quality, {})
        frame = _frames.picture_frame(output_id, file_type, file.getvalue())
        for session in sessions:
            session.offer(frame)
    return {"ui": {}}


def _previews(batch: np.ndarray, output_id: str, ending: str, quality: int) -> list[Any]:
    items = []
    for samples in batch:
        path = _host.temp_file(f".{ending}")
        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(path, samples, ending, quality, {})
        items.append({"filename": path.name, "subfolder": path.parent.name, "type": "temp", "output_id": output_id})
    return items


def _check_id(name: str | None, field: str) -> bool | str:
    if name is None or _frames.is_id(name):
        return True
    return f"{field} must be plain ASCII of at most {_frames.MAX_ID_BYTES} characters, since it travels in each frame."
