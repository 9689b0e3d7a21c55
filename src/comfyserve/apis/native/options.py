"""What a run may ask for besides its graph: credentials for its addresses, the form of its outputs, a place for them.

The shapes are for the description of the API and its first check; `core` reads what they hold. None of it is echoed
but the conversion, and the target without what opens it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from comfyserve.apis.native.shapes import Body, Shape, absent
from comfyserve.core.conversion import FORMATS, Conversion, read_conversion
from comfyserve.core.credentials import MAX_CREDENTIALS, MAX_SERVICE_ACCOUNT, read_credentials
from comfyserve.core.limits import MAX_TOKEN, MAX_URL
from comfyserve.core.options import RunOptions
from comfyserve.core.targets import read_target

MAX_OPTIONS = 20
WRITE_ONLY = {"format": "password", "writeOnly": True}

Word = Annotated[str, Field(max_length=MAX_TOKEN)]
Address = Annotated[str, Field(max_length=MAX_URL)]
Secret = Annotated[str, Field(max_length=MAX_TOKEN, json_schema_extra=WRITE_ONLY)]
Key = Annotated[str, Field(max_length=MAX_SERVICE_ACCOUNT, json_schema_extra=WRITE_ONLY)]


class BearerAuthBody(Body):
    """`Authorization: Bearer <token>`; also a Hugging Face token."""

    type: Literal["bearer"]
    token: Secret


class BasicAuthBody(Body):
    """`Authorization: Basic`."""

    type: Literal["basic"]
    username: Word
    password: Secret


class HeaderAuthBody(Body):
    """One header of the caller's choice."""

    type: Literal["header"]
    header_name: Word
    header_value: Secret


class QueryAuthBody(Body):
    """One parameter of the query, set or replaced."""

    type: Literal["query"]
    query_param: Word
    query_value: Secret


class S3AuthBody(Body):
    """Keys of S3 or of a store that speaks its protocol, which `endpoint` names."""

    type: Literal["s3"]
    access_key_id: Word
    secret_access_key: Secret
    session_token: Secret | None = None
    endpoint: Address | None = None
    region: Word | None = None


class AzureAuthBody(Body):
    """An Azure storage account, by key or by shared access signature."""

    type: Literal["azure"]
    account_name: Word
    account_key: Secret | None = None
    sas_token: Secret | None = None
    endpoint: Address | None = None


class GcsAuthBody(Body):
    """A Google service account: the JSON text of its key."""

    type: Literal["gcs"]
    service_account_json: Key
    endpoint: Address | None = None


HttpAuth = Annotated[BearerAuthBody | BasicAuthBody | HeaderAuthBody | QueryAuthBody, Field(discriminator="type")]
AnyAuth = Annotated[
    BearerAuthBody | BasicAuthBody | HeaderAuthBody | QueryAuthBody | S3AuthBody | AzureAuthBody | GcsAuthBody,
    Field(discriminator="type"),
]


class CredentialBody(Body):
    """What opens the addresses that a pattern fits: `**` any characters, `*` any but a slash, `?` one."""

    url_pattern: str = Field(min_length=1, max_length=MAX_URL, examples=["https://models.example.com/**"])
    auth: AnyAuth


class S3TargetBody(Body):
    """Objects `s3://<bucket>/<prefix><name>`; no slash is put between."""

    type: Literal["s3"]
    bucket: Address
    prefix: Address = ""
    auth: S3AuthBody | None = None


class AzureTargetBody(Body):
    """Blobs `<account>/<container>/<blob_prefix><name>`."""

    type: Literal["azure"]
    container: Address
    blob_prefix: Address = ""
    auth: AzureAuthBody | None = None


class GcsTargetBody(Body):
    """Objects `gs://<bucket>/<prefix><name>`."""

    type: Literal["gcs"]
    bucket: Address
    prefix: Address = ""
    auth: GcsAuthBody | None = None


class HfTargetBody(Body):
    """Files of a Hugging Face repository (`owner/name`), below a directory."""

    type: Literal["hf"]
    repo: Address
    repo_type: Literal["model", "dataset"] = "model"
    revision: Address = "main"
    directory: Address = "/"
    auth: BearerAuthBody | None = None


class HttpTargetBody(Body):
    """A PUT of each file to `<url_prefix>/<name>`."""

    type: Literal["http"]
    url_prefix: Address
    auth: HttpAuth | None = None


AnyTarget = Annotated[
    S3TargetBody | AzureTargetBody | GcsTargetBody | HfTargetBody | HttpTargetBody, Field(discriminator="type")
]


class ConvertOutput(Body):
    """The format in which pictures are stored, with its options; other files stay as they are."""

    format: Literal["jpeg", "jpg", "webp", "avif", "png"]
    options: dict[str, bool | int | float | str] = Field(
        default_factory=dict,
        max_length=MAX_OPTIONS,
        description=". ".join(
            f"{name}: " + "; ".join(f"`{option}`, {kind}" for option, kind in options.items())
            for name, options in FORMATS.items()
            if name != "jpg"
        ),
        examples=[{"quality": 85}],
    )


class TargetShape(Shape):
    """The caller's own place that the outputs of a run are copied to, without what opens it."""

    type: str
    bucket: str | None = Field(None, exclude_if=absent)
    prefix: str | None = Field(None, exclude_if=absent)
    container: str | None = Field(None, exclude_if=absent)
    blob_prefix: str | None = Field(None, exclude_if=absent)
    repo: str | None = Field(None, exclude_if=absent)
    repo_type: str | None = Field(None, exclude_if=absent)
    revision: str | None = Field(None, exclude_if=absent)
    directory: str | None = Field(None, exclude_if=absent)
    url_prefix: str | None = Field(None, exclude_if=absent)


class WithOptions(Body):
    """The fields of a submit that this module reads."""

    credentials: list[CredentialBody] = Field(
        default_factory=list,
        max_length=MAX_CREDENTIALS,
        repr=False,
        description="Open private addresses among the run's models and inputs; the first pattern that fits counts. "
        "Kept encrypted until the run has ended, never shown.",
    )
    convert_output: ConvertOutput | None = None
    target: AnyTarget | None = Field(
        None,
        repr=False,
        description="Where the outputs go instead; what opens it is kept encrypted until the run has ended.",
    )


def options_of(body: WithOptions) -> RunOptions:
    """The options that a body asks for. Raises InvalidInput; it quotes no secret."""
    target = body.target
    return RunOptions(
        credentials=read_credentials([_plain(one) for one in body.credentials]),
        convert=conversion_of(body.convert_output),
        target=None if target is None else read_target(_plain(target)),
    )


def conversion_of(body: ConvertOutput | None) -> Conversion | None:
    """What a body asks for. Raises InvalidInput."""
    return None if body is None else read_conversion(_plain(body))


def convert_shape(view: Mapping[str, Any] | None) -> ConvertOutput | None:
    """The wire shape of what was asked for."""
    return None if view is None else ConvertOutput.model_construct(**view)


def _plain(body: Body) -> dict[str, Any]:
    return body.model_dump(exclude_none=True)
