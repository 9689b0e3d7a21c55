"""What an engine says, handed on as it was said: system events (stateless-comfyui-api.md, section 4.4)."""

from comfyserve.engines.reading import read_json
from comfyserve.ports import SystemEvent, TellSystem
from comfyserve.protocol.messages import Event

TAPPED = frozenset(Event) - {Event.FEATURE_FLAGS, Event.LOGS, Event.NOTIFICATION}
"""The types of messages that are handed on."""


def hand_on(frame: str, tell: TellSystem) -> None:
    """Tell of a text frame, whole, if it is of such a type."""
    message = read_json(frame)
    if isinstance(message, dict) and isinstance(kind := message.get("type"), str) and kind in TAPPED:
        tell(SystemEvent("comfy", kind, message))
