"""A caller's bucket on S3, Azure or GCS."""

from collections.abc import Mapping
from urllib.parse import quote

from comfyserve.blobs.stream import ShortContent, Written, upload
from comfyserve.blobs.targets.names import join
from comfyserve.blobs.targets.outside import CallersBucket
from comfyserve.blobs.theirs import Theirs
from comfyserve.core.bucket_failures import Failure, Kind, read_failure
from comfyserve.core.buckets import NAME, BucketKind, Location
from comfyserve.core.errors import DomainError, InvalidInput, Place, TargetFailed
from comfyserve.core.targets import AzureTarget, GcsTarget, S3Target
from comfyserve.ports import ByteStream

BucketTarget = S3Target | AzureTarget | GcsTarget
SCHEMES: Mapping[str, str] = {"s3": "s3", "gcs": "gs"}

SENTENCES: Mapping[Kind, str] = {
    Kind.NO_BUCKET: "There is no bucket {bucket}{said}. Create it, or correct the target.",
    Kind.ABSENT: "There is no bucket {bucket}. Create it, or correct the target.",
    Kind.NO_CREDENTIALS: "There are no credentials for the bucket {bucket}. Give them in target.auth.",
    Kind.BAD_CREDENTIALS: "The bucket {bucket} does not accept the credentials{said}. Check target.auth.",
    Kind.DENIED: "The bucket {bucket} refuses the file{said}. Allow the credentials to write there.",
    Kind.REGION: "The bucket {bucket} is somewhere else{said}. Give its region or endpoint in target.auth.",
    Kind.BUSY: "The bucket {bucket} does not work at the moment{said}.",
    Kind.UNREACHED: "The bucket {bucket} does not answer.",
}
OTHER = "The bucket {bucket} refuses the file{said}."


def bucket_of(wish: BucketTarget) -> tuple[BucketKind, str]:
    """The kind and the name of the bucket."""
    match wish:
        case S3Target():
            return "s3", wish.bucket
        case AzureTarget():
            return "azure", wish.container
        case GcsTarget():
            return "gcs", wish.bucket


def check_bucket(wish: BucketTarget, kept: Location | None) -> None:
    """Raise InvalidInput for a bucket that cannot be, or that holds the server's own files: `kept`, which are out of
    reach for the server's own credentials only, for a caller's open what the caller may open anyway."""
    kind, name = bucket_of(wish)
    field = "target.container" if kind == "azure" else "target.bucket"
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{field} is no name of a bucket.", place=Place(field=field))
    if wish.auth is None and kept is not None and kept.is_bucket(kind, name):
        sentence = f"The bucket {name} holds this server's own files. Choose another, or give credentials of your own."
        raise InvalidInput(sentence, place=Place(field=field))
    key_of(wish, "name")


def key_of(wish: BucketTarget, name: str) -> str:
    """The key of a file in the bucket. Raises InvalidInput."""
    if isinstance(wish, AzureTarget):
        return join(wish.blob_prefix, name, "blob_prefix")
    return join(wish.prefix, name, "prefix")


class BucketWriter:
    """The Target port on a bucket."""

    at_once = 4

    def __init__(self, wish: BucketTarget, bucket: CallersBucket, idle_seconds: float) -> None:
        self._kind, self._name = bucket_of(wish)
        self._wish = wish
        self._bucket = bucket
        self._seconds = idle_seconds

    def address(self, name: str) -> str:
        """`s3://bucket/key`, `gs://bucket/key`, or an https address on Azure."""
        return self._address(key_of(self._wish, name))

    async def put(self, name: str, content: ByteStream, *, size: int, mime: str) -> str:
        """Write an object. Raises TargetFailed."""
        key = key_of(self._wish, name)
        theirs = Theirs(content)
        try:
            await self._upload(key, theirs.pieces(), size, mime)
        except ShortContent as error:
            raise TargetFailed(f"{error}", retryable=True) from None
        except Exception as error:
            if error is theirs.raised or isinstance(error, DomainError):
                raise
            raise self._failed(read_failure(error)) from None
        return self._address(key)

    async def _upload(self, key: str, content: ByteStream, size: int, mime: str) -> Written:
        attributes = {"Content-Type": mime} if mime else {}
        return await upload(
            self._bucket.store, key, content, attributes=attributes, idle_seconds=self._seconds, expected=size
        )

    def _address(self, key: str) -> str:
        if self._kind == "azure":
            return f"{self._bucket.endpoint}/{self._name}/{quote(key)}"
        return f"{SCHEMES[self._kind]}://{self._name}/{key}"

    def _failed(self, failure: Failure) -> TargetFailed:
        if self._bucket.trouble:
            return TargetFailed(self._bucket.trouble, retryable=not self._bucket.refused)
        sentence = SENTENCES.get(failure.kind, OTHER).format(bucket=self._name, said=failure.said)
        return TargetFailed(sentence, retryable=failure.retryable)
