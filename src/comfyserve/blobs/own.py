"""The operator's own bucket: where it is, and the credentials of the standard environment variables."""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from obstore.store import AzureStore, GCSStore, S3Store

from comfyserve.blobs.stream import Store
from comfyserve.core.bucket_settings import own_options
from comfyserve.core.buckets import BucketKind, read_location
from comfyserve.core.errors import InvalidInput

CONNECT_SECONDS = 10
RETRIES = 4
FIRST_WAIT, LONGEST_WAIT = timedelta(milliseconds=200), timedelta(seconds=5)
POOL_IDLE = timedelta(seconds=30)

ONLY_OURS = (
    "AWS_SERVER_SIDE_ENCRYPTION",
    "AWS_SSE_KMS_KEY_ID",
    "AWS_SSE_BUCKET_KEY_ENABLED",
    "AWS_SSE_CUSTOMER_KEY_BASE64",
    "AWS_REQUEST_PAYER",
)
"""What obstore puts into the requests of every client that it makes, whatever it is told: the key to our files, too."""


@dataclass(frozen=True)
class Service:
    """A kind of object store: how it is opened, and the words that tell an operator what to set."""

    name: str
    open: Callable[..., Store]
    endpoint: str
    credentials: str
    place: str


S3 = Service(
    "S3",
    S3Store,
    "endpoint",
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "AWS_REGION or AWS_ENDPOINT_URL",
)
AZURE = Service(
    "Azure",
    AzureStore,
    "endpoint",
    "AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY",
    "AZURE_STORAGE_ENDPOINT",
)
GCS = Service("GCS", GCSStore, "base_url", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_BASE_URL")
SERVICES: Mapping[BucketKind, Service] = {"s3": S3, "azure": AZURE, "gcs": GCS}


@dataclass(frozen=True)
class Opened:
    """A bucket that is ready for use. `own_endpoint`: it is not at its provider's public address; `signs`: its
    credentials can sign links (an Azure SAS token cannot)."""

    store: Store
    service: Service
    bucket: str
    own_endpoint: bool
    signs: bool = True


def open_own(location: str, environment: Mapping[str, str], *, idle_seconds: float) -> Opened:
    """The bucket of a location, with the operator's credentials. Nothing is asked over the network yet.

    Raises InvalidInput for a location or credentials that cannot be.
    """
    place = read_location(location)
    service = SERVICES[place.kind]
    given = own_options(place.kind, environment)
    endpoint = given.get(service.endpoint, "")
    try:
        store = service.open(
            place.bucket,
            prefix=place.prefix or None,
            config=given,
            client_options=client_options(idle_seconds, plain_http=endpoint.startswith("http://")),
            retry_config=retries(idle_seconds),
        )
    except Exception:  # obstore's words may quote a key.
        raise InvalidInput(
            f"The storage {location} cannot be opened with the credentials that are set. Check {service.credentials}."
        ) from None
    signs = service is not AZURE or "account_key" in given or "sas_key" not in given
    return Opened(store, service, place.bucket, bool(endpoint), signs)


def hide_from_callers(environment: MutableMapping[str, str]) -> None:
    """Remove from the process's environment, once our own bucket is opened, what clients made for callers would show
    to the places that callers name."""
    for name in ONLY_OURS:
        environment.pop(name, None)


def client_options(idle_seconds: float, *, plain_http: bool) -> dict[str, Any]:
    """How long an HTTP client waits: `idle_seconds` for an answer to begin and between two pieces of it."""
    return {
        "allow_http": plain_http,
        "connect_timeout": timedelta(seconds=min(CONNECT_SECONDS, idle_seconds)),
        "read_timeout": timedelta(seconds=idle_seconds),
        "timeout": timedelta(days=1),
        "pool_idle_timeout": POOL_IDLE,
    }


def retries(seconds: float, tries: int = RETRIES) -> dict[str, Any]:
    """Try again with back-off what a store could not do at the moment, begun within these seconds."""
    return {
        "max_retries": tries,
        "retry_timeout": timedelta(seconds=seconds),
        "backoff": {"init_backoff": FIRST_WAIT, "max_backoff": LONGEST_WAIT, "base": 2},
    }
