"""Files that were fetched with credentials: who gets the copy, and who does not."""

import asyncio

import pytest

from comfyserve.core.credentials import BearerAuth, Credential, S3Auth
from comfyserve.core.errors import FetchFailed, FetchRefused, TooLarge
from tests.fetch.cache.conftest import MINE, THEIRS, URL, Bench, card_of, read
from tests.fetch.cache.scripted import File

ALSO = [Credential("http://host.example/**", BearerAuth("also right"))]
PURPOSES = pytest.mark.parametrize("purpose", ["input", "model"])


async def test_a_private_file_is_for_those_whose_credentials_open_it(bench: Bench) -> None:
    bench.source.files[URL] = File(b"private", token="right")
    content, file = await read(bench, purpose="model", credentials=MINE)
    assert content == b"private" and file.private and card_of(file)["authRequired"] is True
    for credentials, message in ((THEIRS, "401"), ([], "Authentication required to access this cached file")):
        with pytest.raises((FetchFailed, FetchRefused), match=message):
            await read(bench, purpose="model", credentials=credentials)
    content, file = await read(bench, purpose="model", credentials=MINE)
    assert (content, file.cached) == (b"private", True)
    assert bench.source.checks[URL] == 2, "each time, by the caller's own credentials"
    assert "right" not in "".join(path.read_text() for path in bench.folder.glob("*.meta"))


async def test_the_mark_of_a_private_file_outlives_the_program(bench: Bench) -> None:
    bench.source.files[URL] = File(b"private", token="right")
    await read(bench, purpose="model", credentials=MINE)
    bench.fetching = bench.build()
    with pytest.raises(FetchRefused, match="Authentication required"):
        await read(bench, purpose="model")


async def test_a_file_without_its_card_is_nobodys(bench: Bench) -> None:
    bench.source.files[URL] = File(b"private", token="right")
    _, file = await read(bench, purpose="model", credentials=MINE)
    file.path.with_name(file.path.name + ".meta").unlink()
    with pytest.raises(FetchFailed, match="401"):
        await read(bench, purpose="model")


async def test_a_public_file_fetched_with_credentials_is_not_lost_to_others(bench: Bench) -> None:
    bench.source.files[URL] = File(b"public")
    await read(bench, purpose="model", credentials=MINE)
    content, file = await read(bench, purpose="model")
    assert (content, file.cached) == (b"public", False)
    assert (await read(bench, purpose="model"))[1].cached


async def test_what_everybody_gets_is_not_given_for_what_credentials_open(bench: Bench) -> None:
    bench.source.files[URL] = File(b"please sign in", etag='"1"')
    await read(bench, purpose="model")
    bench.source.files[URL] = File(b"the model", etag='"2"', token="right")
    assert (await read(bench, purpose="model", credentials=MINE))[0] == b"the model"


async def test_a_private_input_is_not_served_while_nobody_can_check(bench: Bench) -> None:
    bench.source.files[URL] = File(b"private", token="right", etag='"1"')
    await read(bench, credentials=MINE)
    bench.now += 61
    bench.source.files[URL] = File(token="right", error=FetchFailed("Away.", retryable=True))
    with pytest.raises(FetchFailed, match="Away"):
        await read(bench, credentials=MINE)


async def test_an_endpoint_of_ones_own_opens_nothing_of_others(bench: Bench) -> None:
    url = "s3://bucket/key.png"
    bench.source.files[url] = File(b"real")
    real, fake = S3Auth("a", "b"), S3Auth("a", "b", endpoint="https://mine.example")
    await read(bench, url, purpose="model", credentials=[Credential("s3://**", real)])
    bench.source.files[url] = File(b"fake")
    assert (await read(bench, url, purpose="model", credentials=[Credential("s3://**", fake)]))[0] == b"fake"
    assert (await read(bench, url, purpose="model", credentials=[Credential("s3://**", real)]))[0] == b"real"


@PURPOSES
@pytest.mark.parametrize("etag", ["", '"1"'])
async def test_a_sign_in_page_opens_nothing(bench: Bench, purpose: str, etag: str) -> None:
    page = File(b"please sign in", etag='"page"')
    bench.source.files[URL] = File(b"private", token="right", etag=etag, others={"": page})
    assert (await read(bench, purpose=purpose, credentials=MINE))[0] == b"private"
    for credentials in (THEIRS, []):
        content, file = await read(bench, purpose=purpose, credentials=credentials)
        assert (content, file.cached) == (b"please sign in", False)
    assert (await read(bench, purpose=purpose, credentials=MINE))[0] == b"private"
    assert bench.source.downloads[URL] == 3


