"""Folders from git repositories."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from comfyserve.core.credentials import Auth, BasicAuth, BearerAuth, S3Auth
from comfyserve.core.errors import FetchFailed, FetchRefused, TooLarge
from comfyserve.fetch.git import GitSource, authorization
from comfyserve.fetch.git_url import is_git_url, read_git_url
from comfyserve.fetch.guard import Guard
from comfyserve.fetch.proxy import GuardingProxy
from comfyserve.fetch.source import Arrived, Order, Unchanged, Validators
from tests.fetch.git_server import GitServer, git, make_repository

LIMIT = 10_000_000
FILES = {"model_index.json": "{}", "unet/weights.bin": "w" * 1000}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GitServer]:
    """A server of the repositories in `tmp_path/served`."""
    made = GitServer(tmp_path / "served")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[GitSource]:
    """A source that may reach loopback."""
    proxy = GuardingProxy(Guard("127.0.0.1"))
    yield GitSource(proxy, tmp_path / "temporary")
    await proxy.close()


def order(url: str, auth: Auth | None = None, limit: int = LIMIT, held: Validators | None = None) -> Order:
    """An order for a repository."""
    return Order(url, limit, auth, held)


def files(folder: Path) -> set[str]:
    """The files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


async def arrives(source: GitSource, what: Order, path: Path) -> Arrived:
    """Download, which must give a folder."""
    arrived = await source.download(what, path)
    assert isinstance(arrived, Arrived)
    return arrived


# ------------------------------------------------------------------------------------------------ addresses

ADDRESSES = [
    ("https://github.com/u/r", "https://github.com/u/r", []),
    ("https://github.com/u/r/", "https://github.com/u/r", []),
    ("https://github.com/u/r@v1.0.0", "https://github.com/u/r", ["v1.0.0"]),
    ("https://github.com/u/r.git@main", "https://github.com/u/r.git", ["main"]),
    ("git+https://host/u/r.git@feature/x#egg=r", "https://host/u/r.git", ["feature/x", "feature"]),
    ("https://user:tok@github.com/u/r@v1", "https://github.com/u/r", ["v1"]),
    ("https://user:tok@github.com/u/r", "https://github.com/u/r", []),
    ("https://gitlab.com/g/s/r/-/tree/develop", "https://gitlab.com/g/s/r", ["develop"]),
    ("https://gitlab.com/g/s/r/-/commit/204f6d5a", "https://gitlab.com/g/s/r", ["204f6d5a"]),
    ("https://github.com/u/r/tree/204f6d5a", "https://github.com/u/r", ["204f6d5a"]),
    ("https://github.com/u/r/tree/feature/x", "https://github.com/u/r", ["feature/x", "feature"]),
    ("https://github.com/u/r/releases/tag/v2", "https://github.com/u/r", ["v2"]),
    ("https://bitbucket.org/u/r/src/develop/a/b", "https://bitbucket.org/u/r", ["develop/a/b", "develop/a", "develop"]),
    ("https://bitbucket.org/u/r/commits/abcdef1", "https://bitbucket.org/u/r", ["abcdef1"]),
    ("https://host/src/repo", "https://host/src/repo", []),
    ("https://host/a/src/repo.git", "https://host/a/src/repo.git", []),
    ("https://host:8443/r.git?token=x", "https://host:8443/r.git", []),
]


@pytest.mark.parametrize(("text", "base", "refs"), ADDRESSES)
def test_addresses_are_read(text: str, base: str, refs: list[str]) -> None:
    found = read_git_url(text)
    assert (str(found.base), list(found.refs)) == (base, refs)


def test_names_and_credentials_of_addresses() -> None:
    found = read_git_url("https://us%40er:t%2Fk@github.com/u/r.git@v1")
    assert (found.name, found.auth) == ("r", BasicAuth("us@er", "t/k"))
    assert "t/k" not in repr(found)
    assert "t%2Fk" not in repr(found)
    assert read_git_url("https://github.com/u/r/tree/0123abc").commit == "0123abc"
    assert read_git_url("https://github.com/u/r").commit == ""


