"""The settings of `comfyserve solo`: those of the platform with comfyui-api's defaults, and a few of its own.

Each is read from comfyui-api's variable, too (`originals`), as long as nothing of ours says otherwise.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from comfyserve.originals import ORIGINALS_OF_SOLO, Original
from comfyserve.settings import SHORTEST_KEY, Positive, Seconds, Settings, absolute

COMFY_HOME = Path("/opt/ComfyUI")
MEBIBYTE = 1024**2
WEB_ADDRESS = re.compile(r"https?://[^/\s]\S*", re.IGNORECASE)

SYSTEM_EVENTS = (
    "status",
    "progress",
    "progress_state",
    "executing",
    "execution_start",
    "execution_cached",
    "executed",
    "execution_success",
    "execution_interrupted",
    "execution_error",
    "file_downloaded",
    "file_uploaded",
    "file_deleted",
    "download_failed",
)
"""What SYSTEM_WEBHOOK_EVENTS may name (spec stateless-comfyui-api section 4.4); the last one is ours."""

PUBLIC_SETTINGS = frozenset({
    "accept_seconds", "cache_bytes", "cache_dir", "cancel_abandoned", "comfy_home", "comfy_host", "comfy_input",
    "comfy_models", "comfy_output", "comfy_port", "conversions_at_once", "data_dir", "downloads_at_once", "durable",
    "fetch_credentials", "host", "keep_bytes", "keep_runs", "log_format", "log_level", "markdown_schema",
    "max_body_bytes", "max_model_bytes", "max_output_bytes", "max_queue_depth", "max_queued", "max_streams",
    "max_upload_bytes", "port", "prepend_filenames", "provision_seconds", "queue_seconds", "restart_engine",
    "run_seconds", "start_seconds", "strict", "sync_seconds", "target_credentials", "webhook_tries", "workers",
    "workflow_dir", "workflow_reload",
})  # fmt: skip
"""The settings that workflow files and the debug log see: none of them can hold a password."""


def _events(text: str) -> str:
    read_events(text)
    return text


def read_events(text: str) -> frozenset[str]:
    """The system events that a list with commas names, blanks around them or not. Raises ValueError for any other."""
    names = [name.strip() for name in text.split(",")] if text.strip() else []
    if names == ["all"]:
        return frozenset(SYSTEM_EVENTS)
    if unknown := [name for name in names if name not in SYSTEM_EVENTS]:
        raise ValueError(f"{unknown[0]!r} is no system event; write `all`, or some of {', '.join(SYSTEM_EVENTS)}")
    return frozenset(names)


def _web_address(text: str) -> str:
    if text and not WEB_ADDRESS.fullmatch(text):
        raise ValueError("write an http or https address")
    return text


def _file_that_is_there(name: str) -> str:
    if name and not Path(name).is_file():
        raise ValueError(f"there is no file {name}")
    return name


def _json_graph(name: str) -> str:
    """A warm-up that is no graph would be noticed only when the engine is up."""
    if _file_that_is_there(name):
        try:
            graph = json.loads(Path(name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{name} is no JSON: {error}") from None
        if not isinstance(graph, dict):
            raise ValueError(f"{name} is no graph: write an object of nodes, as ComfyUI exports it for the API")
    return name


def _keys(text: SecretStr) -> SecretStr:
    if any(len(key) < SHORTEST_KEY for key in split_keys(text)):
        raise ValueError(f"a key has at least {SHORTEST_KEY} characters")
    return text


def split_keys(text: SecretStr) -> list[str]:
    """The keys of the setting `api_keys`."""
    return text.get_secret_value().replace(",", " ").split()


def _home() -> str:
    return str(COMFY_HOME) if COMFY_HOME.is_dir() else ""


class SoloSettings(Settings):
    """Every setting of `comfyserve solo` with its default and a sentence of help."""

    originals: ClassVar[Sequence[Original]] = ORIGINALS_OF_SOLO

    # ---- the platform's, with comfyui-api's defaults
    host: str = Field("::", description="The address to listen on; `::` is every address, of IPv4, too.")
    port: int = Field(3000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    data_dir: Annotated[Path, AfterValidator(absolute)] = Field(
        Path("~/.local/state/comfyserve-solo"),
        validate_default=True,
        description="The folder of what must survive a restart: accepted work, owed webhooks, files of outputs.",
    )
    example: Literal["pod", "none"] = Field("none", description="Not used here.")
    cors_origins: Annotated[str, NoDecode] = Field("", description=Settings.model_fields["cors_origins"].description)
    comfy_home: str = Field(
        default_factory=_home,
        description="The folder of a real ComfyUI to start; empty: `/opt/ComfyUI` where that is, else the embedded "
        "engine.",
    )
    sync_seconds: int = Field(0, ge=0, description="How long a synchronous call waits for its run; 0: for ever.")
    keep_runs: Annotated[int, Field(ge=0)] = Field(
        10_000, description="How many finished runs are kept with their files, to be asked for; 0: all."
    )
    keep_bytes: Annotated[int, Field(ge=0)] = Field(
        10 * 1024**3, description="How much the files of finished runs may hold; the oldest runs go first; 0: no limit."
    )
    durable: Literal["disk", "process"] = Field("process", description=Settings.model_fields["durable"].description)
    max_body_bytes: Annotated[int, Field(gt=0)] = Field(100 * MEBIBYTE, description="The largest request.")
    target_credentials: Literal["callers", "own"] = Field(
        "own", description=Settings.model_fields["target_credentials"].description
    )
    fetch_credentials: Literal["callers", "own"] = Field(
        "own", description=Settings.model_fields["fetch_credentials"].description
    )
    cache_dir: str = Field("~/.cache/comfyui-api", description="Where downloaded files are kept.")
    cache_bytes: Annotated[int, Field(ge=0)] = Field(
        0, description="How much the download cache may hold; the longest unused goes first. 0: as the disk has."
    )

    # ---- who
    api_keys: Annotated[SecretStr, AfterValidator(_keys)] = Field(
        SecretStr(""), description="Keys of which callers must send one, commas between; empty: anybody may call."
    )

    # ---- engine
    restart_engine: bool = Field(
        False, description="Whether an engine that ends is started again; without, solo ends with it."
    )
    warmup_file: Annotated[str, AfterValidator(_json_graph)] = Field(
        "", description="A graph that is run at each start of the engine before the server is ready."
    )
    warmup_url: Annotated[str, AfterValidator(_web_address)] = Field(
        "", description="An address of such a graph; a file wins."
    )
    manifest: Annotated[str, AfterValidator(_file_that_is_there)] = Field(
        "", description="A YAML or JSON file of packages, node packs and models to install at the start."
    )
    manifest_json: str = Field("", description="The same as JSON; it wins over the file.")
    provision_seconds: Positive = Field(
        3600, description="How long one program of the manifest, such as apt-get, uv or git, may take."
    )
    workflow_dir: str = Field("/workflows", description="The folder of custom workflow endpoints.")
    workflow_reload: bool = Field(
        False, description="Whether changed files of that folder are loaded again, for those who write them."
    )
    workflow_variables: str = Field(
        "", description="Names of variables that workflow files in TypeScript and JavaScript may read, with commas."
    )
    markdown_schema: bool = Field(
        True, description="Whether `/docs` shows a table of the inputs of each custom workflow endpoint."
    )

    # ---- runs
    max_queue_depth: Annotated[int, Field(ge=0)] = Field(
        0, description="From how many waiting and running runs on `/ready` says no; nothing is refused. 0: never."
    )
    prepend_filenames: bool = Field(
        True, description="Whether names of outputs keep their prefix behind the request's id."
    )
    strict: bool = Field(False, description="Whether what would be dropped silently is an error instead.")
    cancel_abandoned: bool = Field(
        False, description="Whether a run is cancelled when its synchronous caller has gone."
    )
    accept_seconds: Seconds = Field(
        30, description="How long a call that is answered 202 may wait for its files, so that wrong addresses are told."
    )

    # ---- outside
    proxy_resolves: bool = Field(True, description=Settings.model_fields["proxy_resolves"].description)
    http_auth_header_name: str = Field("", description="A header for requests to `http_auth_hosts`: its name.")
    http_auth_header_value: SecretStr = Field(SecretStr(""), description="Its value.")
    http_auth_hosts: Annotated[str, NoDecode] = Field(
        "",
        description="Hosts that get that header, commas between; `*`: all; empty: those of warmup_url and of the "
        "manifest.",
    )
    system_webhook_url: Annotated[str, AfterValidator(_web_address)] = Field("", description="Where system events go.")
    system_webhook_events: Annotated[str, NoDecode, AfterValidator(_events)] = Field(
        "", description="Which system events go there: `all`, or names with commas between."
    )

    @property
    def cache_folder(self) -> Path:
        """Where the download cache lies."""
        return absolute(Path(self.cache_dir))

    @model_validator(mode="after")
    def _whole_header(self) -> "SoloSettings":
        """Half a header would be sent to nobody, and nobody would know."""
        if bool(self.http_auth_header_name) != bool(self.http_auth_header_value.get_secret_value()):
            raise ValueError("HTTP_AUTH_HEADER_NAME and HTTP_AUTH_HEADER_VALUE belong together; give both, or none")
        return self
