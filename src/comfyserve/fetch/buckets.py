"""Clients of object stores, with a caller's credentials, the server's own, or none.

obstore reads the process's environment whatever it is given, so everything that matters is said explicitly: a caller's
key must not go out with the server's session token, nor to an endpoint that the caller did not mean.
"""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from yarl import URL

from comfyserve.core.bucket_settings import own_options
from comfyserve.core.credentials import Auth, AzureAuth, GcsAuth, S3Auth, is_account, is_region
from comfyserve.core.errors import FetchRefused
from comfyserve.fetch.bucket_url import Place

CONNECT_SECONDS = 10
IDLE_SECONDS = 60
TOKEN_SECONDS = 3600
MAX_KEY_BITS = 4096
MAX_KEY_TEXT = 4_000
"""Characters of a private key; one of 4096 bits has 3,272."""
DEFAULT_REGION = "us-east-1"
GCS_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
GCS_ENDPOINT = "https://storage.googleapis.com"

AWS_ROLE = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
AZURE_ROLE = (
    "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_CLIENT_ID",
    "AZURE_MSI_ENDPOINT",
)
"""Variables by which an operator gives the server an identity that obstore itself knows how to use."""

TOKEN_PLACES = ("169.254.170.2:80", "169.254.170.23:80")
"""Where a container's role is asked for; trusted when AWS_CONTAINER_CREDENTIALS_* name it."""

AZURE_TOKEN_PLACE = "169.254.169.254:80"
"""Where a machine's own identity is asked for, when nothing else opens the server's account."""

Store = Any
"""A store of obstore: S3Store, AzureStore or GCSStore."""


@dataclass(frozen=True)
class OpenedBucket:
    """What `client` needs: the class's options, and the `host:port` that the operator configured."""

    kind: str
    options: Mapping[str, Any]
    trusted: tuple[str, ...] = ()


def plan(place: Place, auth: Auth | None, own: Mapping[str, str]) -> OpenedBucket:
    """How a bucket is opened: with the caller's credentials at the place that they name or at the provider's, else with
    the server's own from its environment `own`, else without any. Raises FetchRefused for credentials of another kind.
    """
    if auth is not None:
        _check_words(auth)
        own = {}
    by_kind = {"s3": _plan_s3, "azure": _plan_azure, "gcs": _plan_gcs}
    return by_kind[place.kind](place, auth, own)


def client(opened: OpenedBucket, proxy_url: str, idle_seconds: float = IDLE_SECONDS) -> Store:
    """A client whose every connection goes through a proxy. Raises FetchRefused when the credentials cannot be used."""
    from obstore.store import AzureStore, GCSStore, S3Store

    endpoint = str(opened.options.get("endpoint") or opened.options.get("base_url") or "")
    stores: Mapping[str, Any] = {"s3": S3Store, "azure": AzureStore, "gcs": GCSStore}
    try:
        return stores[opened.kind](
            **opened.options,
            client_options={
                "proxy_url": proxy_url,
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=min(CONNECT_SECONDS, idle_seconds)),
                "read_timeout": timedelta(seconds=idle_seconds),
                "timeout": timedelta(days=1),
            },
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=idle_seconds)},
        )
    except Exception as error:
        raise FetchRefused("These credentials are not valid for an object store.") from error


def own_azure_account(own: Mapping[str, str]) -> str:
    """The server's own Azure account; empty when it has none."""
    return own_options("azure", own).get("account_name", "")


def own_azure_endpoint(own: Mapping[str, str]) -> str:
    """Where the server's own Azure account is; empty for Microsoft's usual address of it."""
    return own_options("azure", own).get("endpoint", "")


