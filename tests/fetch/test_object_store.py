"""Objects of S3, Azure and Google buckets, through the guarding proxy."""

import asyncio
import hashlib
import json
import os
import traceback
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import obstore
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from comfyserve.core.buckets import BucketKind
from comfyserve.core.credentials import Auth, AzureAuth, BearerAuth, GcsAuth, S3Auth
from comfyserve.core.errors import FetchFailed, FetchRefused, StorageFailed, TooLarge
from comfyserve.fetch.bucket_url import Place, is_bucket_url, read_bucket_url
from comfyserve.fetch.buckets import own_azure_account, plan
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.object_store import ObjectStoreSource
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.fetch.source import Arrived, Order, Unchanged, Validators
from tests.emulators.flaky import Fault, Flaky, flaky
from tests.emulators.servers import ACCESS_KEY, AZURE_ACCOUNT, AZURE_KEY, SECRET_KEY, Bucket, service_account
from tests.emulators.test_servers import store_of

SCHEMES = {"s3": "s3", "azure": "az", "gcs": "gs"}
LIMIT = 10_000_000
PIECE = 100_000
BIG = os.urandom(PIECE * 7 + 11)
SHA = hashlib.sha256(BIG).hexdigest()
KINDS = ["s3", "azure", "gcs"]


@pytest.fixture
async def strict() -> AsyncIterator[GuardingProxy]:
    """A proxy under the policy as it comes: it leads to the emulators only where the operator configured them."""
    made = GuardingProxy(Guard())
    yield made
    await made.close()


@pytest.fixture
async def open_proxy() -> AsyncIterator[GuardingProxy]:
    """A proxy that leads callers to loopback."""
    made = GuardingProxy(Guard("127.0.0.1"))
    yield made
    await made.close()


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> Bucket:
    """A fresh bucket of the kind in the parameter."""
    made: Bucket = request.getfixturevalue(f"{request.param}_bucket")
    return made


def source_of(proxy: GuardingProxy, own: Mapping[str, str], **options: Any) -> ObjectStoreSource:
    """A source of quick tries and small pieces."""
    settings: dict[str, Any] = {
        "delays": (0.01, 0.01),
        "piece_bytes": PIECE,
        "idle_seconds": 5,
    } | options
    return ObjectStoreSource(proxy, own, **settings)


def caller_auth(bucket: Bucket) -> Auth:
    """What a caller gives to open a bucket of an emulator."""
    by_kind: dict[str, Auth] = {
        "s3": S3Auth(ACCESS_KEY, SECRET_KEY, endpoint=bucket.url),
        "azure": AzureAuth(AZURE_ACCOUNT, AZURE_KEY, endpoint=bucket.url),
        "gcs": GcsAuth(service_account(), bucket.url),
    }
    return by_kind[bucket.kind]


def order(bucket: Bucket, key: str, auth: Auth | None = None, **more: Any) -> Order:
    """An order for an object."""
    return Order(f"{SCHEMES[bucket.kind]}://{bucket.name}/{key}", more.pop("limit", LIMIT), auth, **more)


async def put(bucket: Bucket, key: str, data: bytes, **attributes: str) -> None:
    """Put an object into the bucket, past everything that is tested."""
    await obstore.put_async(store_of(bucket), key, data, attributes=attributes)


async def arrives(source: ObjectStoreSource, what: Order, path: Path) -> Arrived:
    """Download, which must give a file."""
    arrived = await source.download(what, path)
    assert isinstance(arrived, Arrived)
    return arrived


def left(folder: Path) -> list[str]:
    """What a folder holds."""
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------------------------ addresses

