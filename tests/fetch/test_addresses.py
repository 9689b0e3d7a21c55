"""Which source an address is for."""

import pytest

from comfyserve.core.credentials import Auth, AzureAuth, BasicAuth, BearerAuth, S3Auth
from comfyserve.core.errors import FetchRefused, InvalidInput
from comfyserve.fetch.addresses import Kind, Router
from comfyserve.ports import Purpose

ALL: frozenset[Kind] = frozenset({"data", "http", "s3", "azure", "gcs", "hf", "git"})
AZURE = AzureAuth("account", "key")
BLOB = "https://account.blob.core.windows.net/container/model.safetensors"
HF_FILE = "https://huggingface.co/owner/name/resolve/main/model.safetensors"


@pytest.mark.parametrize(
    ("url", "auth", "purpose", "kind"),
    [
        ("data:text/plain,x", None, "input", "data"),
        ("DATA:text/plain,x", None, "input", "data"),
        ("https://host/a.png", None, "input", "http"),
        ("HTTP://host/a.png", BearerAuth("t"), "model", "http"),
        ("s3://bucket/key", None, "input", "s3"),
        ("az://container/blob", AZURE, "input", "azure"),
        ("azure://container/blob", AZURE, "input", "azure"),
        (BLOB, None, "model", "http"),
        (BLOB, AZURE, "model", "azure"),
        ("https://bucket.s3.amazonaws.com/key", S3Auth("a", "b"), "input", "s3"),
        ("gs://bucket/object", None, "input", "gcs"),
        ("hf://owner/name/file.bin", None, "input", "hf"),
        (HF_FILE, None, "model", "hf"),
        (HF_FILE, None, "input", "http"),
        ("git+https://host/owner/name@v1", None, "input", "git"),
        ("https://host/owner/name.git", None, "model", "git"),
        ("https://host/owner/name.git@v1", None, "model", "git"),
        ("https://host/owner/name.git", None, "input", "http"),
    ],
)
def test_every_address_has_its_source(url: str, auth: Auth | None, purpose: Purpose, kind: Kind) -> None:
    assert Router(ALL).route(url, auth, purpose).kind == kind


def test_the_account_of_the_server_opens_its_own_addresses() -> None:
    assert Router(ALL, azure_account="account").route(BLOB, None, "model").kind == "azure"
    assert Router(ALL, azure_account="other").route(BLOB, None, "model").kind == "http"


def test_the_service_of_the_server_is_its_own_and_only_without_other_credentials() -> None:
    router = Router(ALL, "account", "http://azurite:10000/account/")
    route = router.route("http://azurite:10000/account/container/a%20b.png", None, "input")
    assert (route.kind, route.has_host) == ("azure", False)
    for url, auth in (
        ("http://azurite:10000/account/container/a.png?sv=1&sig=x", None),
        ("http://azurite:10000/account/container/a.png", BearerAuth("t")),
        ("http://u:p@azurite:10000/account/container/a.png", None),
        ("http://azurite:10000/accounts/container/a.png", None),
        ("http://azurite:10000.example/account/container/a.png", None),
    ):
        assert router.route(url, auth, "input").kind == "http"


def test_without_the_extra_hugging_face_is_a_web_server() -> None:
    router = Router(ALL - {"hf"})
    assert router.route(HF_FILE, None, "model").kind == "http"
    with pytest.raises(InvalidInput, match="Install the extra hf"):
        router.route("hf://owner/name/file.bin", None, "model")


def test_a_user_in_the_url_becomes_credentials_unless_there_are_others() -> None:
    url = "https://me%40home:p%3Aw@host:8443/a?x=1"
    route = Router(ALL).route(url, None, "input")
    assert (route.url, route.auth) == ("https://host:8443/a?x=1", BasicAuth("me@home", "p:w"))
    assert Router(ALL).route(url, BearerAuth("t"), "input").auth == BearerAuth("t")
    assert "p:w" not in repr(route) and "x=1" not in repr(route)


@pytest.mark.parametrize("url", ["", "cat.png", "/etc/passwd", "file:///etc/passwd", "ftp://host/a", "ssh://host/a"])
def test_other_addresses_are_told_what_there_is(url: str) -> None:
    with pytest.raises(InvalidInput, match="begin with data, http"):
        Router(ALL).route(url, None, "input")


@pytest.mark.parametrize("url", ["https://[::1/a", "https://host/" + "a" * 20_000])
def test_malformed_ones_are_refused(url: str) -> None:
    with pytest.raises(FetchRefused):
        Router(ALL).route(url, None, "input")
