"""Fixtures: an emulator starts when a test first asks for it, once per test process; every test has its own bucket."""

from collections.abc import Iterator

import pytest

from tests.emulators.servers import Bucket, azurite, moto, new_bucket


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """The address of moto's S3."""
    with moto() as url:
        yield url


@pytest.fixture(scope="session")
def azurite_url() -> Iterator[str]:
    """The address of the account in azurite."""
    with azurite() as url:
        yield url


@pytest.fixture
def s3_bucket(moto_url: str) -> Bucket:
    """A fresh S3 bucket."""
    return new_bucket("s3", moto_url)


@pytest.fixture
def azure_bucket(azurite_url: str) -> Bucket:
    """A fresh Azure container."""
    return new_bucket("azure", azurite_url)


@pytest.fixture
def gcs_bucket(moto_url: str) -> Bucket:
    """A fresh bucket that is spoken to as GCS; see `servers.moto`."""
    return new_bucket("gcs", moto_url)
