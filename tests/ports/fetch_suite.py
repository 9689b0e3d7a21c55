"""What every Fetch adapter must do. A test class inherits this and brings `fetch` and `urls` fixtures."""

import hashlib
from dataclasses import dataclass

import pytest

from comfyserve.core.errors import FetchFailed, FetchRefused, TooLarge
from comfyserve.ports import Fetch


@dataclass(frozen=True)
class Urls:
    """Addresses for a fetch: a file with these bytes, one that is absent, and one that the policy forbids."""

    good: str
    content: bytes
    absent: str
    forbidden: str


class FetchSuite:
    """The promises of the port."""

    async def test_a_file_lies_there_until_its_context_is_left(self, fetch: Fetch, urls: Urls) -> None:
        async with fetch.fetch(urls.good) as file:
            assert file.path.read_bytes() == urls.content
            assert file.size == len(urls.content)
            assert file.sha256 == hashlib.sha256(urls.content).hexdigest()
            assert file.mime == "image/png"
            assert "/" not in file.filename and file.filename.endswith(".png")
        assert not file.path.exists()

    async def test_two_fetches_of_one_address_are_two_files(self, fetch: Fetch, urls: Urls) -> None:
        async with fetch.fetch(urls.good) as one, fetch.fetch(urls.good) as two:
            assert one.path != two.path

    async def test_the_limit_counts(self, fetch: Fetch, urls: Urls) -> None:
        async with fetch.fetch(urls.good, limit=len(urls.content)):
            pass
        with pytest.raises(TooLarge):
            async with fetch.fetch(urls.good, limit=len(urls.content) - 1):
                pass

    async def test_an_absent_file_failed_for_good(self, fetch: Fetch, urls: Urls) -> None:
        with pytest.raises(FetchFailed) as caught:
            async with fetch.fetch(urls.absent):
                pass
        assert not caught.value.retryable

    async def test_the_policy_holds(self, fetch: Fetch, urls: Urls) -> None:
        with pytest.raises(FetchRefused):
            async with fetch.fetch(urls.forbidden):
                pass
