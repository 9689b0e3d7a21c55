"""A caller's bucket on S3, Azure or GCS."""

from collections.abc import Mapping
from urllib.parse import quote

from comfyserve.blobs.failures import ERRORS, Failure, Kind, read_failure
from comfyserve.blobs.stream import ShortContent, Written, upload
from comfyserve.blobs.targets.names import join
from comfyserve.blobs.targets.outside import BucketKind, CallersBucket, Passage
from comfyserve.blobs.theirs import Theirs
from comfyserve.core.errors import TargetFailed
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


def key_of(wish: BucketTarget, name: str) -> str:
    """The key of a file in the bucket. Raises InvalidInput."""
    if isinstance(wish, AzureTarget):
        return join(wish.blob_prefix, name, "blob_prefix")
    return join(wish.prefix, name, "prefix")


class BucketWriter:
    """The Target port on a bucket."""

    def __init__(
        self, wish: BucketTarget, kind: BucketKind, bucket: CallersBucket, passage: Passage, idle_seconds: float
    ) -> None:
        self._kind = kind
        self._name = wish.container if isinstance(wish, AzureTarget) else wish.bucket
        self._wish = wish
        self._bucket = bucket
        self._passage = passage
        self._seconds = idle_seconds

    async def put(self, name: str, content: ByteStream, *, size: int, mime: str) -> str:
        """Write an object: `s3://bucket/key`, `gs://bucket/key`, or an https address on Azure. Raises TargetFailed."""
        key = key_of(self._wish, name)
        theirs = Theirs(content)
        try:
            await self._upload(key, theirs.pieces(), size, mime)
        except ShortContent as error:
            raise TargetFailed(f"{error}", retryable=True) from None
        except ERRORS as error:
            if error is theirs.raised:
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
        if self._passage.trouble:
            return TargetFailed(self._passage.trouble, retryable=not self._passage.refused)
        sentence = SENTENCES.get(failure.kind, OTHER).format(bucket=self._name, said=failure.said)
        return TargetFailed(sentence, retryable=failure.retryable)
