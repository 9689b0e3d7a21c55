"""Addresses of objects in buckets: which store, which bucket, which key."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from yarl import URL

from comfyserve.core.buckets import NAME, SCHEMES, BucketKind
from comfyserve.core.credentials import Auth, AzureAuth, GcsAuth, S3Auth
from comfyserve.core.errors import FetchRefused

NAMES: dict[BucketKind, str] = {"s3": "S3", "azure": "Azure", "gcs": "Google"}
_REGION = r"(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?"

AZURE_PAGE = re.compile(r"(?P<account>[a-z0-9]{3,24})\.blob\.core\.windows\.net")
S3_PAGES = (
    re.compile(rf"(?P<bucket>.+)\.s3{_REGION}\.amazonaws\.com"),
    re.compile(rf"s3{_REGION}\.amazonaws\.com"),
)
GCS_PAGES = (re.compile(r"(?P<bucket>.+)\.storage\.googleapis\.com"), re.compile(r"storage\.googleapis\.com"))
"""Hosts of the stores' own https addresses; without a bucket in the host it is the first part of the path."""


@dataclass(frozen=True)
class Place:
    """An object. `keys` are readings of its key, best first; `account` and `region` are empty when the address names
    none."""

    kind: BucketKind
    bucket: str
    keys: tuple[str, ...]
    account: str = ""
    region: str = ""

    @property
    def label(self) -> str:
        """How messages call the bucket."""
        return f"The {NAMES[self.kind]} {'container' if self.kind == 'azure' else 'bucket'} {self.bucket}"

    @property
    def filename(self) -> str:
        """The last part of the key."""
        return self.keys[-1].rpartition("/")[2]


def is_bucket_url(url: str, auth: Auth | None = None, own_account: str = "", own_endpoint: str = "") -> bool:
    """Whether an address is for the object stores: by its scheme, or an https address of a store that is opened with
    the store's own kind of credentials: the caller's, or for Azure the server's account. At `own_endpoint`, where that
    account's service is, everything is the server's own."""
    if url.partition("://")[0].lower() in SCHEMES:
        return True
    if auth is None and _is_below(url, own_endpoint) and "sig=" not in url:
        return True
    if not url.startswith("https://"):
        return False
    host, _, rest = url[len("https://") :].partition("/")
    if isinstance(auth, S3Auth):
        return any(page.fullmatch(host) for page in S3_PAGES)
    if isinstance(auth, GcsAuth):
        return any(page.fullmatch(host) for page in GCS_PAGES)
    found = AZURE_PAGE.fullmatch(host)
    mine = isinstance(auth, AzureAuth) or (auth is None and found is not None and found["account"] == own_account)
    return found is not None and mine and "sig=" not in rest


def read_bucket_url(text: str, own_endpoint: str = "") -> Place:
    """The object that an address names; below `own_endpoint` the path begins with the container. Raises FetchRefused.

    `s3://bucket/key`, `gs://bucket/object` and `az://container/blob` are taken as written, then percent-decoded
    (`%20`): people write both. A `?` or `#` ends the key, so a key that has one needs `%3F` or `%23`.
    """
    scheme, found, rest = text.partition("://")
    if not found:
        raise FetchRefused("This is not a valid URL.")
    if _is_below(text, own_endpoint):
        path = re.split(r"[?#]", text[len(own_endpoint.rstrip("/")) + 1 :], maxsplit=1)[0]
        bucket, _, key = unquote(path).partition("/")
        return _place("azure", bucket, (key,))
    if scheme.lower() == "https":
        return _read_page(text)
    bucket, _, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    kind = SCHEMES[scheme.lower()]
    return _place(kind, bucket, (path, unquote(path)) if "%" in path else (path,))


def _read_page(text: str) -> Place:
    """A store's own https address, whose path is percent-encoded."""
    try:
        url = URL(text)
    except ValueError as error:
        raise FetchRefused("This is not a valid URL.") from error
    host, path = url.host or "", unquote(url.raw_path).removeprefix("/")
    if found := AZURE_PAGE.fullmatch(host):
        bucket, _, key = path.partition("/")
        return _place("azure", bucket, (key,), account=found["account"])
    pages: tuple[tuple[BucketKind, tuple[re.Pattern[str], ...]], ...] = (("s3", S3_PAGES), ("gcs", GCS_PAGES))
    for kind, (with_bucket, without) in pages:
        if found := with_bucket.fullmatch(host):
            return _place(kind, found["bucket"], (path,), region=found.groupdict().get("region") or "")
        if found := without.fullmatch(host):
            bucket, _, key = path.partition("/")
            return _place(kind, bucket, (key,), region=found.groupdict().get("region") or "")
    raise FetchRefused("This is not the address of an object store.")


def _place(kind: BucketKind, bucket: str, keys: tuple[str, ...], account: str = "", region: str = "") -> Place:
    if not NAME.fullmatch(bucket):
        raise FetchRefused("The URL names no bucket.")
    if not keys[0]:
        raise FetchRefused("The URL names a bucket, but no file in it.")
    usable = tuple(key for key in keys if _is_usable(key))
    if not usable:
        raise FetchRefused("Keys with empty parts, `.` or `..` are not fetched. Rename the object.")
    return Place(kind, bucket, usable, account, region)


def _is_below(url: str, endpoint: str) -> bool:
    """Whether an address is one of a service; hosts and schemes are compared as they are commonly written, in small
    letters."""
    return bool(endpoint) and url.startswith(endpoint.rstrip("/") + "/")


def _is_usable(key: str) -> bool:
    return not {"", ".", ".."}.intersection(key.split("/")) and key.isprintable()
