"""The page shows what a run waits for, and results that lie in a place of the caller's."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.e2e.program import program
from tests.e2e.shop import Shop
from tests.web.conftest import Server, Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

RUN_MS = 60_000
HALF = re.compile(r"^50 % of \d+ kB$")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server that may call this machine."""
    folder: Path = tmp_path_factory.mktemp("options")
    async with program(folder / "data", example="none", allow_private_network="127.0.0.1") as running:
        yield Server(running.url, running.key, "")


async def test_a_download_is_shown_and_then_where_the_result_lies(visit: Visit) -> None:
    request, page = visit.page.context.request, visit.page
    async with Shop().open() as shop:
        headers = {"Authorization": f"Bearer {visit.server.key}"}
        made = await request.post(f"{visit.server.origin}/v1/runs", headers=headers, data=shop.wish("slow.png"))
        assert made.status == 201, await made.text()
        await visit.open(f"/runs/{(await made.json())['id']}")
        await expect(page.get_by_text("Downloading slow.png")).to_be_visible(timeout=RUN_MS)
        await expect(page.get_by_text(HALF)).to_be_visible()
        shop.go_on.set()
        stage = page.locator('[data-run-status="success"]')
        await expect(stage).to_be_visible(timeout=RUN_MS)
        link = stage.get_by_role("link", name=f"{shop.url}/in/")
        await expect(link).to_be_visible()
        assert (await link.get_attribute("href") or "").removeprefix(f"{shop.url}/in/") in shop.taken
    await expect(page.get_by_text("slow.png downloaded, ")).to_be_visible()
    await expect(page.get_by_text("Stored as")).to_be_visible()
    await expect(page.get_by_text(f"{shop.url}/in", exact=True)).to_be_visible()
    await expect(stage.get_by_role("link", name="Download")).to_have_count(0)
