"""Files: ranges, conditions, names, and the signature that is the permission."""

import pytest

from comfyserve.apis.http.errors import RangeUnsatisfiable
from comfyserve.apis.http.ranges import Span, matches, span_of
from comfyserve.core.disposition import disposition
from tests.apis.world import BASE, STRANGER, World, key
from tests.services.bundle import pieces

DATA = bytes(range(100))
BARE = {"authorization": ""}


async def stored(world: World, name: str = "a.png", mime: str = "image/png") -> str:
    asset = await world.bundle.files.upload(world.bundle.caller, name, mime, pieces(DATA))
    return asset.url.removeprefix(BASE)


async def test_the_whole_file(world: World) -> None:
    answer = await world.client.get(await stored(world), headers=BARE)
    assert answer.content == DATA
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == "100"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers["content-disposition"].startswith("inline")


async def test_a_range(world: World) -> None:
    url = await stored(world)
    answer = await world.client.get(url, headers={"range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (206, DATA[10:20])
    assert answer.headers["content-range"] == "bytes 10-19/100"
    beyond = await world.client.get(url, headers={"range": "bytes=100-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */100")
    other = await world.client.get(url, headers={"range": "bytes=0-1", "if-range": '"old"'})
    assert (other.status_code, len(other.content)) == (200, 100)


async def test_a_file_that_is_known_is_not_sent_again(world: World) -> None:
    url = await stored(world)
    etag = (await world.client.head(url)).headers["etag"]
    assert (await world.client.get(url, headers={"if-none-match": etag})).status_code == 304


async def test_head_sends_no_bytes(world: World) -> None:
    answer = await world.client.head(await stored(world))
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "100", b"")


async def test_a_page_is_a_download(world: World) -> None:
    for name, mime in (("a.html", "text/html"), ("a.svg", "image/svg+xml"), ("a.zip", "application/zip")):
        answer = await world.client.get(await stored(world, name, mime))
        assert answer.headers["content-disposition"].startswith("attachment")
    shown = await world.client.get(await stored(world) + "&download=1")
    assert shown.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("change", [("sig=", "sig=0"), ("expires=", "expires=9"), ("sig=", "gis="), ("img_", "img_x")])
async def test_a_changed_link_is_refused(world: World, change: tuple[str, str]) -> None:
    answer = await world.client.get((await stored(world)).replace(*change))
    assert answer.status_code == 404


async def test_a_link_ends(world: World) -> None:
    url = await stored(world)
    world.bundle.clock.step(3 * 3600)
    assert (await world.client.get(url)).status_code == 404


@pytest.mark.parametrize(
    ("header", "span"),
    [
        (None, None),
        ("bytes=0-", Span(0, 100)),
        ("bytes=-10", Span(90, 10)),
        ("bytes=-1000", Span(0, 100)),
        ("bytes=99-1000", Span(99, 1)),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,4-5", None),
        ("pages=1-2", None),
    ],
)
def test_ranges(header: str | None, span: Span | None) -> None:
    assert span_of(header, 100) == span


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)])
def test_ranges_outside(header: str, size: int) -> None:
    with pytest.raises(RangeUnsatisfiable):
        span_of(header, size)


def test_entity_tags() -> None:
    assert matches('W/"a", "b"', '"a"')
    assert matches("*", '"a"')
    assert not matches('"c"', '"a"')
    assert not matches(None, '"a"')


def test_names_are_quoted() -> None:
    assert disposition('ü".png', "image/png", download=False) == "inline; filename*=utf-8''%C3%BC%22.png"


async def test_an_upload_can_be_removed(world: World) -> None:
    asset = await world.json("POST", "/v1/assets", 201, files={"file": ("a.png", DATA)})
    await world.json("DELETE", f"/v1/assets/{asset['id']}", 404, headers=key(STRANGER))
    await world.json("DELETE", f"/v1/assets/{asset['id']}", 204)
    assert world.bundle.blobs.files == {}
    assert (await world.client.get(asset["url"])).status_code == 404
    await world.json("DELETE", f"/v1/assets/{asset['id']}", 404)


async def test_a_file_of_a_run_stays_with_it(world: World) -> None:
    names = await world.names()
    run = await world.json("GET", f"/v1/runs/{names['run']}")
    (output,) = [one for one in run["outputs"] if one.get("asset_id")]
    told = await world.json("DELETE", f"/v1/assets/{output['asset_id']}", 409)
    assert names["run"] in told["error"]["message"]
    assert (await world.client.get(output["url"])).status_code == 200


@pytest.fixture
def bucket_world(world: World) -> World:
    """A world whose store serves its files itself."""
    world.bundle.blobs.links = "https://bucket.example"
    return world


async def test_a_store_that_serves_files_gets_the_callers(bucket_world: World) -> None:
    url = await stored(bucket_world)
    answer = await bucket_world.client.get(url, headers=BARE)
    assert (answer.status_code, answer.content) == (307, b"")
    assert answer.headers["location"].startswith("https://bucket.example/assets/")
    assert "max-age=600" in answer.headers["cache-control"]
    ranged = await bucket_world.client.get(url, headers=BARE | {"range": "bytes=1-2"})
    assert ranged.status_code == 307
    assert (await bucket_world.client.get(url, headers=BARE | {"range": "bytes=100-"})).status_code == 416
    assert (await bucket_world.client.get(url.replace("sig=", "sig=0"), headers=BARE)).status_code == 404


@pytest.mark.parametrize("asked", [{"sec-fetch-site": "same-origin"}, {"sec-fetch-mode": "cors"}])
async def test_a_browser_that_could_not_follow_gets_it_from_us(bucket_world: World, asked: dict[str, str]) -> None:
    answer = await bucket_world.client.get(await stored(bucket_world), headers=BARE | asked)
    assert (answer.status_code, answer.content) == (200, DATA)


async def test_what_a_link_cannot_do_we_do(bucket_world: World) -> None:
    url = await stored(bucket_world)
    head = await bucket_world.client.head(url, headers=BARE)
    assert (head.status_code, head.headers["content-length"]) == (200, "100")
    saved = await bucket_world.client.get(url + "&download=1", headers=BARE)
    assert (saved.status_code, saved.content) == (200, DATA)
    known = await bucket_world.client.get(url, headers=BARE | {"if-none-match": head.headers["etag"]})
    assert known.status_code == 304