def _plan_s3(place: Place, auth: Auth | None, own: Mapping[str, str]) -> OpenedBucket:
    if auth is not None and not isinstance(auth, S3Auth):
        raise FetchRefused("S3 buckets are opened with credentials of the type s3.")
    mine = own_options("s3", own)
    own_endpoint = mine.get("endpoint", "")
    given = auth.endpoint if auth is not None and auth.endpoint else ""
    region = place.region or (auth.region if auth is not None else "") or mine.get("region") or DEFAULT_REGION
    endpoint = given or own_endpoint or f"https://s3.{region}.amazonaws.com"
    options: dict[str, Any] = {
        "bucket": place.bucket,
        "region": region,
        "endpoint": _endpoint(endpoint),
        "virtual_hosted_style_request": False,
        "skip_signature": False,
    }
    trusted = _places(own_endpoint) if not given else ()
    if auth is not None:
        options["credential_provider"] = _always(
            access_key_id=auth.access_key_id,
            secret_access_key=auth.secret_access_key,
            token=auth.session_token or None,
        )
    elif "access_key_id" in mine and "secret_access_key" in mine:
        options["credential_provider"] = _always(
            access_key_id=mine["access_key_id"],
            secret_access_key=mine["secret_access_key"],
            token=mine.get("session_token"),
        )
    elif any(own.get(name) for name in AWS_ROLE):
        trusted += (*TOKEN_PLACES, *_places(own.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")))
    else:
        options["skip_signature"] = True
    return OpenedBucket("s3", options, trusted)


def _plan_azure(place: Place, auth: Auth | None, own: Mapping[str, str]) -> OpenedBucket:
    if auth is not None and not isinstance(auth, AzureAuth):
        raise FetchRefused("Azure containers are opened with credentials of the type azure.")
    mine = own_options("azure", own)
    account = (auth.account_name if auth is not None else "") or place.account or mine.get("account_name", "")
    if not account:
        raise FetchRefused("The URL names no Azure account. Give credentials of the type azure with account_name.")
    if account != mine.get("account_name"):
        mine = {}
    given = (auth.endpoint if auth is not None else "") or ""
    own_endpoint = mine.get("endpoint", "")
    options: dict[str, Any] = {
        "container_name": place.bucket,
        "account_name": account,
        "endpoint": _endpoint(given or own_endpoint or f"https://{account}.blob.core.windows.net"),
        "use_emulator": False,
        "skip_signature": False,
    }
    if auth is not None:
        options |= _azure_key(auth.account_key, auth.sas_token) or {"skip_signature": True}
    elif mine:
        role = any(own.get(name) for name in AZURE_ROLE)
        options |= _azure_key(mine.get("account_key"), mine.get("sas_key")) or {"skip_signature": not role}
    else:
        options["skip_signature"] = True
    trusted = () if given else _places(own_endpoint)
    if options["skip_signature"] is False and "credential_provider" not in options:
        trusted += (AZURE_TOKEN_PLACE, *_places(own.get("AZURE_MSI_ENDPOINT", "")))
    return OpenedBucket("azure", options, trusted)


def _azure_key(key: str | None, token: str | None) -> dict[str, Any]:
    """The option for an account key or a shared access signature; none without either."""
    if key:
        return {"credential_provider": _always(access_key=key)}
    return {"credential_provider": _always(sas_token=token.removeprefix("?"))} if token else {}


def _plan_gcs(place: Place, auth: Auth | None, own: Mapping[str, str]) -> OpenedBucket:
    if auth is not None and not isinstance(auth, GcsAuth):
        raise FetchRefused("Google buckets are opened with credentials of the type gcs.")
    mine = own_options("gcs", own)
    own_endpoint = mine.pop("base_url", "")
    given = auth.endpoint if auth is not None and auth.endpoint else ""
    options: dict[str, Any] = {
        "bucket": place.bucket,
        "base_url": _endpoint(given or own_endpoint or GCS_ENDPOINT),
        "skip_signature": False,
    }
    if auth is not None:
        options["credential_provider"] = google_token(auth.service_account_json)
    else:
        options |= mine
        options["skip_signature"] = not mine
    return OpenedBucket("gcs", options, _places(own_endpoint) if not given else ())


def _check_words(auth: Auth) -> None:
    """Raise FetchRefused for text that no header carries, over which obstore panics, and for what would make another
    host of the provider's."""
    if isinstance(auth, S3Auth) and auth.region and not is_region(auth.region):
        raise FetchRefused("The region in the credentials is not the name of a region, such as eu-west-1.")
    if isinstance(auth, AzureAuth) and auth.account_name and not is_account(auth.account_name):
        raise FetchRefused("The account in the credentials is not the name of an Azure account.")
    for known in fields(auth):
        text = getattr(auth, known.name) or ""
        if known.name != "service_account_json" and not (text.isprintable() and text.isascii()):
            raise FetchRefused(f"The credentials have characters in {known.name} that do not belong there.")


def google_token(service_account: str) -> Any:
    """A provider of tokens that a service account signs for itself, without asking anybody (Google's AIP-4111).

    Raises FetchRefused when the text is no key of a service account.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        account = json.loads(service_account)
        email, key_id = str(account["client_email"]), str(account["private_key_id"])
        if len(account["private_key"]) > MAX_KEY_TEXT:
            raise ValueError
        # To test whether its primes are primes takes seconds for a large key, and harms nobody but who signs with it.
        key = load_pem_private_key(account["private_key"].encode(), None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, RSAPrivateKey) or key.key_size > MAX_KEY_BITS:
            raise TypeError
    except (UnsupportedAlgorithm, RecursionError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise FetchRefused(
            f"service_account_json is not the JSON key of a Google service account, of at most {MAX_KEY_BITS} bits."
        ) from error

    def token() -> dict[str, Any]:
        now = int(time.time())
        head = {"alg": "RS256", "typ": "JWT", "kid": key_id}
        claims = {"iss": email, "sub": email, "scope": GCS_SCOPE, "iat": now, "exp": now + TOKEN_SECONDS}
        text = b".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
        signed = text + b"." + _base64(key.sign(text, PKCS1v15(), SHA256()))
        return {"token": signed.decode(), "expires_at": datetime.fromtimestamp(now + TOKEN_SECONDS, UTC)}

    return token


def _always(**credential: str | None) -> Any:
    """A provider of one credential that does not expire."""
    return lambda: {**credential, "expires_at": None}


def _endpoint(text: str) -> str:
    try:
        url = URL(text)
        fine = url.scheme in ("http", "https") and url.host and url.raw_user is None and not url.raw_query_string
    except ValueError:
        fine = False
    if not fine:
        raise FetchRefused("The endpoint in the credentials is not a plain http or https address.")
    return text.rstrip("/")


def _places(endpoint: str) -> tuple[str, ...]:
    try:
        url = URL(endpoint)
        return (f"{url.host}:{url.port}",) if url.host else ()
    except ValueError:
        return ()


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")