ADDRESSES = [
    ("s3://b/k/m.png", Place("s3", "b", ("k/m.png",))),
    ("S3://b/a b.png?x#y", Place("s3", "b", ("a b.png",))),
    ("s3://b/a%20b.png", Place("s3", "b", ("a%20b.png", "a b.png"))),
    ("gs://my.bucket/o", Place("gcs", "my.bucket", ("o",))),
    ("az://c/x/y", Place("azure", "c", ("x/y",))),
    ("https://acc.blob.core.windows.net/c/a%20b", Place("azure", "c", ("a b",), account="acc")),
    ("https://b.s3.eu-west-1.amazonaws.com/k%20", Place("s3", "b", ("k ",), region="eu-west-1")),
    ("https://a.b.s3.amazonaws.com/k", Place("s3", "a.b", ("k",))),
    ("https://s3-us-west-2.amazonaws.com/b/k", Place("s3", "b", ("k",), region="us-west-2")),
    ("https://storage.googleapis.com/b/o/p", Place("gcs", "b", ("o/p",))),
    ("https://b.storage.googleapis.com/o", Place("gcs", "b", ("o",))),
]


@pytest.mark.parametrize(("text", "place"), ADDRESSES)
def test_addresses_are_read(text: str, place: Place) -> None:
    assert read_bucket_url(text) == place


@pytest.mark.parametrize(
    "text",
    ["s3://", "s3:///k", "s3://b", "s3://b/", "s3://b//k", "s3://b/a/../k", "s3://b/a\0", "s3://b k/x", "s3://u@b/k",
     "https://example.com/b/k", "https://acc.blob.core.windows.net/c", "no url"],
)  # fmt: skip
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(FetchRefused):
        read_bucket_url(text)


def test_a_decoded_reading_that_cannot_be_a_key_is_left_out() -> None:
    assert read_bucket_url("s3://b/%2e%2e").keys == ("%2e%2e",)
    assert read_bucket_url("s3://b/a%00").keys == ("a%00",)


def test_which_addresses_are_of_object_stores() -> None:
    page = "https://acc.blob.core.windows.net/c/x"
    assert all(is_bucket_url(url) for url in ("s3://b/k", "gs://b/k", "az://b/k", "azure://b/k"))
    assert is_bucket_url(page, AzureAuth("acc", "key"))
    assert is_bucket_url(page, None, "acc")
    assert is_bucket_url("https://b.s3.amazonaws.com/k", S3Auth("a", "b"))
    assert is_bucket_url("https://storage.googleapis.com/b/k", GcsAuth("{}"))
    for url, auth, own in [
        (page, None, ""),
        (page, None, "other"),
        (page, BearerAuth("t"), "acc"),
        (f"{page}?sv=1&sig=x", None, "acc"),
        ("https://b.s3.amazonaws.com/k", None, ""),
        ("https://example.com/k", S3Auth("a", "b"), ""),
        ("file:///k", None, ""),
    ]:
        assert not is_bucket_url(url, auth, own)


# -------------------------------------------------------------------------------------------------- clients

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "own", "AWS_SECRET_ACCESS_KEY": "own-secret", "AWS_SESSION_TOKEN": "own-token"}
AZURE = "AccountName=acc;AccountKey=a2V5;BlobEndpoint=http://store.local:10000/acc"


def credential(planned: Any) -> dict[str, Any]:
    """What a plan's provider gives."""
    given: dict[str, Any] = planned.options["credential_provider"]()
    return given


