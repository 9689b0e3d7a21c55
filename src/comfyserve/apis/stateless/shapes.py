"""What callers of /prompt and of the workflows send (stateless-comfyui-api.md sections 1.4, 1.7, 3.6)."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """An object of a request. A key that it does not know is put aside: dropped, or refused where the server is strict;
    null is as good as absent."""

    model_config = ConfigDict(extra="allow", strict=True, validate_by_name=False)


class BearerAuth(Part):
    """`Authorization: Bearer <token>`."""

    type: Literal["bearer"]
    token: str = Field(repr=False)


class BasicAuth(Part):
    """`Authorization: Basic`."""

    type: Literal["basic"]
    username: str
    password: str = Field(repr=False)


class HeaderAuth(Part):
    """One header."""

    type: Literal["header"]
    header_name: str
    header_value: str = Field(repr=False)


class QueryAuth(Part):
    """One parameter of the query."""

    type: Literal["query"]
    query_param: str
    query_value: str = Field(repr=False)


class S3Auth(Part):
    """An S3 client of its own."""

    type: Literal["s3"]
    access_key_id: str
    secret_access_key: str = Field(repr=False)
    session_token: str | None = Field(None, repr=False)
    endpoint: str | None = None
    region: str | None = None


class AzureAuth(Part):
    """An Azure storage account, by key or by shared access signature."""

    type: Literal["azure"]
    account_name: str
    account_key: str | None = Field(None, repr=False)
    sas_token: str | None = Field(None, repr=False)
    endpoint: str | None = None


class GcsAuth(Part):
    """A Google service account."""

    type: Literal["gcs"]
    service_account_json: str = Field(repr=False, description="The JSON text of its key.")
    endpoint: str | None = None


DownloadAuth = Annotated[
    BearerAuth | BasicAuth | HeaderAuth | QueryAuth | S3Auth | AzureAuth | GcsAuth, Field(discriminator="type")
]


class CredentialPart(Part):
    """What opens the addresses that a pattern fits: `**` any characters, `*` any but a slash, `?` one."""

    url_pattern: str
    auth: DownloadAuth


class NodePart(Part):
    """A node of a graph in ComfyUI's API form."""

    inputs: Any = Field(default_factory=dict)
    class_type: str
    meta: Any = Field(None, alias="_meta")


class ConvertPart(Part):
    """The form in which pictures are answered."""

    format: Literal["jpeg", "jpg", "webp", "avif", "png"]
    options: dict[str, Any] | None = None


class S3Upload(Part):
    """Objects `s3://<bucket>/<prefix><file name>`."""

    bucket: str
    prefix: str
    is_async: bool = Field(False, alias="async")


class HfUpload(Part):
    """Files of a Hugging Face repository."""

    repo: str
    repo_type: Literal["model", "dataset"] = "model"
    revision: str = "main"
    directory: str = "/"
    is_async: bool = Field(False, alias="async")


class AzureUpload(Part):
    """Blobs `<container>/<blob_prefix><file name>`."""

    container: str
    blob_prefix: str = ""
    is_async: bool = Field(False, alias="async")


class HttpUpload(Part):
    """A PUT of each file to `<url_prefix>/<file name>`."""

    url_prefix: str
    is_async: bool = Field(False, alias="async")


class StorageUpload(Part):
    """Files `<url>/<file name>` of a storage that the operator has added."""

    url: str
    is_async: bool = Field(False, alias="async")


class Wish(Part):
    """Everything of a request but what is run."""

    id: str | None = Field(None, description="Your own name for the request; a random one by default.")
    webhook: str | None = Field(None, description="Deprecated: use webhook_v2.")
    webhook_v2: str | None = Field(None, description="Where the result is posted, signed; the answer is then 202.")
    convert_output: ConvertPart | None = None
    credentials: list[CredentialPart] | None = Field(None, repr=False)
    s3: S3Upload | None = None
    hf_upload: HfUpload | None = None
    azure_blob_upload: AzureUpload | None = None
    http_upload: HttpUpload | None = None
    storage_upload: StorageUpload | None = None


class PromptBody(Wish):
    """A graph to run."""

    prompt: dict[str, NodePart]


class WorkflowBody(Wish):
    """The input of a workflow to run."""

    input: Any


def strangers(part: Part, path: str = "body") -> Iterator[str]:
    """The paths of the keys that nobody knows, at every level."""
    for key in part.model_extra or {}:
        yield f"{path}/{key}"
    for name, field in type(part).model_fields.items():
        for place, item in _parts(getattr(part, name), f"{path}/{field.alias or name}"):
            yield from strangers(item, place)


def _parts(value: Any, path: str) -> Iterator[tuple[str, Part]]:
    """The parts that a field holds, with their paths."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(f"{path}/{key}", item) for key, item in items] or [(path, value)]
    yield from ((place, item) for place, item in found if isinstance(item, Part))
