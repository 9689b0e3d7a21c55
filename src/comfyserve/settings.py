"""The table of settings: name, default, help. Read once, at the top; nothing below `app` reads a setting.

Each is an environment variable COMFYSERVE_<NAME> and a line in comfyserve.toml of the working directory; the
environment wins, a flag wins over both.
"""

import json
import os
import re
import secrets
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from comfyserve.core.buckets import read_location
from comfyserve.core.errors import Conflict, InvalidInput
from comfyserve.core.headers import is_name, is_value
from comfyserve.core.redaction import without_logins as without_logins
from comfyserve.core.signing import read_key
from comfyserve.originals import ORIGINALS, Original, said_by, variables_for

PREFIX = "COMFYSERVE_"
FILE = "comfyserve.toml"
SECRET_FILE = "secret.key"
DATABASE_FILE = "comfyserve.db"
SHORTEST_SECRET = 32
SHORTEST_KEY = 8
ADMIN_KEY_FILE = "admin.key"
CACHE_FOLDER = "cache"

WEB_ADDRESS = re.compile(r"https?://[^/\s@?#]+(/[^\s@?#]*)?")
ORIGIN = re.compile(r"https?://[^/\s]+")
_GPU = r"(?:\d{1,3}|(?:GPU|MIG)-[A-Za-z0-9/-]+)"
GPUS = re.compile(rf"auto|none|{_GPU}(\s*,\s*{_GPU})*")

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(ge=0)]


def absolute(path: Path) -> Path:
    """The whole path, with `~` as the home folder."""
    return path.expanduser().resolve()


def _bucket(place: str) -> str:
    try:
        if place:
            read_location(place)
    except InvalidInput as error:
        raise ValueError(error.message) from error
    return place


def _words(line: str) -> str:
    try:
        shlex.split(line)
    except ValueError as error:
        raise ValueError(f"this is no line of a shell: {error}") from error
    return line


def _gpus(wanted: str) -> str:
    if not GPUS.fullmatch(wanted):
        raise ValueError("write auto, none, or the numbers or ids of GPUs with commas between, such as 0,1")
    return wanted


def _headers(text: SecretStr) -> SecretStr:
    read_headers(text.get_secret_value())
    return text


def _web_address(text: str) -> str:
    if not WEB_ADDRESS.fullmatch(text):
        raise ValueError("write an http or https address without user and password, as in https://huggingface.co")
    return text.rstrip("/")


def _origins(text: str) -> str:
    for origin in text.replace(",", " ").split():
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin; write scheme, host and port, as in http://127.0.0.1:8188")
    return text


def _long_enough(key: SecretStr) -> SecretStr:
    if 0 < len(key.get_secret_value().strip()) < SHORTEST_KEY:
        raise ValueError(f"a key has at least {SHORTEST_KEY} characters")
    return key


def _base64_key(secret: SecretStr) -> SecretStr:
    if secret.get_secret_value() and not read_key(secret.get_secret_value()):
        raise ValueError("write a key in base64, as in whsec_ and 32 characters of it")
    return secret


