"""HTTPS: who is trusted, and the way through a forward proxy."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpSource
from tests.fetch.downloads import LIMITS, arrived, content_of
from tests.fetch.scripted import CONTENT, Asked, Scripted, answer, scripted, serve_content


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for two addresses, one of them not this machine's, with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "1.1.1.1")]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "test.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_trusted_certificate_and_one_that_is_not(certificate: Path, tmp_path: Path) -> None:
    async with scripted(serve_content, serving(certificate)) as server:
        source = HttpSource(Guard("127.0.0.0/8"), LIMITS, tls=ssl.create_default_context(cafile=certificate))
        await arrived(source, f"{server.url}/m", tmp_path / "f")
        assert content_of(tmp_path / "f") == CONTENT
        await source.close()
        source = HttpSource(Guard("127.0.0.0/8"), LIMITS)
        with pytest.raises(FetchFailed, match=r"127\.0\.0\.1 cannot be trusted: self-signed certificate") as caught:
            await arrived(source, f"{server.url}/m?token=secret", tmp_path / "g")
        assert not caught.value.retryable
        await source.close()


async def test_plain_http_where_tls_is_wanted(source: HttpSource, tmp_path: Path) -> None:
    async with scripted(serve_content) as server:
        with pytest.raises(FetchFailed, match=r"does not answer properly|waiting too long"):
            await arrived(source, f"https://127.0.0.1:{server.port}/m", tmp_path / "f")


@asynccontextmanager
async def tunnels(status: int, port: int, certificate: Path) -> AsyncIterator[tuple[Scripted, HttpSource]]:
    """A proxy that answers CONNECT with this status and leads to the port, and a source that uses it."""

    async def tunnel(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await answer(writer, status, Content_Length="")
        if status == 200:
            await _join(asked.rest, writer, port)

    async with scripted(tunnel) as proxy:
        guard = Guard("127.0.0.0/8", proxies={"https": f"http://me:pass@localhost:{proxy.port}"})
        source = HttpSource(guard, LIMITS, tls=ssl.create_default_context(cafile=certificate))
        yield proxy, source
        await source.close()
    assert (proxy.asked[0].method, proxy.asked[0].target) == ("CONNECT", f"1.1.1.1:{port}")
    assert proxy.asked[0].headers["proxy-authorization"] == "Basic bWU6cGFzcw=="


async def test_https_goes_through_a_tunnel_of_the_proxy(certificate: Path, tmp_path: Path) -> None:
    async with scripted(serve_content, serving(certificate)) as server:
        async with tunnels(200, server.port, certificate) as (_, source):
            await arrived(source, f"https://1.1.1.1:{server.port}/m", tmp_path / "f")
        assert "proxy-authorization" not in server.asked[0].headers


async def test_a_proxy_that_opens_no_tunnel_is_told(certificate: Path, tmp_path: Path) -> None:
    async with tunnels(407, 9, certificate) as (proxy, source):
        with pytest.raises(FetchFailed, match="The proxy answers with status 407"):
            await arrived(source, "https://1.1.1.1:9/m", tmp_path / "f")
        assert len(proxy.asked) == LIMITS.tries


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
        target.write_eof()

    await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer), return_exceptions=True)
    inner_writer.close()


async def test_plain_http_is_asked_of_the_proxy(tmp_path: Path) -> None:
    async with scripted(serve_content) as proxy:
        guard = Guard("off", proxies={"http": f"http://me:pass@localhost:{proxy.port}", "no": "8.8.8.8"})
        source = HttpSource(guard, LIMITS)
        await arrived(source, "http://1.1.1.1/m?a=b", tmp_path / "f")
        assert proxy.asked[0].target == "http://1.1.1.1/m?a=b"
        assert proxy.asked[0].headers["host"] == "1.1.1.1"
        assert proxy.asked[0].headers["proxy-authorization"] == "Basic bWU6cGFzcw=="
        for url in ("http://10.0.0.1/a.png", "http://localhost/a.png", f"http://localhost:{proxy.port}/a.png"):
            with pytest.raises(FetchRefused):
                await arrived(source, url, tmp_path / "f")
        assert len(proxy.asked) == 1
        await source.close()


async def test_no_proxy_is_honoured(tmp_path: Path) -> None:
    async with scripted(serve_content) as proxy, scripted(serve_content) as server:
        guard = Guard("127.0.0.0/8", proxies={"http": f"http://localhost:{proxy.port}", "no": "127.0.0.1, x.test"})
        source = HttpSource(guard, LIMITS)
        await arrived(source, f"{server.url}/m", tmp_path / "f")
        await source.close()
        assert (len(proxy.asked), len(server.asked)) == (0, 1)


async def test_the_operators_proxy_is_not_told_to_callers(tmp_path: Path) -> None:
    source = HttpSource(Guard("off", proxies={"http": "http://localhost:1"}), LIMITS)
    with pytest.raises(FetchFailed) as failed:
        await arrived(source, "http://1.1.1.1/m", tmp_path / "f")
    assert failed.value.message == "1.1.1.1 cannot be reached through the forward proxy."
    await source.close()
