"""Whose credentials open what: targets beside a server that lends its own."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from comfyserve.app.outside import target_options
from comfyserve.blobs.targets import OpenTargets, check_wish
from comfyserve.blobs.targets.build import TargetOptions
from comfyserve.core.buckets import read_location
from comfyserve.core.credentials import AzureAuth, GcsAuth, S3Auth
from comfyserve.core.errors import InvalidInput, TargetFailed
from comfyserve.core.targets import AzureTarget, GcsTarget, S3Target, TargetWish
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.outbound import Outbound
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.settings import read_settings
from tests.blobs.targets.test_faults import put, wish_for
from tests.emulators.servers import Bucket

Lend = Callable[..., OpenTargets]


@pytest.fixture
async def lend(tmp_path: Path) -> AsyncIterator[Lend]:
    """Targets of a server that lends its credentials for a bucket at a private address, which callers cannot reach."""
    guard = Guard("off")
    proxy = GuardingProxy(guard)

    def targets(bucket: Bucket, kept: str = "") -> OpenTargets:
        options = TargetOptions(tmp_path, 20, lend_own=True, kept=read_location(kept) if kept else None)
        return OpenTargets(Outbound(guard, proxy, own=bucket.environment), options)

    yield targets
    await proxy.close()


def without_auth(bucket: Bucket) -> TargetWish:
    kinds: Mapping[str, type[S3Target] | type[AzureTarget] | type[GcsTarget]] = {
        "s3": S3Target,
        "azure": AzureTarget,
        "gcs": GcsTarget,
    }
    return kinds[bucket.kind](bucket.name, "out/")


@pytest.mark.parametrize("kind", ["s3", "azure", "gcs"])
async def test_a_callers_endpoint_is_checked_also_where_the_operators_own_is_trusted(
    lend: Lend, request: pytest.FixtureRequest, kind: str
) -> None:
    bucket: Bucket = request.getfixturevalue(f"{kind}_bucket")
    assert await put(lend(bucket), without_auth(bucket))
    with pytest.raises(TargetFailed, match="not a public address"):
        await put(lend(bucket), wish_for(bucket))


@pytest.mark.parametrize(
    ("kind", "scheme"), [("s3", "s3"), ("azure", "az"), ("azure", "azure"), ("gcs", "gs")], ids=lambda word: word
)
async def test_the_bucket_of_the_servers_own_files_is_no_target(
    lend: Lend, request: pytest.FixtureRequest, kind: str, scheme: str
) -> None:
    bucket: Bucket = request.getfixturevalue(f"{kind}_bucket")
    with pytest.raises(InvalidInput, match="holds this server's own files") as caught:
        await put(lend(bucket, f"{scheme}://{bucket.name}/files"), without_auth(bucket))
    assert caught.value.place.field == ("target.container" if kind == "azure" else "target.bucket")
    assert await put(lend(bucket, f"{scheme}://another-bucket"), without_auth(bucket))


@pytest.mark.parametrize("name", ["../b?x#", "a/b", "", "a b", "b\n", "é"])
@pytest.mark.parametrize(
    "wish",
    [S3Target("", "", S3Auth("a", "b")), AzureTarget("", "", AzureAuth("a", "YQ==")), GcsTarget("", "", GcsAuth("{}"))],
    ids=["s3", "azure", "gcs"],
)
async def test_what_is_no_name_of_a_bucket_is_refused(
    lend: Lend, s3_bucket: Bucket, wish: S3Target | AzureTarget | GcsTarget, name: str
) -> None:
    named = replace(wish, container=name) if isinstance(wish, AzureTarget) else replace(wish, bucket=name)
    with pytest.raises(InvalidInput, match="is no name of a bucket"):
        await put(lend(s3_bucket), named)


def test_the_setting_names_the_bucket_that_is_no_target(tmp_path: Path) -> None:
    settings = read_settings(data_dir=tmp_path, blobs="s3://ours/files", target_credentials="own")
    options = target_options(settings, tmp_path)
    check_wish(S3Target("theirs"), options)
    check_wish(S3Target("ours", "", S3Auth("a", "b")), options)
    with pytest.raises(InvalidInput, match="holds this server's own files"):
        check_wish(S3Target("Ours", "elsewhere/"), options)
