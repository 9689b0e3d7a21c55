"""The pages and /docs: deep links, caching, no other host."""

import re
from pathlib import Path

import httpx2
import pytest

from comfyserve.apis.build import build_api
from comfyserve.apis.http.bundle import ApiOptions
from comfyserve.pages import Pages
from tests.apis.world import BASE, World, services_of

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    (folder / "_app").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>pages</title>")
    (folder / "_app" / "main-1a2b.js").write_text("0")
    (folder / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def client_of(world: World, folder: Path) -> httpx2.AsyncClient:
    app = build_api(services_of(world.bundle), ApiOptions(), Pages(folder))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=BASE)


@pytest.mark.parametrize("path", ["/", "/apps/pod", "/runs/1", "/sign-in", "/deployments", "/run/1", "/apps/v1.5"])
async def test_deep_links_are_the_page(world: World, built: Path, path: str) -> None:
    async with client_of(world, built) as client:
        answer = await client.get(path, headers=HTML)
    assert (answer.status_code, "pages" in answer.text) == (200, True)
    assert answer.headers["cache-control"] == "no-cache"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


async def test_files_with_a_hash_stay_for_ever(world: World, built: Path) -> None:
    async with client_of(world, built) as client:
        script = await client.get("/_app/main-1a2b.js")
        icon = await client.get("/favicon.svg")
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-type"].startswith("text/javascript")
    assert icon.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["/_app/gone.js", "/v1/gone", "/api/gone", "/files/gone", "/../secret.txt", "/%2e%2e/secret.txt", "/a%00b.js",
     f"/_app/{'a' * 300}.js", f"/{'a/' * 3000}b.js", f"/docs/assets/{'a' * 300}"],
)  # fmt: skip
async def test_what_is_no_page_is_an_error(world: World, built: Path, path: str) -> None:
    async with client_of(world, built) as client:
        answer = await client.get(path, headers=HTML if not path.endswith("txt") else {})
    assert answer.status_code in (401, 404)
    assert "secret" not in answer.text.replace("secret.txt", "")


async def test_an_alias_is_not_hidden_by_a_page(world: World, built: Path) -> None:
    async with client_of(world, built) as client:
        answer = await client.get("/machines", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid or missing token"})


async def test_pages_that_are_not_built_say_so(world: World, tmp_path: Path) -> None:
    async with client_of(world, tmp_path / "nothing") as client:
        answer = await client.get("/", headers=HTML)
        assert (answer.status_code, "not built" in answer.text) == (503, True)
        assert (await client.get("/health")).status_code == 200


async def test_docs_bring_their_own_assets(world: World) -> None:
    page = await world.client.get("/docs")
    assert not re.search(r"https?://", page.text)
    links = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert len(links) == 3
    for link in links:
        answer = await world.client.get(link)
        assert answer.status_code == 200 and len(answer.content) > 100, link
