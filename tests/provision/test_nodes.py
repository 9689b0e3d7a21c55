"""Custom nodes, by the real git from repositories behind HTTP, and by a program that stands for comfy-cli."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from comfyserve.core.errors import InvalidInput
from comfyserve.provision import ProvisionFailed
from comfyserve.provision.repository import Repository, is_repository, read_repository
from tests.fetch.git_server import GitServer, git, make_repository
from tests.provision.yard import Yard

FILES = {"__init__.py": "NODE_CLASS_MAPPINGS = {}", "requirements.txt": "one\n"}


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    made = Yard(tmp_path)
    made.system("git")
    made.program("uv")
    made.program("python3")
    return made


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GitServer]:
    made = GitServer(tmp_path / "served")
    make_repository(made.folder, FILES)
    await made.start()
    yield made
    await made.stop()


async def install(yard: Yard, *items: str) -> None:
    """Install custom nodes."""
    await yard.provision(json.dumps({"custom_nodes": items})).before_start()


def files(folder: Path) -> set[str]:
    """The files of a clone."""
    return {path.name for path in folder.iterdir()} - {".git"}


# ------------------------------------------------------------------------------------------------ addresses

ADDRESSES = [
    ("https://github.com/u/r", "https://github.com/u/r", []),
    ("https://github.com/u/r/", "https://github.com/u/r", []),
    ("https://github.com/u/r@v1.0.0", "https://github.com/u/r", ["v1.0.0"]),
    ("https://github.com/u/r.git@main", "https://github.com/u/r.git", ["main"]),
    ("https://user:tok@github.com/u/r@v1", "https://github.com/u/r", ["v1"]),
    ("https://user:tok@github.com/u/r", "https://github.com/u/r", []),
    ("https://gitlab.com/g/s/r/-/tree/develop", "https://gitlab.com/g/s/r", ["develop"]),
    ("https://github.com/u/r/tree/feature/x", "https://github.com/u/r", ["feature/x", "feature"]),
    ("https://github.com/u/r/tree/main/sub", "https://github.com/u/r", ["main/sub", "main"]),
    ("https://github.com/u/r/releases/tag/v2", "https://github.com/u/r", ["v2"]),
    ("https://bitbucket.org/u/r/src/develop/a", "https://bitbucket.org/u/r", ["develop/a", "develop"]),
    ("https://host/src/r", "https://host/src/r", []),
    ("https://host:8443/a/src/r.git", "https://host:8443/a/src/r.git", []),
    ("ssh://git@host/u/r.git@v1", "ssh://git@host/u/r.git", ["v1"]),
]


@pytest.mark.parametrize(("text", "url", "refs"), ADDRESSES)
def test_addresses(text: str, url: str, refs: list[str]) -> None:
    assert is_repository(text)
    found = read_repository(text)
    assert (found.url, found.name, list(found.refs)) == (url, "r", refs)
    assert "tok" not in repr(found)


def test_credentials_go_by_the_configuration_alone() -> None:
    found = read_repository("https://user:t%40k@github.com/u/r")
    assert found.variables["GIT_CONFIG_VALUE_0"] == "Authorization: Basic dXNlcjp0QGs="
    assert found.variables["GIT_CONFIG_KEY_0"] == "http.https://github.com/.extraHeader"
    assert Repository("https://host/r", "r").variables == {}


@pytest.mark.parametrize(
    "item",
    ["https://", "https://host/", "https://host/..", "https://host/u/r@--upload-pack=x", "--help", "../x", "a b", "x;y",
     "http://[x/r", "file:///etc", "https://host/u/%2e%2e", "https://host/u/a%2fb"],
)  # fmt: skip
def test_what_is_neither_an_address_nor_a_name_is_refused(item: str, yard: Yard) -> None:
    with pytest.raises(InvalidInput, match=r"custom_nodes\[0\]"):
        yard.provision(json.dumps({"custom_nodes": [item]}))


# ------------------------------------------------------------------------------------------------------ git


async def test_a_clone_with_its_requirements(yard: Yard, server: GitServer) -> None:
    await install(yard, f"{server.url}/open/r.git")
    folder = yard.home / "custom_nodes" / "r"
    assert files(folder) == {"first.txt", *FILES}
    [(program, arguments, where, _)] = yard.calls()
    assert (program, arguments[-2:], where) == ("uv", ["-r", "requirements.txt"], str(folder))
    [event] = yard.events
    assert (event.label, event.name) == ("storage", "file_downloaded")
    assert event.data["url"] == f"{server.url}/open/r.git" and event.data["local_path"] == str(folder)
    assert event.data["size"] > 100 and event.data["duration"] >= 0


@pytest.mark.parametrize("ending", ["@v1", "@{first}", "/tree/feature/x", "/tree/v1/some/folder", "/commit/{short}"])
async def test_a_ref(ending: str, yard: Yard, server: GitServer) -> None:
    first = git(server.folder / "work", "rev-parse", "v1^{commit}")
    link = server.folder / "u" / "r"
    link.parent.mkdir()
    link.symlink_to(server.folder / "r.git")
    await install(yard, f"{server.url}/open/u/r{ending.format(first=first, short=first[:10])}")
    assert files(yard.home / "custom_nodes" / "r") == {"first.txt"}
    assert yard.calls() == []


async def test_a_copy_is_brought_up_to_date(yard: Yard, server: GitServer) -> None:
    urls = f"{server.url}/open/r.git", f"{server.url}/open/r.git@main"
    for number, url in enumerate((*urls, urls[0])):
        name = f"more{number}.txt"
        await install(yard, url)
        (server.folder / "work" / name).write_text("more")
        git(server.folder / "work", "add", "-A")
        git(server.folder / "work", "commit", "--quiet", "-m", name)
        git(server.folder / "work", "push", "--quiet", str(server.folder / "r.git"), "main")
    await install(yard, urls[1])
    assert {"more0.txt", "more1.txt", "more2.txt"} < files(yard.home / "custom_nodes" / "r")
    assert len(yard.events) == 1


async def test_a_copy_is_used_when_it_cannot_be_brought_up_to_date(yard: Yard, server: GitServer) -> None:
    await install(yard, f"{server.url}/open/r.git@v1")
    await server.stop()
    with structlog.testing.capture_logs() as logged:
        await install(yard, f"{server.url}/open/r.git@main")
    assert [line["log_level"] for line in logged if line["event"] == "repository_not_updated"] == ["warning"]
    assert files(yard.home / "custom_nodes" / "r") == {"first.txt"}


async def test_a_failed_clone_leaves_nothing_and_spoils_no_later_try(yard: Yard, server: GitServer) -> None:
    url = f"{server.url}/open/later.git"
    (yard.home / "custom_nodes" / ".later.0.new.disabled" / ".git").mkdir(parents=True)
    for wrong in (url, f"{server.url}/open/r.git@nope"):
        with pytest.raises(ProvisionFailed, match=r"git clone of later|has no branch, tag or commit nope"):
            await install(yard, wrong)
    assert list((yard.home / "custom_nodes").iterdir()) == []
    (server.folder / "later.git").symlink_to(server.folder / "r.git")
    await install(yard, url)
    assert (yard.home / "custom_nodes" / "later" / "first.txt").exists()


async def test_a_folder_that_is_no_repository_stays(yard: Yard, server: GitServer) -> None:
    own = yard.home / "custom_nodes" / "r" / "own.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(ProvisionFailed, match="is there already and is no git repository"):
        await install(yard, f"{server.url}/open/r.git")
    assert own.read_text() == "mine"


async def test_no_secret_of_an_address_is_written_down(yard: Yard, server: GitServer) -> None:
    closed = server.url.replace("://", "://ann:s3cret@") + "/closed"
    with structlog.testing.capture_logs() as logged:
        await install(yard, f"{closed}/r.git")
        with pytest.raises(ProvisionFailed) as failed:
            await install(yard, f"{closed}/nope.git")
    assert (yard.home / "custom_nodes" / "r" / "__init__.py").exists()
    kept = (yard.home / "custom_nodes" / "r" / ".git" / "config").read_text()
    told = f"{logged}{failed.value.as_dict()}{yard.events}{kept}"
    assert "s3cret" not in told and "YW5uOnMzY3JldA" not in told


async def test_a_login_goes_to_submodules_of_its_own_origin_alone(
    yard: Yard, server: GitServer, tmp_path: Path
) -> None:
    other = GitServer(tmp_path / "elsewhere")
    make_repository(other.folder, FILES)
    await other.start()
    yard.system("basename", "sed", "uname")
    git(server.folder, "clone", "--quiet", "--bare", "work", "near.git")
    modules = {"near": f"{server.url}/closed/near.git", "far": f"http://localhost:{other.port}/open/r.git"}
    text = "".join(f'[submodule "{name}"]\n\tpath = {name}\n\turl = {url}\n' for name, url in modules.items())
    work, first = server.folder / "work", git(other.folder / "work", "rev-parse", "HEAD")
    own = git(work, "rev-parse", "HEAD")
    (work / ".gitmodules").write_text(text)
    git(work, "add", ".gitmodules")
    for name, commit in (("near", own), ("far", first)):
        git(work, "update-index", "--add", "--cacheinfo", f"160000,{commit},{name}")
    git(work, "commit", "--quiet", "-m", "modules")
    git(work, "push", "--quiet", str(server.folder / "r.git"), "main")
    try:
        await install(yard, server.url.replace("://", "://ann:s3cret@") + "/closed/r.git")
    finally:
        await other.stop()
    pack = yard.home / "custom_nodes" / "r"
    assert (pack / "near" / "__init__.py").exists() and (pack / "far" / "__init__.py").exists()
    assert any(server.seen) and other.seen == {""}


async def test_no_git(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(ProvisionFailed, match="there is no git on this system"):
        await install(Yard(tmp_path / "other"), "https://host/u/r")


# ---------------------------------------------------------------------------------------------------- by name


async def test_a_name_goes_to_comfy_cli(yard: Yard) -> None:
    yard.program("comfy")
    await install(yard, "comfyui_essentials", "comfyui-kjnodes@1.2.0")
    assert yard.words() == [
        f"comfy --skip-prompt --workspace {yard.home} node install {name} --fast-deps --exit-on-fail"
        for name in ("comfyui_essentials", "comfyui-kjnodes@1.2.0")
    ]


async def test_a_name_without_comfy_cli_or_one_that_fails(yard: Yard) -> None:
    with pytest.raises(ProvisionFailed, match="ComfyUI CLI is not available to install"):
        await install(yard, "comfyui_essentials")
    yard.program("comfy", "sys.exit(3)")
    with pytest.raises(ProvisionFailed, match="Custom node comfyui_essentials: comfy ended with code 3"):
        await install(yard, "comfyui_essentials", "never-reached")
    assert len(yard.calls()) == 1