class Settings(BaseSettings):
    """Every setting with its default and a sentence of help. Times are seconds, sizes are bytes; 0 means no limit
    where the help says so."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, toml_file=FILE, extra="ignore")
    originals: ClassVar[Sequence[Original]] = ORIGINALS

    # ---- where
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(3011, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    public_url: str = Field("", description="The address at which callers reach this server; empty: host and port.")
    data_dir: Annotated[Path, AfterValidator(absolute)] = Field(
        Path("data"), description="The folder of the database, the files, the keys and the embedded engine."
    )
    database: str = Field("", description="The database's URL, SQLite so far; empty: a file in the data directory.")
    blobs: Annotated[str, AfterValidator(_bucket)] = Field(
        "",
        description="Where files are kept: `s3://bucket/prefix`, `az://container/prefix` or `gs://bucket/prefix`, with "
        "the credentials of the usual environment variables; empty: a folder in the data directory.",
    )
    file_links: Literal["auto", "redirect", "proxy"] = Field(
        "auto",
        description="How files in a bucket reach callers: `redirect` to links that the bucket signs, `proxy` through "
        "this server, `auto`: redirect, unless the bucket is at an endpoint of your own.",
    )
    example: Literal["pod", "none"] = Field("pod", description="What the first start deploys.")

    # ---- who
    admin_key: Annotated[SecretStr, AfterValidator(_long_enough)] = Field(
        SecretStr(""), description="The API key that the first start gives the admin; empty: a random one."
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Signs the URLs of files and encrypts credentials of runs; empty: a random one, kept in the data "
        "directory.",
    )
    sign_in_seconds: Positive = Field(900, description="How long a one-time sign-in link works.")
    session_days: Positive = Field(30, description="How long a browser stays signed in.")
    file_url_seconds: Positive = Field(7 * 24 * 3600, description="How long the signed URL of a file works.")

    cors_origins: Annotated[str, NoDecode, AfterValidator(_origins)] = Field(
        "*",
        description="Sites whose scripts may call the APIs with a key, such as a ComfyUI with the Deploy panel: `*` "
        "for all, or a list such as `http://127.0.0.1:8188`; empty: none. The cookie of a session never counts there.",
    )

    # ---- engine
    comfy_home: str = Field("", description="The folder of a real ComfyUI to start; empty: the embedded engine.")
    comfy_args: Annotated[str, AfterValidator(_words)] = Field(
        "", description="Arguments added to the command that starts the real ComfyUI, such as `--cpu` or `--lowvram`."
    )
    comfy_command: Annotated[str, AfterValidator(_words)] = Field(
        "",
        description="The command that starts the real ComfyUI; empty: `python main.py` in its folder. A fresh port "
        "takes the place of `{port}` in it; without, it must listen at comfy_host and comfy_port, which it is told as "
        "DIRECT_ADDRESS and COMFYUI_PORT_HOST.",
    )
    comfy_host: str = Field("127.0.0.1", description="Where a command without `{port}` listens.")
    comfy_port: Annotated[int, Field(gt=0, le=65535)] = Field(
        8188, description="The port of a command without `{port}`; that of a second engine is the next one."
    )
    comfy_input: str = Field("", description="The input folder of the real ComfyUI; empty: in comfy_home.")
    comfy_output: str = Field("", description="The output folder of the real ComfyUI; empty: in comfy_home.")
    comfy_models: str = Field(
        "", description="The folder of the real ComfyUI's models as this machine sees it; empty: in comfy_home."
    )
    comfy_env: str = Field(
        "", description="Names of variables, such as `HF_HOME`, that the real ComfyUI sees besides the usual ones."
    )
    comfy_url: str = Field(
        "", description="The URL of a ComfyUI that runs already, or several; wins over comfy_home and comfy_command."
    )
    comfy_headers: Annotated[SecretStr, AfterValidator(_headers)] = Field(
        SecretStr(""),
        description="Headers for every request to comfy_url, such as `Authorization: Bearer ...`; a line each, or a "
        "JSON object.",
    )
    gpus: Annotated[str, NoDecode, AfterValidator(_gpus)] = Field(
        "auto",
        description="Which GPUs get an engine of the real ComfyUI each: `auto` for all that are there, `none` for one "
        "engine that sees what it sees, or a list such as `0,1`.",
    )
    workers: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="How many engines run here; 0: one for each GPU or URL, and one embedded engine."
    )
    work_here: bool = Field(
        True, description="Whether `up` has workers of its own; without, `comfyserve worker` does the work."
    )
    comfy_source: str = Field(
        "https://github.com/comfyanonymous/ComfyUI", description="Where `engine install` takes ComfyUI from, by git."
    )
    comfy_cli: str = Field(
        "", description="The comfy-cli that `engine install` uses; empty: one of its own, made when it is needed."
    )
    engine_start_seconds: Positive = Field(300, description="How long an engine may take to answer after its start.")
    simulated_step_ms: Annotated[int, Field(ge=0)] = Field(
        40, description="What a step of a simulated sampler costs on the embedded engine, in milliseconds."
    )
    engine_work_ms: Annotated[int, Field(ge=0)] = Field(
        0, description="Extra milliseconds that the embedded engine spends on every run, for measurements."
    )

    embedded_args: Annotated[str, AfterValidator(_words)] = Field(
        "", description="Arguments added to the embedded engine's command, such as `--fault crash,step=3`."
    )

    # ---- runs
    max_queued: Positive = Field(20_000, description="How many runs may wait for one machine.")
    max_attempts: Positive = Field(3, description="How often a run is tried when workers or engines are lost.")
    queue_seconds: Seconds = Field(24 * 3600, description="How long a run may wait in the queue; 0: for ever.")
    start_seconds: Seconds = Field(
        600, description="How long getting a run's files ready may take, while no model arrives; 0: for ever."
    )
    run_seconds: Seconds = Field(3600, description="How long a run may execute; 0: for ever.")
    heartbeat_seconds: Seconds = Field(
        300, description="How long an executing engine may give no sign of life; 0: for ever."
    )
    lease_seconds: Positive = Field(30, description="How long a claim holds without a renewal.")
    runs_ahead: Annotated[int, Field(ge=0, le=8)] = Field(
        1, description="How many runs are made ready while another executes."
    )
    drain_seconds: Seconds = Field(30, description="How long a stop waits for running work.")
    sync_seconds: Positive = Field(600, description="How long a sync call waits for its run.")
    keep_runs: Annotated[int, Field(ge=0)] = Field(
        100_000, description="How many finished runs are kept with their files; older ones are deleted; 0: all."
    )
    keep_bytes: Annotated[int, Field(ge=0)] = Field(
        0, description="How much the files of finished runs may hold; the oldest runs go first; 0: as much as there is."
    )
    durable: Literal["disk", "process"] = Field(
        "disk",
        description="What an accepted run and its files survive: `disk`: a power cut, too; `process`: the death of any "
        "process, and runs are quicker.",
    )

    # ---- limits
    max_body_bytes: Positive = Field(32 * 1024 * 1024, description="The largest JSON request.")
    max_upload_bytes: Positive = Field(250 * 1024 * 1024, description="The largest uploaded or fetched input.")
    max_output_bytes: Positive = Field(4 * 1024**3, description="The largest file of an output.")
    storage_seconds: Seconds = Field(
        120, description="How long a storage, or a caller's target, may stand still or owe an answer; 0: for ever."
    )
    collect_seconds: Seconds = Field(
        3600,
        description="How long converting and storing the outputs of a run may take, and sending them to a target again "
        "as long; 0: for ever.",
    )
    conversions_at_once: Annotated[int, Field(ge=1, le=64)] = Field(
        2, description="How many pictures are converted at the same time, each by a process of its own."
    )
    conversion_seconds: Positive = Field(120, description="How long converting one picture may take.")
    max_streams: Positive = Field(1000, description="How many event streams and sync calls may be open at once.")

    # ---- outside
    allow_private_network: Annotated[str, NoDecode] = Field(
        "off", description="Private addresses that callers may name: off, on, or a list of hosts and networks."
    )
    proxy_resolves: bool = Field(
        False,
        description="Whether a host that cannot be looked up here is left to the forward proxy (HTTP_PROXY), which may "
        "know names of your own network.",
    )
    fetch_seconds: Positive = Field(120, description="How long fetching one input from a URL may take.")
    model_seconds: Positive = Field(7200, description="How long fetching one model from a URL may take.")
    max_model_bytes: Positive = Field(
        32 * 1024**3, description="The largest model that is fetched; it must leave room in the download cache."
    )
    downloads_at_once: Positive = Field(
        8, description="How many inputs are downloaded at the same time, and how many models besides."
    )
    target_credentials: Literal["callers", "own"] = Field(
        "callers",
        description="Whose credentials write to a target of a caller who gives none: `callers`: nobody's, a run is "
        "refused; `own`: this server's for buckets and Hugging Face, for callers whom you trust with all they open.",
    )
    fetch_credentials: Literal["callers", "own"] = Field(
        "callers",
        description="Whose credentials read from buckets for a caller who gives none: `callers`: nobody's, only public "
        "files are read; `own`: this server's, so that every caller reads what they open, but for its own files.",
    )
    hf_token: SecretStr = Field(
        SecretStr(""),
        description="The token with which models and inputs are read from Hugging Face for callers who give none.",
    )
    hf_endpoint: Annotated[str, AfterValidator(_web_address)] = Field(
        "https://huggingface.co", description="The Hugging Face hub, or a mirror of it, which may be private."
    )

    # ---- webhooks
    webhook_secret: Annotated[SecretStr, AfterValidator(_base64_key)] = Field(
        SecretStr(""),
        description="Signs webhooks as Standard Webhooks asks: a key in base64, with or without `whsec_` before it; "
        "empty: they are not signed.",
    )
    webhook_secret_prefix: Literal["strip", "keep"] = Field(
        "strip",
        description="Whether `whsec_` is a mark before the key, or `keep`: its first characters, as in comfyui-api.",
    )
    webhook_tries: Annotated[int, Field(ge=0, le=100)] = Field(
        9, description="How often a webhook is sent until it is taken, over hours; 0: none is sent."
    )

    # ---- download cache
    cache_dir: str = Field("", description="Where downloaded files are kept; empty: `cache` in the data directory.")
    cache_bytes: Annotated[int, Field(ge=0)] = Field(
        64 * 1024**3,
        description="How much the download cache may hold; the longest unused goes first. 0: as much as the disk has.",
    )
    cache_fresh_seconds: Seconds = Field(
        60, description="How long a fetched input is used again without asking its origin whether it has changed."
    )

    # ---- logs
    log_format: Literal["auto", "console", "json"] = Field("auto", description="How log lines look; auto: by terminal.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least severe line logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file, then the variables of comfyui-api."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls), _Originals(settings_cls)

    @property
    def database_url(self) -> str:
        """The database: the configured URL, or the path of a file in the data directory."""
        return self.database or str(self.data_dir / DATABASE_FILE)

    @property
    def webhook_key(self) -> bytes:
        """What signs webhooks; empty: nothing does."""
        return read_key(self.webhook_secret.get_secret_value(), self.webhook_secret_prefix)

    @property
    def cache_folder(self) -> Path:
        """Where the download cache lies."""
        return absolute(Path(self.cache_dir)) if self.cache_dir else self.data_dir / CACHE_FOLDER

    @property
    def secret_file(self) -> Path:
        """Where a generated secret key is kept."""
        return self.data_dir / SECRET_FILE

    @property
    def admin_key_file(self) -> Path:
        """Where the admin's key is kept for the CLI of the same user."""
        return self.data_dir / ADMIN_KEY_FILE