@PURPOSES
@pytest.mark.parametrize("etags", [("", ""), ('"m"', '"t"')])
@pytest.mark.parametrize("first", [MINE, THEIRS])
async def test_what_depends_on_who_asks_is_told_apart(
    bench: Bench, purpose: str, etags: tuple[str, str], first: list[Credential]
) -> None:
    theirs = File(b"theirs", etag=etags[1])
    bench.source.files[URL] = File(b"mine", token="right", etag=etags[0], others={"wrong": theirs})
    for cached in (False, True):
        for who in (first, THEIRS if first is MINE else MINE):
            content, file = await read(bench, purpose=purpose, credentials=who)
            assert (content, file.cached) == (b"mine" if who is MINE else b"theirs", cached)
    assert bench.source.downloads[URL] == 2


async def test_a_proven_state_is_for_all_whom_it_opens_to(bench: Bench) -> None:
    bench.source.files[URL] = File(
        b"private", token="right", etag='"1"', others={"also right": File(b"private", etag='"1"')}
    )
    for credentials, cached in ((MINE, False), (ALSO, True), (MINE, True)):
        content, file = await read(bench, purpose="model", credentials=credentials)
        assert (content, file.cached) == (b"private", cached)
    with pytest.raises(TooLarge):
        await read(bench, purpose="model", credentials=ALSO, limit=6)
    assert bench.source.downloads[URL] == 1


async def test_what_nothing_proves_is_shared_with_nobody(bench: Bench) -> None:
    bench.source.files[URL] = File(b"private", token="right", others={"also right": File(b"private")})
    for credentials, cached in ((MINE, False), (ALSO, False), (MINE, True), (ALSO, True)):
        assert (await read(bench, purpose="model", credentials=credentials))[1].cached is cached
    del bench.source.files[URL].others["also right"]
    with pytest.raises(FetchFailed, match="401"):
        await read(bench, purpose="model", credentials=ALSO)


async def test_an_equal_etag_of_another_size_proves_nothing(bench: Bench) -> None:
    theirs = File(b"theirs, longer", etag='"1"')
    bench.source.files[URL] = File(b"mine", token="right", etag='"1"', others={"wrong": theirs})
    await read(bench, purpose="model", credentials=MINE)
    assert (await read(bench, purpose="model", credentials=THEIRS))[0] == b"theirs, longer"


async def test_a_private_file_that_changed_comes_anew_and_is_shared_again(bench: Bench) -> None:
    for state in (b"old", b"newer"):
        etag = f'"{state.decode()}"'
        bench.source.files[URL] = File(state, token="right", etag=etag, others={"also right": File(state, etag=etag)})
        for credentials, cached in ((MINE, False), (ALSO, True)):
            content, file = await read(bench, purpose="model", credentials=credentials)
            assert (content, file.cached) == (state, cached)
    assert len(bench.names()) == 1


async def test_a_public_file_costs_a_caller_with_credentials_a_question(bench: Bench) -> None:
    bench.source.files[URL] = File(b"public", etag='"1"')
    await read(bench, purpose="model")
    content, file = await read(bench, purpose="model", credentials=MINE)
    assert (content, file.cached, file.private, bench.source.checks[URL]) == (b"public", True, False, 1)


async def test_a_checksum_tells_nobody_what_is_held_for_others(bench: Bench) -> None:
    bench.source.files[URL] = File(b"private", token="right", etag='"1"', others={"": File(b"page")})
    _, file = await read(bench, credentials=MINE)
    for credentials in (THEIRS, []):
        with pytest.raises((FetchFailed, FetchRefused)):
            await read(bench, credentials=credentials, sha256=file.sha256)


async def test_an_origin_that_says_nothing_holds_nobody(bench: Bench) -> None:
    bench.source.files[URL] = File(b"private", token="right", etag='"1"')
    await read(bench, purpose="model", credentials=MINE)
    bench.source.files[URL].gate = asyncio.Event()
    bench.fetching = bench.build(check_seconds=0.05)
    with pytest.raises(FetchFailed, match=r"host\.example does not say within 0\.05 s") as caught:
        await read(bench, purpose="model", credentials=MINE)
    assert caught.value.retryable


async def test_the_name_of_ones_own_copy_cannot_be_guessed(bench: Bench) -> None:
    bench.source.files[URL] = File(b"mine", token="right", others={"wrong": File(b"theirs")})
    await read(bench, credentials=MINE)
    await read(bench, credentials=THEIRS)
    names = set(bench.names())
    for path in bench.folder.iterdir():
        if path.is_file():
            path.unlink()
    bench.fetching = bench.build()
    await read(bench, credentials=MINE)
    await read(bench, credentials=THEIRS)
    assert len(names) == len(bench.names()) == 2
    assert len(names & set(bench.names())) == 1, "the first has the documented name, the other one of this cache"
