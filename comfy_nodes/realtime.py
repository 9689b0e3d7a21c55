"""The nodes of a realtime session: pictures over a socket. Where there is no session they say so, or fall back."""

from typing import Any

from . import _host
from ._nodes import node
from .outputs import save_picture

MAX_ID_BYTES = 24
ENDINGS = {"WEBP": "webp", "PNG": "png", "JPEG": "jpg"}
NO_SESSION = (
    "The input {name!r} is fed by a realtime session, and there is none: link a picture to default_value, "
    "or use External Image."
)


def _check_input_id(input_id: str = "") -> bool | str:
    return _check_id(input_id, "input_id")


def _check_output_id(output_id: str = "") -> bool | str:
    return _check_id(output_id, "output_id")


@node("ComfyDeployWebscoketImageInput", VALIDATE_INPUTS=staticmethod(_check_input_id))
def receive(input_id: str, default_value: Any = None, **_: Any) -> tuple[Any]:
    """A picture that a realtime session sends."""
    if default_value is None:
        raise ValueError(NO_SESSION.format(name=input_id[:200]))
    return (default_value,)


@node("ComfyDeployWebscoketImageOutput", VALIDATE_INPUTS=staticmethod(_check_output_id))
def send(output_id: str, images: Any, file_type: str = "WEBP", quality: int = 80, **_: Any) -> dict[str, Any]:
    """Pictures for a realtime session; without one they are previews in the temp folder."""
    ending = ENDINGS[file_type]
    items = []
    for samples in _host.to_numpy(images):
        path = _host.temp_file(f".{ending}")
        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(path, samples, ending, quality, {})
        items.append({"filename": path.name, "subfolder": path.parent.name, "type": "temp", "output_id": output_id})
    return {"ui": {"images": items}}


def _check_id(name: str | None, field: str) -> bool | str:
    if name is None or (name.isascii() and len(name) <= MAX_ID_BYTES):
        return True
    return f"{field} must be plain ASCII of at most {MAX_ID_BYTES} characters, since it travels in each frame."