class _Originals(PydanticBaseSettingsSource):
    """What the variables of comfyui-api say."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value of one setting."""
        return said_by(os.environ, _originals(self.settings_cls)).get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All that they say."""
        fields = self.settings_cls.model_fields
        return {
            name: value for name, value in said_by(os.environ, _originals(self.settings_cls)).items() if name in fields
        }


def borrowed(settings: Settings) -> dict[str, str]:
    """The settings that hold because a variable of comfyui-api says so, with its name."""
    return {
        name: ", ".join(_set_variables(name, settings.originals))
        for name, value in said_by(os.environ, settings.originals).items()
        if name in settings.model_fields_set and _text(getattr(settings, name)) == value and not _ours(name)
    }


def variable_of(name: str, given: Any, originals: Sequence[Original]) -> str:
    """The variable that gave a setting this value: one of comfyui-api, or ours."""
    if _ours(name) or said_by(os.environ, originals).get(name) != given:
        return f"{PREFIX}{name.upper()}"
    return ", ".join(_set_variables(name, originals))


def _set_variables(name: str, originals: Sequence[Original]) -> list[str]:
    return [variable for variable in variables_for(name, originals) if os.environ.get(variable)]


def _originals(settings: type[BaseSettings]) -> Sequence[Original]:
    found: Sequence[Original] = getattr(settings, "originals", ORIGINALS)
    return found


def _ours(name: str) -> bool:
    return any(variable.lower() == f"{PREFIX}{name}".lower() for variable in os.environ)


def _text(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def read_headers(text: str) -> dict[str, str]:
    """Headers from `Name: value` lines or a JSON object. Raises ValueError, without any value."""
    text = text.strip()
    try:
        given = json.loads(text) if text.startswith("{") else dict(map(_header, text.splitlines()))
    except json.JSONDecodeError:
        raise ValueError("this is no JSON object of headers") from None
    for name, value in given.items():
        if not is_name(name) or not isinstance(value, str) or not is_value(value):
            raise ValueError("write a header as `Name: value`; this is none")
    return dict(given)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    return (name.strip() if colon else ""), value.strip()


S = TypeVar("S", bound=Settings)


def read_settings(**flags: Any) -> Settings:
    """The settings of this process. A flag that is None was not given. Raises pydantic.ValidationError."""
    return read_as(Settings, **flags)


def read_as(kind: type[S], **flags: Any) -> S:
    """The same of another table of settings."""
    return kind(**{name: value for name, value in flags.items() if value is not None})


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; a crash or a full disk leaves the old one, or none, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)  # mkstemp gives the file to its owner alone
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def secret_of(settings: Settings) -> str:
    """The secret key: the configured one, or one that is generated once and kept in the data directory.

    Raises Conflict when the kept one is empty: signing with it would let anybody forge URLs.
    """
    if given := settings.secret_key.get_secret_value():
        return given
    if not settings.secret_file.exists():
        write_private(settings.secret_file, secrets.token_urlsafe(48))
    kept = settings.secret_file.read_text().strip()
    if len(kept) < SHORTEST_SECRET:
        raise Conflict(f"{settings.secret_file} is empty or cut off. Remove it to have a new one made.")
    return kept
