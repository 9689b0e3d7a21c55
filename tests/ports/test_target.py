"""The Target suite on every adapter."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import obstore
import pytest

from comfyserve.blobs.targets import OpenTargets
from comfyserve.blobs.targets.build import TargetOptions
from comfyserve.core.credentials import AzureAuth, BearerAuth, GcsAuth, S3Auth
from comfyserve.core.targets import AzureTarget, GcsTarget, HfTarget, HttpTarget, S3Target
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.outbound import Outbound
from comfyserve.fetch.proxy import GuardingProxy
from tests.emulators.servers import ACCESS_KEY, AZURE_ACCOUNT, AZURE_KEY, SECRET_KEY, Bucket, service_account
from tests.emulators.test_servers import store_of
from tests.ports.hub_uploads import TOKEN, upload_hub
from tests.ports.putting import put_server
from tests.ports.target_suite import At, TargetSuite


@asynccontextmanager
async def targets_in(
    folder: Path, *, private: str = "127.0.0.1", seconds: float = 20, hub: str = "https://huggingface.co"
) -> AsyncIterator[OpenTargets]:
    """Targets under a policy that lets them reach this machine."""
    guard = Guard(private)
    proxy = GuardingProxy(guard)
    try:
        yield OpenTargets(Outbound(guard, proxy), TargetOptions(folder, storage_seconds=seconds, hub=hub))
    finally:
        await proxy.close()


def s3_auth(bucket: Bucket) -> S3Auth:
    return S3Auth(ACCESS_KEY, SECRET_KEY, endpoint=bucket.url)


class InBucket(TargetSuite):
    """Looks into the bucket by obstore."""

    @staticmethod
    async def look(bucket: Bucket, key: str) -> tuple[bytes, str] | None:
        try:
            found = await obstore.get_async(store_of(bucket), key)
        except FileNotFoundError:
            return None
        return bytes(await found.bytes_async()), found.attributes.get("Content-Type", "")


class TestS3(InBucket):
    @pytest.fixture
    async def at(self, s3_bucket: Bucket, tmp_path: Path) -> AsyncIterator[At]:
        async with targets_in(tmp_path) as targets:
            yield At(
                targets,
                S3Target(s3_bucket.name, "out/", s3_auth(s3_bucket)),
                lambda name: f"s3://{s3_bucket.name}/out/{name}",
                lambda name: self.look(s3_bucket, f"out/{name}"),
                (ACCESS_KEY, SECRET_KEY),
            )


class TestAzure(InBucket):
    @pytest.fixture
    async def at(self, azure_bucket: Bucket, tmp_path: Path) -> AsyncIterator[At]:
        auth = AzureAuth(AZURE_ACCOUNT, account_key=AZURE_KEY, endpoint=azure_bucket.url)
        async with targets_in(tmp_path) as targets:
            yield At(
                targets,
                AzureTarget(azure_bucket.name, "/out-", auth),
                lambda name: f"{azure_bucket.url}/{azure_bucket.name}/out-{name}".replace(" ", "%20"),
                lambda name: self.look(azure_bucket, f"out-{name}"),
                (AZURE_KEY,),
            )


class TestGcs(InBucket):
    @pytest.fixture
    async def at(self, gcs_bucket: Bucket, tmp_path: Path) -> AsyncIterator[At]:
        auth = GcsAuth(service_account(), endpoint=gcs_bucket.url)
        async with targets_in(tmp_path) as targets:
            yield At(
                targets,
                GcsTarget(gcs_bucket.name, "", auth),
                lambda name: f"gs://{gcs_bucket.name}/{name}",
                lambda name: self.look(gcs_bucket, name),
                ("PRIVATE KEY",),
            )


class TestHttp(TargetSuite):
    @pytest.fixture
    async def at(self, tmp_path: Path) -> AsyncIterator[At]:
        async with put_server() as server, targets_in(tmp_path) as targets:

            async def look(name: str) -> tuple[bytes, str] | None:
                return server.files.get(f"/in/{name}")

            yield At(
                targets,
                HttpTarget(server.url.replace("://", "://user:secret-word@") + "/in//"),
                lambda name: f"{server.url}/in/{name}".replace(" ", "%20"),
                look,
                ("secret-word", "user"),
            )


class TestHuggingFace(TargetSuite):
    @pytest.fixture
    async def at(self, tmp_path: Path) -> AsyncIterator[At]:
        async with upload_hub() as hub, targets_in(tmp_path, hub=hub.url) as targets:

            async def look(name: str) -> tuple[bytes, str] | None:
                data = hub.files.get(("datasets/me/pictures", "main", name))
                return None if data is None else (data, "")

            yield At(
                targets,
                HfTarget("me/pictures", "dataset", auth=BearerAuth(TOKEN)),
                lambda name: f"{hub.url}/datasets/me/pictures/resolve/main/{name}".replace(" ", "%20"),
                look,
                (TOKEN,),
            )
