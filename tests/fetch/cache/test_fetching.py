"""Hits, freshness, one download for all, through the Fetch port over a scripted source."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from comfyserve.core.errors import FetchFailed, FetchRefused, InvalidInput, StorageFailed, TooLarge
from comfyserve.fetch.cache.names import slot_of
from comfyserve.fetch.fetching import Caps
from tests.fetch.cache.conftest import LIMITS, MINE, THEIRS, URL, Bench, card_of, read, until
from tests.fetch.cache.scripted import File

OTHER = "http://host.example/b/cat.png"
KEYED = "http://host.example/models/7"
ELSEWHERE = "http://other.example/cat.png"
WEIGHTS = b"\x02" + bytes(7) + b"{}"


async def test_a_file_lies_under_its_documented_name_with_its_card(bench: Bench) -> None:
    bench.source.files[URL] = File(b"x" * 70, etag='"1"', mime="image/png", name="my cat.png")
    content, file = await read(bench)
    assert content == b"x" * 70
    assert file.path == bench.folder / f"{slot_of(URL).key}.png"
    assert (file.size, file.mime, file.filename, file.cached) == (70, "image/png", "my cat.png", False)
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    card = card_of(file)
    assert (card["authRequired"], card["url"], card["cachedAt"]) == (False, URL, "2027-01-15T08:00:00Z")
    assert bench.partials() == []


async def test_the_answer_gives_the_ending_that_the_url_lacks(bench: Bench) -> None:
    bench.source.files[KEYED] = File(WEIGHTS, name="model.safetensors")
    for cached in (False, True):
        _, file = await read(bench, KEYED, purpose="model")
        assert (file.path.name, file.cached) == (f"{slot_of(KEYED).key}.safetensors", cached)


@pytest.mark.parametrize(
    ("ending", "file", "sentence"),
    [
        (".safetensors", File(b"<!DOCTYPE html><title>Sign in</title>", mime="text/html"), "web page"),
        (".safetensors", File(b"\n <html>", mime="application/octet-stream"), "web page"),
        (".ckpt", File(b"sign in please", mime="text/html; charset=utf-8"), "web page"),
        ("", File(b"<html>", name="a.pt"), "web page"),
        (".safetensors", File(b"version https://git-lfs.github.com/spec/v1"), "no safetensors file"),
        (".sft", File(b""), "no safetensors file"),
    ],
)
async def test_what_is_no_model_is_refused_and_not_kept(bench: Bench, ending: str, file: File, sentence: str) -> None:
    """A page that says who may sign in came with status 200, and was a model for ever."""
    url = KEYED + ending
    bench.source.files[url] = file
    for _ in range(2):
        with pytest.raises(FetchFailed, match=f"host.example gave.*{sentence}") as caught:
            await read(bench, url, purpose="model")
        assert not caught.value.retryable
    assert (bench.source.downloads[url], bench.partials(), list(bench.folder.glob("*.meta"))) == (2, [], [])


async def test_weights_are_taken_whatever_type_the_origin_says(bench: Bench) -> None:
    bench.source.files[KEYED + ".sft"] = File(WEIGHTS, mime="text/html")
    assert (await read(bench, KEYED + ".sft", purpose="model"))[0] == WEIGHTS


async def test_two_urls_with_one_file_name_never_mix(bench: Bench) -> None:
    bench.source.files |= {URL: File(b"one"), OTHER: File(b"two")}
    async with bench.fetching.fetch(URL) as one, bench.fetching.fetch(OTHER) as two:
        assert (one.path.read_bytes(), two.path.read_bytes()) == (b"one", b"two")
        assert one.filename == two.filename == "cat.png"
    assert (await read(bench))[0] == b"one"


async def test_a_model_is_used_without_asking_for_ever(bench: Bench) -> None:
    bench.source.files[URL] = File(b"old")
    await read(bench, purpose="model")
    bench.now += 365 * 86400
    bench.source.files[URL] = File(b"new")
    content, file = await read(bench, purpose="model")
    assert (content, file.cached, bench.source.downloads[URL]) == (b"old", True, 1)


async def test_an_input_is_asked_for_again_after_a_minute(bench: Bench) -> None:
    bench.source.files[URL] = File(b"old", etag='"1"')
    await read(bench)
    bench.now += 59
    assert (await read(bench))[1].cached and bench.source.downloads[URL] == 1
    bench.now += 2
    content, file = await read(bench)
    assert (content, file.cached, bench.source.downloads[URL]) == (b"old", True, 2)
    assert bench.source.orders[-1].held is not None and bench.source.orders[-1].held.etag == '"1"'
    bench.now += 59
    await read(bench)
    assert bench.source.downloads[URL] == 2, "unchanged a minute ago is fresh again"
    bench.now += 2
    bench.source.files[URL] = File(b"newer", etag='"2"')
    assert (await read(bench))[0] == b"newer"
    assert bench.names() == [f"{slot_of(URL).key}.png"]


async def test_without_validators_a_stale_input_comes_anew(bench: Bench) -> None:
    bench.source.files[URL] = File(b"old")
    await read(bench)
    bench.now += 61
    _, file = await read(bench)
    assert not file.cached and bench.source.orders[-1].held is None


async def test_while_the_origin_is_away_the_copy_serves(bench: Bench) -> None:
    bench.source.files[URL] = File(b"old", etag='"1"')
    await read(bench)
    bench.now += 61
    bench.source.files[URL] = File(error=FetchFailed("The origin cannot be reached.", retryable=True))
    content, file = await read(bench)
    assert (content, file.cached) == (b"old", True)
    del bench.source.files[URL]
    with pytest.raises(FetchFailed, match="404"):
        await read(bench)


async def test_a_copy_in_use_stays_what_it_was(bench: Bench) -> None:
    bench.source.files[URL] = File(b"old", etag='"1"')
    async with bench.fetching.fetch(URL) as old:
        bench.now += 61
        bench.source.files[URL] = File(b"newer", etag='"2"')
        async with bench.fetching.fetch(URL) as new:
            assert (old.path.read_bytes(), new.path.read_bytes()) == (b"old", b"newer")
        assert (await read(bench))[1].path == new.path
    bench.build()
    assert bench.names() == [new.path.name], "the next start sweeps the old one"
    assert (await read(bench))[0] == b"newer"


async def test_user_and_password_in_the_url_are_credentials(bench: Bench) -> None:
    bench.source.files[URL] = File(b"content")
    _, file = await read(bench, URL.replace("//", "//me:pa%24s@"))
    assert repr(bench.source.orders[-1].auth) == "BasicAuth(username='me')"
    assert bench.source.orders[-1].auth.password == "pa$s"  # type: ignore[union-attr]
    assert (card_of(file)["url"], card_of(file)["authRequired"]) == (URL, True)


async def test_twenty_at_once_are_one_download(bench: Bench) -> None:
    gate = asyncio.Event()
    bench.source.files[URL] = File(b"content" * 1000, gate=gate)
    heard: list[tuple[int, int | None]] = []
    waiting = [asyncio.create_task(read(bench, on_bytes=lambda *said: heard.append(said))) for _ in range(19)]
    await bench.source.started.wait()
    late = asyncio.create_task(read(bench, on_bytes=lambda *said: heard.append(said)))
    await until(lambda: len(heard) == 20)
    gate.set()
    results = await asyncio.gather(late, *waiting)
    assert {content for content, _ in results} == {b"content" * 1000}
    assert bench.source.downloads[URL] == 1
    assert set(heard) == {(3500, 7000)}


async def test_a_failure_is_told_to_all_each_as_their_own(bench: Bench) -> None:
    results = await asyncio.gather(*(read(bench) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in results] == ["The origin answers with status 404."] * 3
    assert len({id(error) for error in results}) == 3
    assert bench.source.downloads[URL] == 1
    bench.source.files[URL] = File(b"there now")
    assert (await read(bench))[0] == b"there now"


async def test_who_leaves_does_not_stop_it_for_others_but_the_last_does(bench: Bench) -> None:
    gate = asyncio.Event()
    bench.source.files[URL] = File(b"content", gate=gate)
    first, second = (asyncio.create_task(read(bench)) for _ in range(2))
    await bench.source.started.wait()
    first.cancel()
    await asyncio.wait([first])
    gate.set()
    assert (await second)[0] == b"content"
    bench.source.files[OTHER] = File(b"content", gate=asyncio.Event())
    bench.source.started.clear()
    alone = asyncio.create_task(read(bench, OTHER))
    await bench.source.started.wait()
    alone.cancel()
    await asyncio.wait([alone])
    await until(lambda: bench.source.ended == ["CancelledError"])
    bench.source.files[OTHER] = File(b"content")
    assert (await read(bench, OTHER))[0] == b"content", "nothing of it blocks the next"


async def test_wrong_credentials_do_not_spoil_it_for_right_ones(bench: Bench) -> None:
    bench.source.files[URL] = File(b"private", token="right")
    wrong, right, none = await asyncio.gather(
        read(bench, credentials=THEIRS), read(bench, credentials=MINE), read(bench), return_exceptions=True
    )
    assert not isinstance(right, BaseException) and right[0] == b"private"
    assert isinstance(wrong, FetchFailed) and isinstance(none, FetchFailed | FetchRefused)


async def test_each_caller_has_their_own_limit(bench: Bench) -> None:
    gate = asyncio.Event()
    bench.source.files[URL] = File(b"x" * 1000, gate=gate)
    large = asyncio.create_task(read(bench, limit=1000))
    await bench.source.started.wait()
    with pytest.raises(TooLarge, match="999"):
        await read(bench, limit=999)
    gate.set()
    assert len((await large)[0]) == 1000
    with pytest.raises(TooLarge, match="999"):
        await read(bench, limit=999)
    assert bench.source.downloads[URL] == 1


async def test_a_small_limit_of_the_first_does_not_bind_the_second(bench: Bench) -> None:
    bench.source.files[URL] = File(b"x" * 1000)
    small, large = await asyncio.gather(read(bench, limit=100), read(bench, limit=10_000), return_exceptions=True)
    assert isinstance(small, TooLarge)
    assert not isinstance(large, BaseException) and len(large[0]) == 1000


async def test_nobody_can_raise_the_limit_of_the_operator(bench: Bench) -> None:
    bench.source.files[URL] = File(b"x" * 1_000_001)
    with pytest.raises(TooLarge, match=str(LIMITS.input.bytes)):
        await read(bench, limit=10**12)
    assert len((await read(bench, purpose="model"))[0]) == 1_000_001


async def test_a_checksum_is_kept_or_nothing_is(bench: Bench) -> None:
    bench.source.files[URL] = File(b"right")
    sha256 = hashlib.sha256(b"right").hexdigest()
    assert (await read(bench, sha256=sha256.upper(), purpose="model"))[0] == b"right"
    with pytest.raises(FetchFailed, match=r"host\.example gave a file whose SHA-256"):
        await read(bench, OTHER.replace("b/", "a/"), sha256="0" * 64, purpose="model")
    assert (await read(bench, purpose="model"))[1].cached, "the good copy stays"
    bench.source.files[OTHER] = File(b"wrong")
    with pytest.raises(FetchFailed, match="SHA-256"):
        await read(bench, OTHER, sha256=sha256)
    assert len(bench.names()) == 1 and bench.partials() == []


async def test_only_so_many_downloads_at_once(bench: Bench) -> None:
    bench.fetching = bench.build(at_once=2)
    gate = asyncio.Event()
    urls = [f"http://host{number}.example/a.png" for number in range(5)]
    bench.source.files |= {url: File(url.encode(), gate=gate) for url in urls}
    reading = [asyncio.create_task(read(bench, url)) for url in urls]
    await until(lambda: bench.source.busy == 2)
    gate.set()
    await asyncio.gather(*reading)
    assert bench.source.busiest == 2


async def test_the_wait_for_a_turn_is_nobodys_fault(bench: Bench) -> None:
    bench.fetching = bench.build(at_once=1, input=Caps(1000, 0.3))
    bench.source.files |= {URL: File(gate=asyncio.Event()), ELSEWHERE: File(b"quick")}
    slow = asyncio.create_task(read(bench))
    await bench.source.started.wait()
    quick = asyncio.create_task(read(bench, ELSEWHERE))
    with pytest.raises(FetchFailed, match=r"host\.example did not give the file within 0\.3 s"):
        await slow
    assert (await quick)[0] == b"quick", "it waited as long as its own download may take"


async def test_a_slow_host_leaves_turns_for_others(bench: Bench) -> None:
    bench.fetching = bench.build(at_once=2)
    gate = asyncio.Event()
    bench.source.files |= {URL: File(b"slow", gate=gate), OTHER: File(b"slow"), ELSEWHERE: File(b"quick")}
    slow = [asyncio.create_task(read(bench))]
    await bench.source.started.wait()
    slow.append(asyncio.create_task(read(bench, OTHER)))
    assert (await read(bench, ELSEWHERE))[0] == b"quick"
    assert OTHER not in bench.source.downloads
    gate.set()
    assert [content for content, _ in await asyncio.gather(*slow)] == [b"slow", b"slow"]


async def test_a_copy_that_was_never_hashed_is_hashed_when_a_checksum_is_asked_for(bench: Bench) -> None:
    bench.source.files[URL] = File(b"large", is_hashed=False)
    sha256 = hashlib.sha256(b"large").hexdigest()
    assert (await read(bench, purpose="model"))[1].sha256 == ""
    _, file = await read(bench, purpose="model", sha256=sha256)
    assert (file.cached, file.sha256, card_of(file)["sha256"]) == (True, sha256, sha256)
    assert bench.source.downloads[URL] == 1
    with pytest.raises(FetchFailed, match="SHA-256"):
        await read(bench, purpose="model", sha256="0" * 64)
    assert (await read(bench, purpose="model"))[1].cached


async def test_a_data_uri_leaves_nothing(bench: Bench) -> None:
    uri = "data:image/png;base64,AAAA"
    bench.source.files[uri] = File(b"\0\0\0", mime="image/png")
    content, file = await read(bench, uri)
    assert (content, file.filename, file.cached) == (b"\0\0\0", "file.png", False)
    assert not file.path.exists() and bench.names() == []


async def test_a_data_uri_is_not_read_as_a_url(bench: Bench) -> None:
    bench.source.files["data://[,x"] = File(b"x")
    assert (await read(bench, "data://[,x"))[0] == b"x"
    with pytest.raises(FetchFailed, match="data URI gave a file whose SHA-256"):
        await read(bench, "data://[,x", sha256="0" * 64)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ftp://host.example/a", InvalidInput),
        ("cat.png", InvalidInput),
        ("hf://owner/repo/file", InvalidInput),
        ("http://169.254.169.254/latest", FetchRefused),
        ("http://[::1/a", FetchRefused),
        ("http://host.example/" + "a" * 20_000, FetchRefused),
        ("http://host.example/a\nanonymous", FetchRefused),
        ("s3://bucket/a\r\nb", FetchRefused),
        ("http://host.example/\ud800", FetchRefused),
    ],
)
async def test_bad_addresses_are_refused_before_the_cache(bench: Bench, url: str, error: type[Exception]) -> None:
    bench.source.files[url] = File()
    with pytest.raises(error):
        await read(bench, url)
    assert not bench.source.orders


async def test_a_disk_that_breaks_under_the_source_leaves_no_half_file(bench: Bench) -> None:
    bench.source.files[URL] = File(b"content")

    def fill(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, os.strerror(28))

    bench.source.before = fill
    with pytest.raises(StorageFailed, match="No space left"):
        await read(bench)
    assert bench.names() == bench.partials() == []


async def test_a_caller_waits_no_longer_than_its_purpose_allows(bench: Bench) -> None:
    bench.source.files[URL] = File(gate=asyncio.Event())
    bench.fetching = bench.build(input=Caps(1000, 0.05))
    with pytest.raises(FetchFailed, match=r"host\.example did not give the file within 0\.05 s") as caught:
        await read(bench)
    assert caught.value.retryable
