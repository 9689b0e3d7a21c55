"""What every Fetch adapter must do. A test class inherits this and brings `fetch` and `urls` fixtures."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from comfyserve.core.credentials import BearerAuth, Credential
from comfyserve.core.errors import FetchFailed, FetchRefused, InvalidInput, TooLarge
from comfyserve.ports import Fetch, Purpose


@dataclass(frozen=True)
class Urls:
    """Addresses for a fetch: a file with these bytes, one that is absent, and one that the policy forbids."""

    good: str
    content: bytes
    absent: str
    forbidden: str
    data: str
    private: Mapping[str, str]
    """Files with the same bytes for `MINE` alone, by what others get: `signin` a page for them to sign in, `personal` a
    file of their own, `headed` nothing but the answer to HEAD; each with and without a validator (` tagged`)."""


MINE, THEIRS = ([Credential("**", BearerAuth(token))] for token in ("mine", "theirs"))
KINDS = [f"{kind}{tag}" for kind in ("signin", "personal", "headed") for tag in ("", " tagged")]


async def content_of(fetch: Fetch, url: str, purpose: Purpose, who: Sequence[Credential]) -> bytes | None:
    """What somebody gets; None when nothing."""
    try:
        async with fetch.fetch(url, purpose=purpose, credentials=who) as file:
            return file.path.read_bytes()
    except (FetchFailed, FetchRefused):
        return None


class FetchSuite:
    """The promises of the port."""

    async def test_a_file_lies_there_until_its_context_is_left(self, fetch: Fetch, urls: Urls) -> None:
        async with fetch.fetch(urls.good) as file:
            assert file.path.read_bytes() == urls.content
            assert file.size == len(urls.content)
            assert file.sha256 == hashlib.sha256(urls.content).hexdigest()
            assert file.mime == "image/png"
            assert "/" not in file.filename and file.filename.endswith(".png")
            assert not file.is_folder

    async def test_the_same_address_at_the_same_time_is_for_all(self, fetch: Fetch, urls: Urls) -> None:
        async def read() -> bytes:
            async with fetch.fetch(urls.good) as file:
                return file.path.read_bytes()

        assert set(await asyncio.gather(*(read() for _ in range(5)))) == {urls.content}

    async def test_a_model_is_downloaded_once(self, fetch: Fetch, urls: Urls) -> None:
        async with fetch.fetch(urls.good, purpose="model") as one:
            assert not one.cached
        async with fetch.fetch(urls.good, purpose="model") as two:
            assert two.cached and two.path.read_bytes() == urls.content

    async def test_progress_ends_with_the_size(self, fetch: Fetch, urls: Urls) -> None:
        heard: list[tuple[int, int | None]] = []
        async with fetch.fetch(urls.good, on_bytes=lambda *said: heard.append(said)):
            assert heard[-1] == (len(urls.content), len(urls.content))

    async def test_a_checksum_that_does_not_fit_is_no_file(self, fetch: Fetch, urls: Urls) -> None:
        with pytest.raises(FetchFailed, match=r"(?i)sha-?256"):
            async with fetch.fetch(urls.good, sha256="0" * 64):
                pass
        async with fetch.fetch(urls.good, sha256=hashlib.sha256(urls.content).hexdigest()):
            pass

    async def test_a_data_uri_is_a_file_too(self, fetch: Fetch, urls: Urls) -> None:
        async with fetch.fetch(urls.data) as file:
            assert file.path.read_bytes() == urls.content
            assert (file.size, file.mime, file.cached) == (len(urls.content), "image/png", False)
        assert not file.path.exists()

    async def test_a_link_leads_to_the_file(self, fetch: Fetch, urls: Urls, tmp_path: Path) -> None:
        async with fetch.fetch(urls.good, purpose="model") as file:
            await fetch.link(file.path, tmp_path / "models" / "a.png")
            assert (tmp_path / "models" / "a.png").read_bytes() == urls.content

    @pytest.mark.parametrize("purpose", ["input", "model"])
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("first", ["mine", "theirs"])
    async def test_what_credentials_open_is_theirs_alone(
        self, fetch: Fetch, urls: Urls, kind: str, purpose: Purpose, first: str
    ) -> None:
        order = [MINE, THEIRS, []] if first == "mine" else [THEIRS, [], MINE]
        for who in order * 2:
            content = await content_of(fetch, urls.private[kind], purpose, who)
            assert (content == urls.content) is (who is MINE)

    async def test_an_address_of_no_known_kind(self, fetch: Fetch, urls: Urls) -> None:
        with pytest.raises(InvalidInput):
            async with fetch.fetch("gopher://host.example/cat.png"):
                pass

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
