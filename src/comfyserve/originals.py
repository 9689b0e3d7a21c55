"""Variables of comfyui-api that existing installs set: read when ours says nothing (spec stateless-comfyui-api 7.1).

A variable that is set to nothing counts as not set.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Environment = Mapping[str, str]
TRIES, INTERVAL = "STARTUP_CHECK_MAX_TRIES", "STARTUP_CHECK_INTERVAL_S"
MEBIBYTE, GIBIBYTE = 1024**2, 1024**3
WHOLE = re.compile(r"\d+")


def _start_seconds(environment: Environment) -> str:
    """It looks so many times, so far apart."""
    try:
        return str(int(environment.get(TRIES) or 20) * int(environment.get(INTERVAL) or 1))
    except ValueError:
        return f"{environment.get(TRIES)} x {environment.get(INTERVAL)}"


def _gibibytes(environment: Environment) -> str:
    text = environment["LRU_CACHE_SIZE_GB"]
    try:
        return str(int(float(text) * GIBIBYTE))
    except (ValueError, OverflowError):
        return text


def _mebibytes(environment: Environment) -> str:
    text = environment["MAX_BODY_SIZE_MB"].strip()
    return str(int(text) * MEBIBYTE) if WHOLE.fullmatch(text) else text


def _level(environment: Environment) -> str:
    """Its levels are those of pino."""
    level = environment["LOG_LEVEL"].strip().lower()
    return {"trace": "debug", "warn": "warning", "fatal": "error"}.get(level, level)


def _exactly_true(variable: str) -> Callable[[Environment], str]:
    return lambda environment: str(environment[variable] == "true").lower()


def _true_in_any_case(variable: str) -> Callable[[Environment], str]:
    return lambda environment: str(environment[variable].lower() == "true").lower()


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
    Original("LRU_CACHE_SIZE_GB", "cache_bytes", _gibibytes),
    Original("HF_TOKEN", "hf_token"),
    Original("HF_ENDPOINT", "hf_endpoint"),
)
"""Those that every command reads."""

ORIGINALS_OF_SOLO = (
    *ORIGINALS,
    Original("HOST", "host"),
    Original("PORT", "port"),
    Original("LOG_LEVEL", "log_level", _level),
    Original("ALWAYS_RESTART_COMFYUI", "restart_engine", _true_in_any_case("ALWAYS_RESTART_COMFYUI")),
    Original("HTTP_AUTH_HEADER_NAME", "http_auth_header_name"),
    Original("HTTP_AUTH_HEADER_VALUE", "http_auth_header_value"),
    Original("MANIFEST", "manifest"),
    Original("MANIFEST_JSON", "manifest_json"),
    Original("MARKDOWN_SCHEMA_DESCRIPTIONS", "markdown_schema", _exactly_true("MARKDOWN_SCHEMA_DESCRIPTIONS")),
    Original("MAX_BODY_SIZE_MB", "max_body_bytes", _mebibytes),
    Original("MAX_QUEUE_DEPTH", "max_queue_depth"),
    Original("PREPEND_FILENAMES", "prepend_filenames", _true_in_any_case("PREPEND_FILENAMES")),
    Original("PROMPT_WEBHOOK_RETRIES", "webhook_tries"),
    Original("STRICT", "strict", _true_in_any_case("STRICT")),
    Original("SYSTEM_WEBHOOK_URL", "system_webhook_url"),
    Original("SYSTEM_WEBHOOK_EVENTS", "system_webhook_events"),
    Original("WARMUP_PROMPT_FILE", "warmup_file"),
    Original("WARMUP_PROMPT_URL", "warmup_url"),
    Original("WEBHOOK_SECRET", "webhook_secret"),
    Original("WORKFLOW_DIR", "workflow_dir"),
)
"""Those that `comfyserve solo` reads: many of the names are too common for a server beside others."""

AMBIENT: Mapping[str, str] = {
    "AWS_REGION": "S3, as every program of AWS reads it; needed for `s3`, like the other `AWS_*`",
    "AWS_DEFAULT_REGION": "the same, when AWS_REGION is not set",
    "AZURE_STORAGE_ACCOUNT": "the account of `azure_blob_upload`",
    "AZURE_STORAGE_CONNECTION_STRING": "the connection string of `azure_blob_upload`",
    "AZURE_STORAGE_KEY": "the key of the account",
    "AZURE_STORAGE_SAS_TOKEN": "a shared access signature of the account, with or without its question mark",
    "HTTP_PROXY": "the forward proxy for `http` addresses, and for `https` when HTTPS_PROXY is not set",
    "HTTPS_PROXY": "the forward proxy for `https` addresses",
    "NO_PROXY": "hosts without a proxy, commas between; `*`: all. Loopback and the engine never have one",
    "SALAD_*": "SaladCloud's names of the instance: part of the metadata of system events, and they switch the "
    "deletion cost on",
    "SYSTEM_META_*": "metadata of system events: `SYSTEM_META_region=eu` is told as `region`",
    "VIRTUAL_ENV": "the manifest's packages go into this environment",
    "CONDA_DEFAULT_ENV": "the same",
    "VIRTUAL_ENV_PROMPT": "the same",
}
"""Variables that are no setting of ours, since others read them, too: what they are for."""

WITHOUT_EFFECT: Mapping[str, str] = {
    "BASE": "what it prepared is asked of the engine itself",
}
"""Variables that need no counterpart, and why."""


def variables_for(setting: str, originals: Sequence[Original] = ORIGINALS) -> list[str]:
    """The variables of comfyui-api that stand for a setting."""
    return [original.variable for original in originals if original.setting == setting]


def said_by(environment: Environment, originals: Sequence[Original] = ORIGINALS) -> dict[str, str]:
    """What these variables say, by setting."""
    said = ((original.setting, original.value(environment)) for original in originals)
    return {setting: value for setting, value in said if value}
