"""Downloads of the package, from origins that serve well and badly."""

import os
import ssl
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from tests.fetch.hostile import NAMES_OF_LOOPBACK, REDIRECTS_INSIDE

from .origin import CONTENT, BadOrigin, answers

CERTIFICATE = Path(__file__).with_name("localhost.pem")

pytestmark = pytest.mark.usefixtures("open_loopback")


@pytest.fixture
def bounds(comfy: ModuleType) -> object:
    """Small ones."""
    return comfy._download.Bounds(100_000, 0.5)


def test_a_file_comes_whole(comfy: ModuleType, origin: BadOrigin, base: Path) -> None:
    origin.files["/a.bin"] = CONTENT
    assert comfy._download.download(f"{origin.url}/a.bin") == CONTENT
    path = comfy._download.download_to(base / "new" / "a.bin", f"{origin.url}/a.bin")
    assert path.read_bytes() == CONTENT
    assert os.listdir(path.parent) == ["a.bin"]  # noqa: PTH208  (a look at the folder)


def test_the_host_header_is_the_name_that_was_asked_for(
    comfy: ModuleType, origin: BadOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYSERVE_NODES_ALLOW_PRIVATE_NETWORK", "localhost")
    origin.files["/a"] = CONTENT
    comfy._download.download(f"http://localhost:{origin.port}/a")
    assert origin.headers["/a"]["Host"] == f"localhost:{origin.port}"


@pytest.mark.parametrize("host", NAMES_OF_LOOPBACK)
def test_a_name_that_leads_inside_is_refused_before_any_connection(
    comfy: ModuleType, origin: BadOrigin, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("COMFYSERVE_NODES_ALLOW_PRIVATE_NETWORK", "off")
    with pytest.raises(ValueError, match="ALLOW_PRIVATE_NETWORK"):
        comfy._download.download(f"http://{host}:{origin.port}/a")
    assert not origin.asked


@pytest.mark.parametrize("to", REDIRECTS_INSIDE)
def test_every_redirect_is_checked(comfy: ModuleType, origin: BadOrigin, to: str) -> None:
    with pytest.raises(comfy._guard.Refused):
        comfy._download.download(f"{origin.url}/redirect?to={to}")


def test_redirects_are_followed(comfy: ModuleType, origin: BadOrigin) -> None:
    origin.files["/b"] = CONTENT
    assert comfy._download.download(f"{origin.url}/redirect?to=/b") == CONTENT


def test_a_token_stays_with_its_host(
    comfy: ModuleType, origin: BadOrigin, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYSERVE_NODES_ALLOW_PRIVATE_NETWORK", "on")
    origin.files["/b"] = CONTENT
    token = {"Authorization": "Bearer secret"}
    for host, kept in (("127.0.0.1", True), ("localhost", False)):
        url = f"{origin.url}/redirect?to=http://{host}:{origin.port}/b"
        comfy._download.download_to(base / "b", url, headers=token)
        assert origin.headers["/redirect"]["Authorization"] == "Bearer secret"
        assert ("Authorization" in origin.headers["/b"]) is kept


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/missing?token=secret", "127.0.0.1 answers with status 404."),
        ("/loop/1", "redirects more than 5 times"),
        ("/short", "broke off in the middle"),
        ("/endless", "larger than the 100000 bytes"),
        ("/bomb", "larger than the 100000 bytes"),
        ("/drip", "within 0.5 s"),
        ("/headers", "within 0.5 s"),
        ("/hang", "within 0.5 s"),
    ],
)
def test_origins_that_misbehave_are_given_up(
    comfy: ModuleType, origin: BadOrigin, base: Path, bounds: object, path: str, words: str
) -> None:
    with pytest.raises(ValueError) as caught:
        comfy._download.download_to(base / "x" / "file", f"{origin.url}{path}", bounds)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert list((base / "x").iterdir()) == []


def test_gzip_is_undone(comfy: ModuleType, origin: BadOrigin) -> None:
    assert comfy._download.download(f"{origin.url}/gzip") == CONTENT


def test_a_host_that_is_not_there(comfy: ModuleType) -> None:
    with pytest.raises(ValueError, match="cannot be found"):
        comfy._download.download("http://no-such-host.invalid/a?token=secret")


def test_a_wrong_bound_names_its_variable(comfy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYSERVE_NODES_MEDIA_MB", "many")
    with pytest.raises(ValueError, match="COMFYSERVE_NODES_MEDIA_MB"):
        comfy._download.download("http://example.com/")


@pytest.fixture
def secure() -> Iterator[BadOrigin]:
    """The same server over TLS."""
    origin = BadOrigin(files={"/a": CONTENT})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with ThreadingHTTPServer(("127.0.0.1", 0), answers(origin)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        origin.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield origin
        origin.stop.set()
        server.shutdown()
        thread.join()


def test_the_certificate_is_checked_against_the_name(
    comfy: ModuleType, secure: BadOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYSERVE_NODES_ALLOW_PRIVATE_NETWORK", "on")
    with pytest.raises(ValueError, match="certificate is not accepted"):
        comfy._download.download(f"https://localhost:{secure.port}/a")
    comfy._download._trusted.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    assert comfy._download.download(f"https://localhost:{secure.port}/a") == CONTENT
    with pytest.raises(ValueError, match="certificate is not accepted"):
        comfy._download.download(f"https://127.0.0.1:{secure.port}/a")


@pytest.fixture
def proxied(origin: BadOrigin, monkeypatch: pytest.MonkeyPatch) -> BadOrigin:
    """The origin as a forward proxy, at an address that callers may not name."""
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", f"http://localhost:{origin.port}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("COMFYSERVE_NODES_ALLOW_PRIVATE_NETWORK", "off")
    return origin


def test_a_proxy_is_asked_after_the_check(comfy: ModuleType, proxied: BadOrigin) -> None:
    proxied.files["/a"] = CONTENT
    assert comfy._download.download("http://1.1.1.1/a") == CONTENT
    assert proxied.headers["/a"]["Host"] == "1.1.1.1:80"
    for url in ("http://10.0.0.1/a", "https://localhost/a", f"http://localhost:{proxied.port}/a"):
        with pytest.raises(comfy._guard.Refused):
            comfy._download.download(url)
    assert proxied.asked.total() == 1


def test_a_proxy_tunnels_tls(
    comfy: ModuleType, proxied: BadOrigin, secure: BadOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMFYSERVE_NODES_ALLOW_PRIVATE_NETWORK", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    proxied.tunnel_port = secure.port
    assert comfy._download.download("https://localhost/a") == CONTENT
    assert proxied.asked == {"localhost:443": 1}


def test_no_proxy_is_honoured(comfy: ModuleType, proxied: BadOrigin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMFYSERVE_NODES_ALLOW_PRIVATE_NETWORK", "on")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(ValueError, match="connection refused"):
        comfy._download.download("http://127.0.0.1:1/a")