@pytest.mark.parametrize(
    "text",
    [
        "git+ssh://host/r.git", "git+file:///etc/r.git", "ext::sh -c id", "https://host", "https://host/", "https://[::1",
        "https://host/u/r.git@--upload-pack=x", "https://host/u/r.git@a..b", "https://host/u/r.git@a%00b",
        "https://host/u/r/tree/a%20b", "https://host/u/r.git@x@{1}", "git+https://host/u/r.git@a//b",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(FetchRefused):
        read_git_url(text)


def test_which_addresses_say_that_they_are_git() -> None:
    for yes in (
        "git+https://h/r",
        "https://h/u/r.git",
        "http://h/u/r.git/",
        "https://h/u/r.git@v1",
        "https://h/r.git?x",
    ):
        assert is_git_url(yes), yes
    for page in (
        "u/r",
        "u/r@v1",
        "u/r/",
        "u/r/tree/main/x",
        "u/r/commit/abc",
        "u/r/releases/tag/v1",
        "g/s/r/-/tree/main",
    ):
        assert is_git_url(f"https://github.com/{page}"), page
        assert not is_git_url(f"https://example.com/{page}"), page
    for file in (
        "u",
        "u/r/raw/main/x.bin",
        "u/r/releases/download/v1/x.bin",
        "u/r/archive/main.zip",
        "u/r/-/raw/main/x",
    ):
        assert not is_git_url(f"https://github.com/{file}"), file
    for no in (
        "https://h/u/r",
        "https://h/a.git/b.png",
        "s3://b/r.git",
        "https://h/.git",
        "https://r.git",
        "file:///r.git",
    ):
        assert not is_git_url(no), no


def test_credentials_become_one_header() -> None:
    assert authorization(None, "h") == ""
    assert authorization(BearerAuth("t"), "h") == "Authorization: Bearer t"
    assert authorization(BearerAuth("t"), "github.com") == "Authorization: Basic eC1hY2Nlc3MtdG9rZW46dA=="
    for wrong in (BearerAuth("t\nX: y"), S3Auth("a", "b")):
        with pytest.raises(FetchRefused):
            authorization(wrong, "h")


# ---------------------------------------------------------------------------------------------- repositories


async def test_the_default_branch_arrives_without_its_history(
    server: GitServer, source: GitSource, tmp_path: Path
) -> None:
    work = make_repository(server.folder, FILES, {"inside": "unet/weights.bin"})
    told: list[int] = []
    what = Order(f"{server.url}/open/r.git", LIMIT, on_bytes=lambda received, _: told.append(received))
    arrived = await arrives(source, what, tmp_path / "got")
    assert files(tmp_path / "got") == {"first.txt", "model_index.json", "unet/weights.bin", "inside"}
    assert arrived.is_folder
    assert arrived.names == ("r",)
    assert arrived.validators.etag == git(work, "rev-parse", "HEAD")
    assert arrived.sha256 == ""
    assert told[-1] == arrived.size > 1000


@pytest.mark.parametrize("ref", ["@v1", "@feature/x", "/tree/feature/x/sub", "@{first}", "@{short}"])
async def test_a_ref_arrives(server: GitServer, source: GitSource, tmp_path: Path, ref: str) -> None:
    work = make_repository(server.folder, FILES)
    (server.folder / "r.git").rename(server.folder / "r")
    (server.folder / "u").mkdir()
    (server.folder / "r").rename(server.folder / "u" / "r.git")
    (server.folder / "u" / "r").symlink_to("r.git")
    first = git(work, "rev-parse", "v1^{commit}")
    ref = ref.replace("{first}", first).replace("{short}", first[:8])
    base = f"{server.url}/open/u/r" + ("" if ref.startswith("/") else ".git")
    arrived = await arrives(source, order(f"git+{base}{ref}"), tmp_path / "got")
    assert files(tmp_path / "got") == {"first.txt"}
    assert arrived.validators.etag == first


async def test_a_commit_that_we_hold_is_unchanged(server: GitServer, source: GitSource, tmp_path: Path) -> None:
    work = make_repository(server.folder, FILES)
    url = f"{server.url}/open/r.git"
    held = Validators(etag=git(work, "rev-parse", "HEAD"))
    assert isinstance(await source.download(order(url, held=held), tmp_path / "got"), Unchanged)
    assert not (tmp_path / "got").exists()
    assert isinstance(await source.download(order(url, held=Validators(etag="x")), tmp_path / "got"), Arrived)


async def test_private_repositories_open_with_credentials_only(
    server: GitServer, source: GitSource, tmp_path: Path
) -> None:
    make_repository(server.folder, FILES)
    url = f"{server.url}/closed/r.git"
    for wrong in (None, BasicAuth("ann", "wrong")):
        with pytest.raises(FetchFailed, match="credentials") as caught:
            await source.download(order(url, wrong), tmp_path / "got")
        assert not caught.value.retryable
        with pytest.raises(FetchFailed, match="credentials"):
            await source.check(url, wrong)
    for auth in (BasicAuth("ann", "s3cret"), BearerAuth("t0ken")):
        got = await arrives(source, order(url, auth), tmp_path / "got")
        assert got.size
        assert await source.check(url, auth, got.validators)
        assert not await source.check(url, auth, Validators("0" * 40))
        assert not await source.check(f"{url}@{got.validators.etag}", auth, got.validators), "nothing names that commit"
    await source.check(url.replace("http://", "http://ann:s3cret@"), None)
    assert not any((tmp_path / "temporary").iterdir())


async def test_secrets_stay_out_of_files_and_arguments(server: GitServer, source: GitSource, tmp_path: Path) -> None:
    make_repository(server.folder, FILES)
    script = tmp_path / "git"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/argv\ncat .git/config >> {tmp_path}/config\nexec git "$@"\n')
    script.chmod(0o755)
    proxy = GuardingProxy(Guard("127.0.0.1"))
    watched = GitSource(proxy, tmp_path / "temporary", git=str(script))
    await arrives(watched, order(f"{server.url}/closed/r.git", BasicAuth("ann", "s3cret")), tmp_path / "got")
    await proxy.close()
    for name in ("argv", "config"):
        text = (tmp_path / name).read_text()
        assert text
        assert "s3cret" not in text
        assert "Authorization" not in text
        assert "proxy" not in text.lower()


async def test_private_addresses_are_refused(server: GitServer, tmp_path: Path) -> None:
    make_repository(server.folder, FILES)
    proxy = GuardingProxy(Guard())
    source = GitSource(proxy, tmp_path / "temporary")
    for url in (f"{server.url}/open/r.git", f"http://localhost:{server.port}/open/r.git"):
        with pytest.raises(FetchRefused, match="not a public address"):
            await source.download(order(url), tmp_path / "got")
    await proxy.close()


async def test_a_redirect_inside_is_refused(server: GitServer, source: GitSource, tmp_path: Path) -> None:
    server.to = "http://169.254.169.254/r.git/info/refs"
    with pytest.raises(FetchRefused, match="metadata"):
        await source.download(order(f"{server.url}/away/r.git"), tmp_path / "got")
    server.to = f"{server.url}/open/r.git/info/refs"
    with pytest.raises(FetchFailed, match="redirects"):
        await source.download(order(f"{server.url}/away/r.git", BearerAuth("t0ken")), tmp_path / "got")


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("open/none.git", "no such repository"),
        ("open/r.git@none", "no such branch"),
        ("open/r.git@abcdef12", "no such"),
    ],
)
async def test_what_is_not_there(server: GitServer, source: GitSource, tmp_path: Path, where: str, says: str) -> None:
    make_repository(server.folder, FILES)
    with pytest.raises(FetchFailed, match=says):
        await source.download(order(f"{server.url}/{where}"), tmp_path / "got")
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize(
    ("contents", "links", "says"),
    [
        ({}, {"out": "../../etc"}, "symbolic link"),
        ({}, {"out": "/etc/passwd"}, "symbolic link"),
        ({}, {"a": "b", "b": "a"}, "symbolic link"),
        ({}, {"a": "model_index.json/x"}, "symbolic link"),
        ({"big.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"}, {}, "LFS"),
    ],
)
async def test_checkouts_that_are_refused(
    server: GitServer, source: GitSource, tmp_path: Path, contents: dict[str, str], links: dict[str, str], says: str
) -> None:
    make_repository(server.folder, contents or FILES, links)
    with pytest.raises((FetchRefused, FetchFailed), match=says):
        await source.download(order(f"{server.url}/open/r.git"), tmp_path / "got")
    assert not (tmp_path / "got").exists()


