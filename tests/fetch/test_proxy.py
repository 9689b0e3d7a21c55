"""Forward proxies are used after the check."""

from pathlib import Path

import pytest

from comfyserve.core.errors import FetchFailed, FetchRefused
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpFetch
from tests.fetch.conftest import LIMITS
from tests.fetch.origin import PNG, Origin


async def asks(origin: Origin, folder: Path, allowed: str, url: str, no: str = "") -> bytes:
    """Fetch with the origin as the proxy, under a private name."""
    guard = Guard(allowed, proxies={"http": f"http://localhost:{origin.port}", "no": no})
    fetch = HttpFetch(folder, guard, LIMITS)
    try:
        async with fetch.fetch(url) as file:
            return file.path.read_bytes()
    finally:
        await fetch.close()


async def test_the_proxy_is_asked_and_may_be_private(origin: Origin, tmp_path: Path) -> None:
    assert await asks(origin, tmp_path, "off", "http://1.1.1.1/a.png") == PNG
    assert origin.asked["a.png"] == 1


async def test_what_is_refused_never_reaches_the_proxy(origin: Origin, tmp_path: Path) -> None:
    for url in ("http://10.0.0.1/a.png", "http://localhost/a.png", f"http://localhost:{origin.port}/a.png"):
        with pytest.raises(FetchRefused):
            await asks(origin, tmp_path, "off", url)
    with pytest.raises(FetchFailed, match="cannot be found"):
        await asks(origin, tmp_path, "off", "http://no-such-host.invalid/a.png")
    assert not origin.asked


async def test_no_proxy_is_honoured(origin: Origin, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="cannot be reached"):
        await asks(origin, tmp_path, "127.0.0.0/8", "http://127.0.0.1:1/a.png", no="127.0.0.1")
    assert await asks(origin, tmp_path, "127.0.0.0/8", "http://127.0.0.1:1/a.png") == PNG
