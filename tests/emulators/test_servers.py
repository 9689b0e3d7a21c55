"""The emulators start, and their buckets take and give files by obstore."""

from typing import Any

import obstore
import pytest
from obstore.store import AzureStore, GCSStore, S3Store

from tests.emulators.servers import ACCESS_KEY, AZURE_ACCOUNT, AZURE_KEY, SECRET_KEY, Bucket, service_account

HTTP: Any = {"allow_http": True}


def store_of(bucket: Bucket) -> Any:
    if bucket.kind == "s3":
        return S3Store(
            bucket.name,
            endpoint=bucket.url,
            region="us-east-1",
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            client_options=HTTP,
        )
    if bucket.kind == "gcs":
        return GCSStore(bucket.name, service_account_key=service_account(), base_url=bucket.url, client_options=HTTP)
    return AzureStore(
        bucket.name, account_name=AZURE_ACCOUNT, account_key=AZURE_KEY, endpoint=bucket.url, client_options=HTTP
    )


@pytest.mark.parametrize("kind", ["s3", "azure", "gcs"])
async def test_a_bucket_takes_gives_lists_and_deletes(kind: str, request: pytest.FixtureRequest) -> None:
    bucket: Bucket = request.getfixturevalue(f"{kind}_bucket")
    store = store_of(bucket)
    await obstore.put_async(store, "a/b.txt", b"hello", attributes={"Content-Type": "text/plain"})
    found = await obstore.get_async(store, "a/b.txt")
    assert bytes(await found.bytes_async()) == b"hello"
    assert found.attributes["Content-Type"] == "text/plain"
    assert [item["path"] async for page in obstore.list(store, "a") for item in page] == ["a/b.txt"]
    await obstore.delete_async(store, ["a/b.txt"])
    with pytest.raises(FileNotFoundError):
        await obstore.get_async(store, "a/b.txt")
