"""A caller's own place for the outputs of a run: a bucket, a Hugging Face repository, a prefix for HTTP PUT.

The fields are comfyui-api's (stateless-comfyui-api.md section 1.4), with the caller's credentials besides. Without
credentials the server's own are used, where the operator has given it some.
"""

from dataclasses import dataclass
from typing import Literal

from comfyserve.core.credentials import Auth


@dataclass(frozen=True)
class S3Target:
    """Objects `s3://<bucket>/<prefix><name>`; no slash is put between."""

    bucket: str
    prefix: str = ""
    auth: Auth | None = None


@dataclass(frozen=True)
class AzureTarget:
    """Blobs `<account>/<container>/<blob_prefix><name>`."""

    container: str
    blob_prefix: str = ""
    auth: Auth | None = None


@dataclass(frozen=True)
class GcsTarget:
    """Objects `gs://<bucket>/<prefix><name>`."""

    bucket: str
    prefix: str = ""
    auth: Auth | None = None


@dataclass(frozen=True)
class HfTarget:
    """Files of a Hugging Face repository (`owner/name`) at a revision, below a directory."""

    repo: str
    repo_type: Literal["model", "dataset"] = "model"
    revision: str = "main"
    directory: str = "/"
    auth: Auth | None = None


@dataclass(frozen=True)
class HttpTarget:
    """PUT to `<url_prefix>/<name>`."""

    url_prefix: str
    auth: Auth | None = None


TargetWish = S3Target | AzureTarget | GcsTarget | HfTarget | HttpTarget
