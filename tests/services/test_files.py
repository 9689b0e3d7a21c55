"""Files: uploads, signed URLs, and who may use what."""

from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from comfyserve.core.errors import InvalidInput, NotFound, TooLarge
from comfyserve.services.asset_ids import is_asset_id
from comfyserve.services.files import clean_filename, clean_mime
from comfyserve.services.records import AssetView
from tests.services.bundle import PNG, Bundle, pieces


async def upload(bundle: Bundle, name: str = "logo.png") -> AssetView:
    """A small picture."""
    return await bundle.files.upload(bundle.caller, name, "image/png", pieces(PNG[:20], PNG[20:]))


def signed(url: str) -> tuple[str, str, str]:
    """Asset id, expiry and signature of a URL."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return parts.path.split("/")[2], query["expires"][0], query["sig"][0]


async def test_an_upload_becomes_an_asset(bundle: Bundle) -> None:
    asset = await upload(bundle)
    assert is_asset_id(asset.id)
    assert asset.id.startswith("img_")
    assert (asset.filename, asset.mime, asset.size) == ("logo.png", "image/png", len(PNG))
    assert await bundle.files.get(bundle.caller, asset.id) == asset
    async with bundle.files.open(asset, start=1, length=3) as content:
        assert b"".join([piece async for piece in content]) == b"PNG"


async def test_an_upload_has_a_limit(bundle: Bundle) -> None:
    with pytest.raises(TooLarge):
        await bundle.files.upload(bundle.caller, "a", None, pieces(b"12345"), 4)
    with pytest.raises(TooLarge):
        await bundle.files.upload(bundle.caller, "a", None, pieces(b"1" * 1_000_001), 10**9)
    assert (await bundle.files.list(bundle.caller)).items == []


async def test_a_signed_url_opens_one_asset_for_a_while(bundle: Bundle) -> None:
    asset, other = await upload(bundle), await upload(bundle)
    asset_id, expires, sig = signed(asset.url)
    bundle.files.verify(asset_id, expires, sig)
    assert (await bundle.files.stored(asset_id)).id == asset.id
    for wrong in (
        (other.id, expires, sig),
        (asset_id, str(int(expires) + 1), sig),
        (asset_id, expires, sig[:-1] + ("0" if sig[-1] != "0" else "1")),
        (asset_id, expires, ""),
        (asset_id, "", sig),
        (asset_id, "-1", sig),
        (asset_id, "9" * 40, sig),
        (asset_id, expires, "\ud800"),
    ):
        with pytest.raises(NotFound):
            bundle.files.verify(*wrong)
    bundle.clock.step(3 * 3600)
    with pytest.raises(NotFound):
        bundle.files.verify(asset_id, expires, sig)


async def test_a_url_stays_the_same_for_a_while_and_lives_long_enough(bundle: Bundle) -> None:
    bundle.clock.step(1)
    url = bundle.files.url("img_1", "a.png")
    bundle.clock.step(600)
    assert bundle.files.url("img_1", "a.png") == url
    assert int(signed(url)[1]) - bundle.clock().timestamp() >= 3600 - 600


async def test_our_urls_are_recognised_wherever_we_are_called(bundle: Bundle) -> None:
    asset = await upload(bundle, "a b.png")
    elsewhere = asset.url.replace("127.0.0.1", "localhost")
    for value in (asset.id, f"asset:{asset.id}", f"ASSET:{asset.id}", asset.url, elsewhere):
        assert await bundle.files.resolve(bundle.caller, value) == asset.id
    bundle.clock.step(10 * 3600)
    assert await bundle.files.resolve(bundle.caller, asset.url) == asset.id


@pytest.mark.parametrize(
    "value",
    [
        "logo.png",
        "https://example.com/a.png",
        "https://example.com/files/x/y?sig=1",
        "",
        "http://[::1",
        "http://\u2100/",
    ],
)
async def test_what_is_not_ours(bundle: Bundle, value: str) -> None:
    assert await bundle.files.resolve(bundle.caller, value) is None


async def test_foreign_and_forged_files_are_not_found(bundle: Bundle) -> None:
    asset = await upload(bundle)
    stranger = await bundle.foreigner()
    for value in (asset.id, asset.url, f"asset:{asset.id}"):
        with pytest.raises(NotFound):
            await bundle.files.resolve(stranger, value)
    with pytest.raises(NotFound):
        await bundle.files.resolve(bundle.caller, asset.url[:-4] + "0000")
    with pytest.raises(NotFound):
        await bundle.files.get(stranger, asset.id)
    assert (await bundle.files.list(stranger)).items == []


async def test_an_upload_that_cannot_be_written_down_leaves_no_bytes(bundle: Bundle) -> None:
    full = "CREATE TRIGGER full BEFORE INSERT ON assets BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    await bundle.db.write(lambda connection: connection.execute(text(full)))
    with pytest.raises(IntegrityError, match="full"):
        await upload(bundle)
    assert bundle.blobs.files == {}


async def test_assets_come_in_pages_newest_first(bundle: Bundle) -> None:
    made = [(await upload(bundle)).id for _ in range(5)]
    first = await bundle.files.list(bundle.caller, limit=2)
    second = await bundle.files.list(bundle.caller, cursor=first.next_cursor, limit=3)
    assert [asset.id for asset in [*first.items, *second.items]] == made[::-1]
    assert second.next_cursor is None


@pytest.mark.parametrize("cursor", ["x", "!!", "WzFd" * 100, "W10", "WyJhIl0"])
async def test_strange_cursors_are_refused(bundle: Bundle, cursor: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await bundle.files.list(bundle.caller, cursor=cursor)
    assert refused.value.place.field == "cursor"


@pytest.mark.parametrize("limit", [0, -1, 201])
async def test_page_sizes_are_bounded(bundle: Bundle, limit: int) -> None:
    with pytest.raises(InvalidInput):
        await bundle.files.list(bundle.caller, limit=limit)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.png", "a.png"),
        ("a\x00b\n.png", "a_b_.png"),
        ("..", "file"),
        ("", "file"),
        ("/", "file"),
        ("\ud800.png", "?.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
    ],
)
def test_file_names_are_plain(given: str, kept: str) -> None:
    assert clean_filename(given) == kept


@pytest.mark.parametrize(
    ("given", "name", "kept"),
    [
        ("image/PNG; charset=x", "a", "image/png"),
        (None, "a.webp", "image/webp"),
        ("application/octet-stream", "a.png", "image/png"),
        ("text/html\r\nX: y", "a", "application/octet-stream"),
        ("nonsense", "a", "application/octet-stream"),
    ],
)
def test_media_types_are_plain(given: str | None, name: str, kept: str) -> None:
    assert clean_mime(given, name) == kept
