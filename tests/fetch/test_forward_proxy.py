"""Everything that goes out takes the operator's forward proxy, a real one, and this machine's own servers never do."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from yarl import URL

from comfyserve.blobs.targets import OpenTargets, TargetOptions
from comfyserve.core.credentials import BearerAuth, S3Auth
from comfyserve.core.errors import FetchFailed, InvalidInput
from comfyserve.core.targets import HfTarget, HttpTarget, S3Target, TargetWish
from comfyserve.fetch.build import FetchOptions, open_fetching
from comfyserve.fetch.forward import ForwardProxies, is_this_machine, proxies_of
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.http import HttpSource
from comfyserve.fetch.outbound import Outbound
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.fetch.sender import HttpSender
from tests.emulators.servers import ACCESS_KEY, SECRET_KEY, Bucket
from tests.fetch.downloads import LIMITS, arrived
from tests.fetch.forward_proxy import PASSWORD, ForwardProxy, forward_proxy, guard_behind, lookup_here
from tests.fetch.git_server import GitServer, make_repository
from tests.fetch.origin import PNG, Origin
from tests.ports.blobs_suite import stream
from tests.ports.hub_uploads import TOKEN, upload_hub
from tests.ports.putting import put_server


@pytest.fixture(scope="module")
def running() -> Iterator[ForwardProxy]:
    with forward_proxy() as proxy:
        yield proxy


@pytest.fixture
def outer(running: ForwardProxy) -> ForwardProxy:
    """The proxy, which has seen nothing."""
    running.passed.clear()
    return running


@pytest.fixture
async def inner(outer: ForwardProxy) -> AsyncIterator[GuardingProxy]:
    """Our own proxy in front of it, for libraries and children."""
    made = GuardingProxy(guard_behind(outer))
    yield made
    await made.close()


def at(url: str, host: str = "origin.test") -> str:
    """The address of a server of this machine, as one that is elsewhere."""
    return url.replace("127.0.0.1", host).replace("localhost", host)


async def put(targets: OpenTargets, wish: TargetWish) -> str:
    async with targets.open(wish) as target:
        return await target.put("a.png", stream(PNG), size=len(PNG), mime="image/png")


async def test_downloads_go_through_it(outer: ForwardProxy, origin: Origin, tmp_path: Path) -> None:
    source = HttpSource(guard_behind(outer), LIMITS)
    await arrived(source, at(f"{origin.url}/a.png"), tmp_path / "a")
    assert outer.places == {f"origin.test:{origin.port}"}
    await source.close()


async def test_this_machine_and_what_no_proxy_names_are_reached_without_it(
    outer: ForwardProxy, origin: Origin, tmp_path: Path
) -> None:
    near = HttpSource(guard_behind(outer, "127.0.0.1, localhost"), LIMITS)
    spared = HttpSource(guard_behind(outer, NO_PROXY="other.test, .test"), LIMITS)
    await arrived(near, f"{origin.url}/a.png", tmp_path / "a")
    await arrived(near, at(f"{origin.url}/b.png", "localhost"), tmp_path / "a")
    await arrived(spared, at(f"{origin.url}/a.png"), tmp_path / "a")
    assert outer.passed == []
    await near.close()
    await spared.close()


async def test_webhooks_and_http_uploads_go_through_it(outer: ForwardProxy, origin: Origin, tmp_path: Path) -> None:
    guard = guard_behind(outer)
    sender, proxy = HttpSender(guard), GuardingProxy(guard)
    content = b"{}"
    assert await sender.post(at(f"{origin.url}/hook/200"), stream(content), {}, length=len(content)) == 200
    async with put_server() as server:
        targets = OpenTargets(Outbound(guard, proxy), TargetOptions(tmp_path))
        address = await put(targets, HttpTarget(at(server.url) + "/in"))
        assert server.files["/in/a.png"][0] == PNG
    assert outer.places == {f"origin.test:{origin.port}", f"origin.test:{URL(address).port}"}
    await sender.close()
    await proxy.close()


async def test_buckets_go_through_it(
    outer: ForwardProxy, inner: GuardingProxy, s3_bucket: Bucket, tmp_path: Path
) -> None:
    endpoint = at(s3_bucket.url, "1.1.1.1")
    targets = OpenTargets(Outbound(guard_behind(outer), inner), TargetOptions(tmp_path))
    wish = S3Target(s3_bucket.name, "", S3Auth(ACCESS_KEY, SECRET_KEY, endpoint=endpoint))
    address = await put(targets, wish)
    own = {**s3_bucket.environment, "AWS_ENDPOINT_URL": endpoint}
    fetching = await open_fetching(guard_behind(outer), inner, FetchOptions(tmp_path / "cache", environment=own))
    async with fetching.fetch(address) as file:
        assert file.path.read_bytes() == PNG
    assert outer.places == {f"1.1.1.1:{URL(endpoint).port}"} and len(outer.passed) >= 2
    await fetching.close()


async def test_hugging_face_goes_through_it(outer: ForwardProxy, inner: GuardingProxy, tmp_path: Path) -> None:
    async with upload_hub() as hub:
        url = at(hub.url, "hub.test")
        targets = OpenTargets(Outbound(guard_behind(outer), inner), TargetOptions(tmp_path, hub=url))
        await put(targets, HfTarget("me/pictures", auth=BearerAuth(TOKEN)))
        assert hub.files[("me/pictures", "main", "a.png")] == PNG
        assert outer.places == {f"hub.test:{URL(url).port}"}


async def test_git_goes_through_it(outer: ForwardProxy, inner: GuardingProxy, tmp_path: Path) -> None:
    server = GitServer(tmp_path / "served")
    await server.start()
    make_repository(server.folder, {"model_index.json": "{}"})
    fetching = await open_fetching(guard_behind(outer), inner, FetchOptions(tmp_path / "cache"))
    url = at(f"{server.url}/open/r.git")
    async with fetching.fetch(f"git+{url}", purpose="model") as repository:
        assert (repository.path / "model_index.json").is_file()
    assert outer.places == {f"origin.test:{URL(url).port}"}
    await fetching.close()
    await server.stop()


async def test_its_password_is_told_to_nobody(
    outer: ForwardProxy, origin: Origin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = outer.url.replace("proxy-p", "proxy-x")
    guard = Guard("origin.test", proxies={"http": wrong}, lookup=lookup_here())
    source = HttpSource(guard, LIMITS)
    with pytest.raises(FetchFailed) as caught:
        await arrived(source, at(f"{origin.url}/a.png"), tmp_path / "a")
    with pytest.raises(InvalidInput) as refused:
        Guard(proxies={"http": f"socks5://me:{PASSWORD}@host:1"})
    await source.close()
    for word in (PASSWORD, "proxy-x", "proxy-user"):
        assert word not in caught.value.message + refused.value.message + "".join(capsys.readouterr())


async def test_names_that_only_the_proxy_knows_are_left_to_it(
    outer: ForwardProxy, origin: Origin, tmp_path: Path
) -> None:
    proxies = proxies_of(outer.environment())
    strict, lenient = Guard(proxies=proxies), Guard(proxies=proxies, proxy_resolves=True)
    for guard, passes in ((strict, False), (lenient, True)):
        source = HttpSource(guard, LIMITS)
        if passes:
            await arrived(source, at(f"{origin.url}/a.png", "elsewhere.test"), tmp_path / "a")
        else:
            with pytest.raises(FetchFailed, match="cannot be found"):
                await arrived(source, at(f"{origin.url}/a.png", "elsewhere.test"), tmp_path / "a")
        await source.close()
    assert outer.places == {f"elsewhere.test:{origin.port}"}


@pytest.mark.parametrize(
    ("environment", "read"),
    [
        ({"HTTP_PROXY": "http://a:1"}, {"http": "http://a:1", "https": "http://a:1"}),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": "http://b:1"}, {"http": "http://b:1", "https": "http://b:1"}),
        ({"HTTP_PROXY": "http://a:1", "http_proxy": ""}, {"http": "http://a:1", "https": "http://a:1"}),
        ({"HTTPS_PROXY": "http://c:1", "no_proxy": "x"}, {"https": "http://c:1", "no": "x"}),
        ({"HTTP_PROXY": "", "HTTPS_PROXY": ""}, {}),
    ],
)
def test_which_variables_count(environment: dict[str, str], read: dict[str, str]) -> None:
    assert proxies_of(environment) == read


@pytest.mark.parametrize(
    ("no", "url", "without"),
    [
        ("*", "http://a.example/", True),
        ("a.example", "http://a.example/", True),
        (".example", "http://a.example/", True),
        ("*.example", "http://a.example/", True),
        ("example", "http://a.example/", True),
        ("ample", "http://a.example/", False),
        ("a.example:8080", "http://a.example/", False),
        ("a.example:8080", "http://a.example:8080/", True),
        ("10.0.0.0/8 192.168.0.0/16", "http://192.168.1.1/", True),
        ("10.0.0.0/8", "http://11.0.0.1/", False),
        ("", "http://127.0.0.1:8188/", True),
        ("", "http://[::1]:8188/", True),
        ("", "http://localhost:8188/", True),
        ("", "http://a.example/", False),
    ],
)
def test_who_has_no_proxy(no: str, url: str, without: bool) -> None:
    assert (ForwardProxies({"http": "http://p:1", "no": no}).for_url(URL(url)) is None) is without


def test_what_this_machine_is() -> None:
    assert is_this_machine("127.3.2.1") and is_this_machine("a.localhost") and not is_this_machine("localhost.example")
