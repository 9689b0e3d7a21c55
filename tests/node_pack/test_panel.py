"""The Deploy panel in a real browser: from a page of another site, against a real server. The editor around it is a
small stand-in for what it uses of ComfyUI's; with the real one it is tested in tests/editor."""

import json
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Locator, Page, expect

from tests.apis.world import ADMIN, LABEL_GRAPH, World, open_world, served
from tests.services.bundle import open_bundle
from tests.web.conftest import browser

__all__ = ["browser"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEB = Path(__file__).parents[2] / "comfy_nodes" / "web"
PAGE = """<!doctype html><link rel="icon" href="data:,"><div id="side"></div>
<script type="module">import "/extensions/comfyserve/deploy.js"</script>"""
APP = """
const nodes = { 2: { title: "Text Output" } };
export const app = {
  graph: { extra: {}, getNodeById: (id) => nodes[id] },
  canvas: { selectNode: (node) => (window.selected = node.title) },
  extensionManager: {
    workflow: { activeWorkflow: { filename: "caps.json" } },
    command: { execute() {} },
    registerSidebarTab: (tab) => (window.tab = tab),
  },
  graphToPrompt: async () => ({ workflow: { nodes: [], extra: app.graph.extra }, output: window.output }),
  registerExtension(extension) {
    extension.setup();
    window.extension = extension;
    window.tab.render(document.getElementById("side"));
  },
};
window.app = app;
"""


@dataclass(frozen=True)
class Seat:
    """The panel in a tab, and the server it talks to."""

    page: Page
    world: World
    address: str

    def part(self, name: str) -> Locator:
        """A part of the panel."""
        return self.page.get_by_test_id(f"comfyserve-{name}")

    async def connect(self, key: str = ADMIN) -> None:
        """Give address and key."""
        await self.part("server").fill(self.address)
        await self.part("key").fill(key)
        await self.part("test").click()

    async def deploy(self) -> None:
        """Click, and wait for the end."""
        await self.part("deploy").click()
        await expect(self.part("deploy")).to_have_text("Deploy")


@pytest_asyncio.fixture(loop_scope="module")
async def elsewhere() -> AsyncIterator[str]:
    """The site of the editor, at an address of its own."""
    site = web.Application()
    site.router.add_get("/", _page)
    site.router.add_get("/scripts/app.js", _script)
    site.router.add_static("/extensions/comfyserve", WEB)
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def _page(_: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


async def _script(_: web.Request) -> web.Response:
    return web.Response(text=APP, content_type="text/javascript")


@pytest_asyncio.fixture(loop_scope="module")
async def seat(browser: Browser, elsewhere: str, tmp_path: Path) -> AsyncIterator[Seat]:
    bundle = await open_bundle(tmp_path)
    context = await browser.new_context()
    context.set_default_timeout(10_000)
    page = await context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    async with open_world(bundle) as world, served(world.app) as address:
        await page.goto(elsewhere)
        await page.evaluate("(graph) => (window.output = graph)", LABEL_GRAPH)
        yield Seat(page, world, address)
        await context.close()
    await bundle.db.close()
    assert wrong == []


async def test_a_new_workflow_then_its_next_version(seat: Seat) -> None:
    await seat.connect()
    await expect(seat.part("status")).to_contain_text("Connected to")
    await expect(seat.part("name")).to_have_value("caps")
    await seat.deploy()
    await expect(seat.part("result")).to_contain_text("caps (production) runs version 1.")
    await expect(seat.part("link")).to_have_attribute("href", f"{seat.address}/apps/caps")

    (workflow,) = (await seat.world.json("GET", "/v1/workflows"))["items"]
    facts = await seat.page.evaluate("app.graph.extra.comfyserve")
    assert facts == {"server": seat.address, "workflow_id": workflow["id"], "version": 1}

    await expect(seat.part("mode-version")).to_be_checked()
    await seat.part("comment").fill("brighter")
    await seat.deploy()
    await expect(seat.part("result")).to_contain_text("caps (production) runs version 2.")
    versions = (await seat.world.json("GET", f"/v1/workflows/{workflow['id']}/versions"))["items"]
    assert [(one["version"], one["comment"]) for one in versions] == [(2, "brighter"), (1, "initial version")]

    await seat.part("environment").select_option("staging")
    await seat.deploy()
    await expect(seat.part("result")).to_contain_text("caps-staging (staging) runs version 3.")
    deployments = (await seat.world.json("GET", "/v1/deployments"))["items"]
    assert {one["name"]: one["version"] for one in deployments} == {"caps": 2, "caps-staging": 3}


async def test_the_line_for_the_shell_says_the_defaults(seat: Seat) -> None:
    graph: dict[str, Any] = json.loads(json.dumps(LABEL_GRAPH))
    graph["1"]["inputs"]["default_value"] = "it's a cap"
    await seat.page.evaluate("(graph) => (window.output = graph)", graph)
    await seat.connect()
    await seat.deploy()
    line = shlex.split(await seat.part("curl").inner_text())
    assert json.loads(line[line.index("-d") + 1]) == {"deployment": "caps", "inputs": {"input_text": "it's a cap"}}
    assert f"{seat.address}/v1/runs" in line and ADMIN not in line


async def test_address_and_key_are_kept_in_the_browser(seat: Seat) -> None:
    await seat.connect()
    await seat.page.reload()
    await expect(seat.part("status")).to_contain_text("Connected to")
    await expect(seat.part("key")).to_have_attribute("type", "password")
    await expect(seat.part("key")).to_have_value(ADMIN)


async def test_what_the_server_refuses_is_told_at_its_node(seat: Seat) -> None:
    await seat.connect()
    await seat.page.evaluate("() => (window.output[2].inputs.text = ['7', 0])")
    await seat.deploy()
    await expect(seat.part("error")).to_contain_text("(node 2, Text Output)")
    assert await seat.page.evaluate("window.selected") == "Text Output"
    assert (await seat.world.json("GET", "/v1/workflows"))["items"] == []


async def test_a_name_that_is_taken_keeps_nothing(seat: Seat) -> None:
    await seat.world.names()
    before = (await seat.world.json("GET", "/v1/workflows"))["items"]
    await seat.connect()
    await seat.part("deployment").fill("labels")
    await seat.deploy()
    await expect(seat.part("error")).to_have_text(
        "There is a deployment labels of another workflow already. Choose another name."
    )
    assert (await seat.world.json("GET", "/v1/workflows"))["items"] == before


async def test_a_workflow_is_found_by_its_name(seat: Seat) -> None:
    await seat.world.names()
    await seat.connect()
    await seat.part("mode-version").check()
    await seat.part("search").fill("LAB")
    await expect(seat.part("workflow").locator("option")).to_have_text(["labels (version 1)"])
    await seat.part("search").fill("nothing of that name")
    await expect(seat.part("workflow").locator("option")).to_have_count(0)
    await seat.deploy()
    await expect(seat.part("error")).to_have_text("Choose the workflow that gets a new version.")


async def test_another_workflow_on_the_canvas_starts_anew(seat: Seat) -> None:
    await seat.connect()
    await seat.deploy()
    await expect(seat.part("mode-version")).to_be_checked()
    extra = await seat.page.evaluate("app.graph.extra")
    await seat.page.evaluate("() => { app.graph.extra = {}; window.extension.afterConfigureGraph(); }")
    await expect(seat.part("mode-new")).to_be_checked()
    await expect(seat.part("result")).to_be_empty()
    await seat.page.evaluate("(extra) => { app.graph.extra = extra; window.extension.afterConfigureGraph(); }", extra)
    await expect(seat.part("mode-version")).to_be_checked()


async def test_a_server_that_is_not_there_or_none_of_ours(seat: Seat, elsewhere: str) -> None:
    await seat.connect("cs_wrong")
    await expect(seat.part("connection-error")).to_contain_text("unknown, expired or revoked")
    for address, words in {
        "http://127.0.0.1:1": "cannot be reached",
        "http://": "is not valid",
        "http://[::1": "is not valid",
        elsewhere: "not as comfyserve does",
    }.items():
        await seat.part("server").fill(address)
        await seat.part("test").click()
        await expect(seat.part("connection-error")).to_contain_text(words)
