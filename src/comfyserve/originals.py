"""Variables of comfyui-api that existing installs set: read when ours says nothing (spec stateless-comfyui-api 7.1)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Environment = Mapping[str, str]
TRIES, INTERVAL = "STARTUP_CHECK_MAX_TRIES", "STARTUP_CHECK_INTERVAL_S"
GIBIBYTE = 1024**3


def _start_seconds(environment: Environment) -> str:
    """It looks so many times, so far apart."""
    try:
        return str(int(environment.get(TRIES) or 20) * int(environment.get(INTERVAL) or 1))
    except ValueError:
        return f"{environment.get(TRIES)} x {environment.get(INTERVAL)}"


def _bytes(environment: Environment) -> str:
    text = environment["LRU_CACHE_SIZE_GB"]
    try:
        return str(int(float(text) * GIBIBYTE))
    except (ValueError, OverflowError):
        return text


@dataclass(frozen=True)
class Original:
    """A variable and the setting it stands for; `read` makes the setting's text of it."""

    variable: str
    setting: str
    read: Callable[[Environment], str] | None = None

    def value(self, environment: Environment) -> str:
        """What it says; empty when it is not set."""
        if not environment.get(self.variable):
            return ""
        return self.read(environment) if self.read else environment[self.variable]


ORIGINALS = (
    Original("CMD", "comfy_command"),
    Original("COMFY_HOME", "comfy_home"),
    Original("DIRECT_ADDRESS", "comfy_host"),
    Original("COMFYUI_PORT_HOST", "comfy_port"),
    Original("INPUT_DIR", "comfy_input"),
    Original("OUTPUT_DIR", "comfy_output"),
    Original("MODEL_DIR", "comfy_models"),
    Original(TRIES, "engine_start_seconds", _start_seconds),
    Original(INTERVAL, "engine_start_seconds", _start_seconds),
    Original("CACHE_DIR", "cache_dir"),
    Original("LRU_CACHE_SIZE_GB", "cache_bytes", _bytes),
    Original("HF_TOKEN", "hf_token"),
    Original("HF_ENDPOINT", "hf_endpoint"),
)


def variables_for(setting: str) -> list[str]:
    """The variables of comfyui-api that stand for a setting."""
    return [original.variable for original in ORIGINALS if original.setting == setting]


def said_by(environment: Environment) -> dict[str, str]:
    """What these variables say, by setting."""
    said = ((original.setting, original.value(environment)) for original in ORIGINALS)
    return {setting: value for setting, value in said if value}