async def test_hooks_of_a_template_do_not_run(
    server: GitServer, source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repository(server.folder, FILES)
    hook = tmp_path / "template" / "hooks" / "post-checkout"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    (tmp_path / "gitconfig").write_text(f"[init]\ntemplateDir = {tmp_path}/template\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    await arrives(source, order(f"{server.url}/open/r.git"), tmp_path / "got")
    assert not (tmp_path / "ran").exists()


async def test_too_large_is_refused(server: GitServer, source: GitSource, tmp_path: Path) -> None:
    make_repository(server.folder, {f"{index}.bin": os.urandom(5000).hex() for index in range(20)})
    with pytest.raises(TooLarge):
        await source.download(order(f"{server.url}/open/r.git", limit=50_000), tmp_path / "got")
    assert not (tmp_path / "got").exists()


async def test_a_server_that_never_answers_is_given_up(server: GitServer, tmp_path: Path) -> None:
    proxy = GuardingProxy(Guard("127.0.0.1"))
    source = GitSource(proxy, tmp_path / "temporary")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await source.download(order(f"{server.url}/hang/r.git"), tmp_path / "got")
    assert not (tmp_path / "got").exists()
    await proxy.close()


async def test_a_cancelled_download_leaves_no_process(
    server: GitServer, source: GitSource, tmp_path: Path, processes_of: Callable[[Path], list[int]]
) -> None:
    path = tmp_path / "got"
    download = asyncio.create_task(source.download(order(f"{server.url}/hang/r.git"), path))
    await asyncio.wait_for(server.asked.wait(), 10)
    assert processes_of(path)
    download.cancel()
    with pytest.raises(asyncio.CancelledError):
        await download
    assert not processes_of(path)
    assert not path.exists()