def test_the_callers_credentials_come_before_the_servers() -> None:
    place = Place("s3", "b", ("k",))
    own = ENVIRONMENT | {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://minio.local:9000"}
    mine = plan(place, None, own)
    assert credential(mine) == {
        "access_key_id": "own", "secret_access_key": "own-secret", "token": "own-token", "expires_at": None,
    }  # fmt: skip
    assert mine.trusted == ("minio.local:9000",)
    theirs = plan(place, S3Auth("a", "s", endpoint="https://other:9", region="x"), own)
    assert credential(theirs) == {
        "access_key_id": "a", "secret_access_key": "s", "token": None, "expires_at": None,
    }  # fmt: skip
    assert (theirs.options["endpoint"], theirs.options["region"], theirs.trusted) == ("https://other:9", "x", ())


@pytest.mark.parametrize("auth", [S3Auth("a", "s", region="evil.com/a"), AzureAuth("evil.com/a", "a2V5")])
def test_no_word_of_a_caller_makes_another_host_of_the_providers(auth: S3Auth | AzureAuth) -> None:
    kind: BucketKind = "s3" if isinstance(auth, S3Auth) else "azure"
    with pytest.raises(FetchRefused, match="not the name of"):
        plan(Place(kind, "bucket", ("k",)), auth, {})


def test_callers_credentials_go_to_the_provider_unless_they_name_an_endpoint() -> None:
    own = ENVIRONMENT | {
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://minio.local:9000",
        "GOOGLE_BASE_URL": "http://gcs.local:9000",
        "AZURE_STORAGE_CONNECTION_STRING": AZURE,
    }
    plans = [
        plan(Place("s3", "b", ("k",)), S3Auth("a", "s"), own),
        plan(Place("gcs", "b", ("k",)), GcsAuth(service_account()), own),
        plan(Place("azure", "c", ("k",)), AzureAuth("acc", "a2V5"), own),
    ]
    assert [planned.trusted for planned in plans] == [(), (), ()]
    assert [planned.options.get("endpoint") or planned.options["base_url"] for planned in plans] == [
        "https://s3.us-east-1.amazonaws.com",
        "https://storage.googleapis.com",
        "https://acc.blob.core.windows.net",
    ]


def key_of(bits: int) -> str:
    """A service account whose key has so many bits, and no primes."""
    p, q = (2 ** (bits // 2) - odd for odd in (3, 5))
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, 65539, 65539 % (p - 1), 65539 % (q - 1), pow(q, -1, p), public)
    pem = numbers.private_key(unsafe_skip_rsa_key_validation=True).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return json.dumps({"client_email": "x", "private_key_id": "1", "private_key": pem.decode()})


def test_no_caller_has_us_look_for_primes() -> None:
    """That takes seconds on the event loop, and a minute for the largest key that fits into a request."""
    place = Place("gcs", "b", ("k",))
    assert plan(place, GcsAuth(key_of(2048)), {}).options["credential_provider"]
    for bits in (4900, 8192, 16_384):
        with pytest.raises(FetchRefused, match="4096 bits"):
            plan(place, GcsAuth(key_of(bits)), {})


def test_without_any_credentials_a_bucket_is_asked_as_a_public_one() -> None:
    for place in (Place("s3", "b", ("k",)), Place("azure", "c", ("k",), account="acc"), Place("gcs", "b", ("k",))):
        planned = plan(place, None, {})
        assert planned.options["skip_signature"] is True
        assert "credential_provider" not in planned.options
    other = plan(Place("azure", "c", ("k",), account="other"), None, {"AZURE_STORAGE_CONNECTION_STRING": AZURE})
    assert other.options["skip_signature"] is True
    assert other.trusted == ()


def test_the_servers_azure_account_by_all_its_variables() -> None:
    for own in (
        {"AZURE_STORAGE_CONNECTION_STRING": AZURE},
        {
            "AZURE_STORAGE_ACCOUNT": "acc",
            "AZURE_STORAGE_KEY": "a2V5",
            "AZURE_STORAGE_ENDPOINT": "http://store.local:10000",
        },
        {"AZURE_STORAGE_CONNECTION_STRING": AZURE, "AZURE_STORAGE_ACCOUNT_NAME": "x", "AZURE_STORAGE_KEY": "eA=="},
    ):
        planned = plan(Place("azure", "c", ("k",)), None, own)
        assert own_azure_account(own) == "acc"
        assert credential(planned)["access_key"] == "a2V5"
        assert planned.trusted == ("store.local:10000",)
    for name in ("AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN"):
        planned = plan(Place("azure", "c", ("k",)), None, {"AZURE_STORAGE_ACCOUNT": "acc", name: "?sv=1&sig=3"})
        assert credential(planned)["sas_token"] == "sv=1&sig=3"
    signed = plan(Place("azure", "c", ("k",)), AzureAuth("xyz", sas_token="?sv=1&sig=2"), {})
    assert credential(signed)["sas_token"] == "sv=1&sig=2"


@pytest.mark.parametrize(
    ("place", "auth"),
    [
        (Place("s3", "b", ("k",)), BearerAuth("t")),
        (Place("s3", "b", ("k",)), AzureAuth("a", "b")),
        (Place("azure", "b", ("k",)), S3Auth("a", "b")),
        (Place("azure", "b", ("k",)), None),
        (Place("gcs", "b", ("k",)), S3Auth("a", "b")),
        (Place("gcs", "b", ("k",)), GcsAuth("not json")),
        (
            Place("gcs", "b", ("k",)),
            GcsAuth(json.dumps({"client_email": "x", "private_key_id": "1", "private_key": "z"})),
        ),
        (Place("s3", "b", ("k",)), S3Auth("a", "b", endpoint="file:///x")),
        (Place("s3", "b", ("k",)), S3Auth("a", "b", endpoint="http://u:p@host")),
    ],
)
def test_credentials_that_cannot_be(place: Place, auth: Auth | None) -> None:
    with pytest.raises(FetchRefused):
        plan(place, auth, {})


# ------------------------------------------------------------------------------------------------ downloads


@pytest.mark.parametrize("bucket", KINDS, indirect=True)
@pytest.mark.parametrize("who", ["caller", "server"])
async def test_a_file_arrives_in_pieces(
    bucket: Bucket, who: str, strict: GuardingProxy, open_proxy: GuardingProxy, tmp_path: Path
) -> None:
    await put(bucket, "dir/big.bin", BIG, **{"Content-Type": "image/png"})
    auth = caller_auth(bucket) if who == "caller" else None
    source = source_of(open_proxy if auth else strict, {} if auth else bucket.environment)
    told: list[tuple[int, int | None]] = []
    what = order(bucket, "dir/big.bin", auth, sha256=SHA, on_bytes=lambda *bytes_: told.append(bytes_))
    arrived = await arrives(source, what, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BIG
    assert (arrived.size, arrived.sha256, arrived.mime) == (len(BIG), SHA, "image/png")
    assert arrived.names == (None, "big.bin")
    assert arrived.head == BIG[:64]
    assert told[0] == (0, len(BIG))
    assert told[-1] == (len(BIG), len(BIG))
    assert left(tmp_path) == ["got"]
    assert await source.check(what.url, auth, arrived.validators)
    assert not await source.check(what.url, auth, Validators(etag='"other"', size=len(BIG)))
    again = order(bucket, "dir/big.bin", auth, held=arrived.validators)
    assert isinstance(await source.download(again, tmp_path / "got"), Unchanged)
    changed = order(bucket, "dir/big.bin", auth, held=Validators(etag='"other"'))
    assert isinstance(await source.download(changed, tmp_path / "got"), Arrived)


@pytest.mark.parametrize("bucket", ["s3", "azure"], indirect=True)
@pytest.mark.parametrize(
    ("key", "url_key"),
    [("a b+c.png", "a b+c.png"), ("a b+c.png", "a%20b+c.png"), ("a%20b.png", "a%20b.png"), ("q?#.png", "q%3F%23.png"),
     ("ü/é.png", "ü/é.png"), ("empty", "empty")],
)  # fmt: skip
async def test_keys_are_found_as_written_and_decoded(
    bucket: Bucket, key: str, url_key: str, strict: GuardingProxy, tmp_path: Path
) -> None:
    data = b"" if key == "empty" else b"x"
    await put(bucket, key, data)
    arrived = await arrives(source_of(strict, bucket.environment), order(bucket, url_key), tmp_path / "got")
    assert arrived.size == len(data)
    assert arrived.names[1] == key.rpartition("/")[2]
    assert (tmp_path / "got").read_bytes() == data


async def test_the_servers_token_and_endpoint_stay_out_of_callers_requests(
    s3_bucket: Bucket, open_proxy: GuardingProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(s3_bucket, "k", b"x")
    public = Request(
        f"{s3_bucket.url}/{s3_bucket.name}/k?acl",
        method="PUT",
        headers={"x-amz-acl": "public-read", "Authorization": "AWS a:b"},
    )
    (await asyncio.to_thread(urlopen, public)).close()
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://169.254.169.254")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    async with flaky(s3_bucket) as watched:
        auth = S3Auth("callers-key", "callers-secret", endpoint=watched.bucket.url)
        await arrives(source_of(open_proxy, ENVIRONMENT), order(s3_bucket, "k", auth), tmp_path / "got")
        await arrives(
            source_of(open_proxy, {"AWS_ENDPOINT_URL": watched.bucket.url}), order(s3_bucket, "k"), tmp_path / "g"
        )
        signed = [request for request in watched.asked if "Authorization" in request.headers]
        unsigned = [request for request in watched.asked if "Authorization" not in request.headers]
    assert signed
    assert unsigned
    for request in signed:
        assert "Credential=callers-key/" in request.headers["Authorization"]
        assert "x-amz-security-token" not in {name.lower() for name in request.headers}


@pytest.mark.parametrize("bucket", KINDS, indirect=True)
async def test_what_is_missing_or_too_large(bucket: Bucket, strict: GuardingProxy, tmp_path: Path) -> None:
    source = source_of(strict, bucket.environment)
    with pytest.raises(FetchFailed, match="no such file") as caught:
        await source.download(order(bucket, "none"), tmp_path / "got")
    assert not caught.value.retryable
    with pytest.raises(FetchFailed, match="no such file"):
        await source.check(order(bucket, "none").url, None)
    await put(bucket, "k", b"x" * 11)
    with pytest.raises(TooLarge):
        await source.download(order(bucket, "k", limit=10), tmp_path / "got")


async def test_wrong_credentials(azure_bucket: Bucket, open_proxy: GuardingProxy, tmp_path: Path) -> None:
    await put(azure_bucket, "k", b"x")
    source = source_of(open_proxy, {})
    for auth in (
        AzureAuth(AZURE_ACCOUNT, "d3Jvbmc=", endpoint=azure_bucket.url),
        AzureAuth(AZURE_ACCOUNT, endpoint=azure_bucket.url),
        AzureAuth(AZURE_ACCOUNT, sas_token="sv=2021-08-06&sp=r&sig=s3cret", endpoint=azure_bucket.url),
    ):
        for call in (
            source.download(order(azure_bucket, "k", auth), tmp_path / "got"),
            source.check(order(azure_bucket, "k").url, auth),
        ):
            with pytest.raises(FetchFailed) as caught:
                await call
            assert not caught.value.retryable
            assert "s3cret" not in str(caught.value)
            assert caught.value.__context__ is None or caught.value.__suppress_context__


async def test_the_servers_own_files_are_not_read_by_their_address(
    s3_bucket: Bucket, strict: GuardingProxy, open_proxy: GuardingProxy, tmp_path: Path
) -> None:
    for key in ("files/secret", "other/fine"):
        await put(s3_bucket, key, b"x")
    kept = f"s3://{s3_bucket.name}/files"
    source = source_of(strict, s3_bucket.environment, kept=kept)
    for key in ("files/secret", "files%2Fsecret"):
        for call in (
            source.download(order(s3_bucket, key), tmp_path / "got"),
            source.check(order(s3_bucket, key).url, None),
        ):
            with pytest.raises(FetchRefused, match="own files"):
                await call
    assert (await arrives(source, order(s3_bucket, "other/fine"), tmp_path / "got")).size == 1
    theirs = order(s3_bucket, "files/secret", caller_auth(s3_bucket))
    assert (await arrives(source_of(open_proxy, {}, kept=kept), theirs, tmp_path / "got")).size == 1


async def test_a_disk_that_cannot_take_it_is_our_failure(
    s3_bucket: Bucket, strict: GuardingProxy, tmp_path: Path
) -> None:
    await put(s3_bucket, "k", BIG)
    with pytest.raises(StorageFailed, match="disk"):
        await source_of(strict, s3_bucket.environment).download(order(s3_bucket, "k"), tmp_path / "missing" / "got")


async def test_secrets_stay_out_of_logs_and_errors(
    azure_bucket: Bucket, open_proxy: GuardingProxy, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    await put(azure_bucket, "hidden-name", b"x")
    async with flaky(
        azure_bucket, Fault("answer", times=1), Fault("answer", status=403, word="AccessDenied")
    ) as watched:
        auth = AzureAuth(AZURE_ACCOUNT, sas_token="sv=1&sig=s3cretsignature", endpoint=watched.bucket.url)
        with pytest.raises(FetchFailed) as caught:
            await source_of(open_proxy, {}).download(order(azure_bucket, "hidden-name", auth), tmp_path / "got")
    said = "".join(capfd.readouterr()) + "".join(traceback.format_exception(caught.value))
    assert "s3cretsignature" not in said
    assert "hidden-name" not in str(caught.value)


@pytest.mark.parametrize("bucket", KINDS, indirect=True)
async def test_a_callers_private_endpoint_is_refused(bucket: Bucket, strict: GuardingProxy, tmp_path: Path) -> None:
    await put(bucket, "k", b"x")
    for own in ({}, dict(bucket.environment)):
        source = source_of(strict, own)
        auth = caller_auth(bucket)
        for call in (
            source.download(order(bucket, "k", auth), tmp_path / "got"),
            source.check(order(bucket, "k").url, auth),
        ):
            with pytest.raises(FetchRefused, match=r"127\.0\.0\.1 is not a public address"):
                await call
    metadata = S3Auth("a", "b", endpoint="http://169.254.169.254")
    with pytest.raises(FetchRefused, match="metadata"):
        await source_of(strict, {}).download(Order("s3://b/k", LIMIT, metadata), tmp_path / "got")


# --------------------------------------------------------------------------------------------------- faults


async def misbehaving(watched: Flaky, proxy: GuardingProxy, path: Path, **options: Any) -> Arrived | Unchanged:
    """Download `big.bin` from behind the faults."""
    return await source_of(proxy, watched.bucket.environment, **options).download(
        order(watched.bucket, "big.bin"), path
    )


@pytest.mark.parametrize("bucket", KINDS, indirect=True)
@pytest.mark.parametrize(
    "fault",
    [
        Fault("answer", ("GET",), times=2),
        Fault("cut_answer", ("GET",), times=3, after=1),
        Fault("answer", ("HEAD",), 1),
    ],
)
async def test_passing_faults_are_overcome(bucket: Bucket, fault: Fault, strict: GuardingProxy, tmp_path: Path) -> None:
    await put(bucket, "big.bin", BIG)
    async with flaky(bucket, fault) as watched:
        arrived = await misbehaving(watched, strict, tmp_path / "got")
    assert isinstance(arrived, Arrived)
    assert arrived.sha256 == SHA
    assert (tmp_path / "got").read_bytes() == BIG


async def test_a_bucket_that_refuses_says_so_at_once(s3_bucket: Bucket, strict: GuardingProxy, tmp_path: Path) -> None:
    await put(s3_bucket, "big.bin", BIG)
    async with flaky(s3_bucket, Fault("answer", status=403, word="AccessDenied")) as watched:
        with pytest.raises(FetchFailed, match="refuses") as caught:
            await misbehaving(watched, strict, tmp_path / "got")
        assert len(watched.asked) == 1
    assert not caught.value.retryable


async def test_a_silent_bucket_is_given_up(s3_bucket: Bucket, strict: GuardingProxy, tmp_path: Path) -> None:
    await put(s3_bucket, "big.bin", BIG)
    async with flaky(s3_bucket, Fault("silent", ("GET",))) as watched:
        with pytest.raises(FetchFailed, match="does not answer"):
            await misbehaving(watched, strict, tmp_path / "got", idle_seconds=0.5, delays=())


async def test_a_broken_download_is_continued(s3_bucket: Bucket, strict: GuardingProxy, tmp_path: Path) -> None:
    await put(s3_bucket, "big.bin", BIG)
    async with flaky(s3_bucket, Fault("answer", ("GET",), status=403, after=6)) as watched:
        with pytest.raises(FetchFailed):
            await misbehaving(watched, strict, tmp_path / "got")
    note = json.loads((tmp_path / "got.resume").read_text())
    assert 1 <= len(note["done"]) < 8
    async with flaky(s3_bucket) as watched:
        arrived = await misbehaving(watched, strict, tmp_path / "got")
        assert sum(request.method == "GET" for request in watched.asked) == 8 - len(note["done"])
    assert isinstance(arrived, Arrived)
    assert arrived.sha256 == SHA
    assert left(tmp_path) == ["got"]


async def test_another_state_is_not_continued(s3_bucket: Bucket, strict: GuardingProxy, tmp_path: Path) -> None:
    other = bytes(reversed(BIG))
    await put(s3_bucket, "big.bin", other)
    async with flaky(s3_bucket, Fault("answer", ("GET",), status=403, after=6)) as watched:
        with pytest.raises(FetchFailed):
            await misbehaving(watched, strict, tmp_path / "got")
    await put(s3_bucket, "big.bin", BIG)
    source = source_of(strict, s3_bucket.environment)
    assert (await arrives(source, order(s3_bucket, "big.bin"), tmp_path / "got")).sha256 == SHA


async def test_a_change_in_the_middle_is_seen(s3_bucket: Bucket, strict: GuardingProxy, tmp_path: Path) -> None:
    """The object is replaced after the first pieces: those are thrown away, and the new state arrives whole."""
    await put(s3_bucket, "big.bin", bytes(reversed(BIG)))
    async with flaky(s3_bucket, Fault("silent", ("GET",), times=1, after=3)) as watched:
        download = asyncio.create_task(misbehaving(watched, strict, tmp_path / "got", idle_seconds=1))
        await asyncio.wait_for(watched.struck.wait(), 10)
        await put(s3_bucket, "big.bin", BIG)
        arrived = await download
    assert isinstance(arrived, Arrived)
    assert arrived.sha256 == SHA


async def test_a_cancelled_download_can_be_continued(s3_bucket: Bucket, strict: GuardingProxy, tmp_path: Path) -> None:
    await put(s3_bucket, "big.bin", BIG)
    async with flaky(s3_bucket, Fault("silent", ("GET",), after=6)) as watched:
        download = asyncio.create_task(misbehaving(watched, strict, tmp_path / "got"))
        await asyncio.wait_for(watched.struck.wait(), 10)
        download.cancel()
        with pytest.raises(asyncio.CancelledError):
            await download
    source = source_of(strict, s3_bucket.environment)
    assert (await arrives(source, order(s3_bucket, "big.bin"), tmp_path / "got")).sha256 == SHA


@pytest.mark.parametrize("kind", ["download", "check"])
async def test_a_bucket_that_does_not_answer_a_question_holds_nobody(
    s3_bucket: Bucket, strict: GuardingProxy, tmp_path: Path, kind: str
) -> None:
    async with flaky(s3_bucket) as watched:
        watched.faults.append(Fault("silent"))
        source = source_of(strict, watched.bucket.environment, delays=(), ask_seconds=0.2, idle_seconds=60)
        asked = order(watched.bucket, "k")
        with pytest.raises(FetchFailed, match="does not answer") as failed:
            await (source.download(asked, tmp_path / "f") if kind == "download" else source.check(asked.url, None))
        assert failed.value.retryable
