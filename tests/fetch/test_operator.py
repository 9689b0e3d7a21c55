"""An address of the operator's is reached wherever it is, and no other one by the same way."""

import pytest

from comfyserve.core.errors import FetchRefused
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.operator import only_host, put_to, sender_to
from tests.fetch.origin import Origin
from tests.ports.sender_suite import post


@pytest.fixture
async def origin() -> Origin:
    made = Origin()
    await made.start()
    return made


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_host_may_be_private_and_no_other(origin: Origin, host: str) -> None:
    sender = sender_to(f"http://{host}:{origin.port}/hook/200")
    assert await post(sender, f"http://{host}:{origin.port}/hook/200") == 200
    assert await put_to(sender, f"http://{host}:{origin.port}/hook/204", b"{}", {"Metadata": "true"}) == 204
    assert origin.headers[1]["Metadata"] == "true" and origin.bodies[1] == b"{}"
    for other in ("127.0.0.2", "10.0.0.1", "169.254.169.254"):
        with pytest.raises(FetchRefused):
            await post(sender, f"http://{other}:{origin.port}/hook/200")
    await sender.close()
    await origin.stop()


def test_the_metadata_address_is_reached_when_it_is_the_operators() -> None:
    url = "http://169.254.169.254/v1/deletion-cost"
    guard = Guard(only_host(url))
    assert guard.check_url(url).host == "169.254.169.254"
    for other in ("http://169.254.170.2/v1", "http://127.0.0.1/", "http://[fd00:ec2::254]/"):
        with pytest.raises(FetchRefused):
            guard.check_url(other)
