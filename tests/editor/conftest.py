"""The embedded engine with the real editor, and a real browser in front of it."""

import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request, Response, async_playwright

from tests.embedded.test_program import line_of, start
from tests.web.conftest import CHROMIUM_FLAGS

EDITOR_MS = 60_000
READY = "() => window.app?.vueAppReady && window.app?.graph && !!document.querySelector('[data-testid=queue-button]')"
STEP_MS = 100
NOT_THE_FIRST_VISIT = {"Comfy.TutorialCompleted": True}
"""At the very first visit the templates open by themselves, over everything else."""

ABSENT_AT_FIRST = re.compile(r"/user\.css$|/api/userdata|^/templates/.+\.(webp|jpg|png|mp4|mp3)$")
"""What the editor asks for and lives without: files of the user, and pictures of packages that the tests leave out."""


@dataclass
class Faults:
    """What went wrong while the editor was used."""

    page_errors: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


@dataclass
class Editor:
    """The editor in a page of its own, ready to be used."""

    page: Page
    url: str
    faults: Faults

    async def nodes(self) -> int:
        count: int = await self.page.evaluate("() => window.app.graph.nodes.length")
        return count

    async def jobs(self, status: str) -> list[dict[str, object]]:
        answer = await self.page.request.get(f"{self.url}/api/jobs?status={status}")
        jobs: list[dict[str, object]] = (await answer.json())["jobs"]
        return jobs

    async def run(self) -> None:
        await self.page.get_by_test_id("queue-button").click()

    async def picture_shown(self) -> None:
        """Wait until a SaveImage node shows its picture."""
        await self.page.wait_for_function(
            "() => window.app.graph.nodes.some((n) => n.type === 'SaveImage' && n.imgs?.[0]?.naturalWidth > 0)"
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of an engine with the editor; its simulated steps are slow enough to be seen."""
    base: Path = tmp_path_factory.mktemp("engine")
    process = await start("--base-directory", str(base), "--step-ms", str(STEP_MS))
    try:
        url = f"http://127.0.0.1:{(await line_of(process.stderr, 'listening'))['port']}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/settings", json=NOT_THE_FIRST_VISIT) as answer,
        ):
            assert answer.status == 200
        yield url
    finally:
        process.terminate()
        await process.communicate()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's chromium, or the one that COMFYSERVE_CHROMIUM names."""
    path = os.environ.get("COMFYSERVE_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail("The editor's tests need chromium: install it, or set COMFYSERVE_CHROMIUM to its path.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def editor(engine: str, browser: Browser) -> AsyncIterator[Editor]:
    """A fresh visit; a page error, a failed answer of ours or a request to another host fails the test at its end."""
    async with await browser.new_context(viewport={"width": 1400, "height": 900}) as context:
        page = await context.new_page()
        page.set_default_timeout(EDITOR_MS)
        faults = _watch(page, engine)
        await page.goto(engine, wait_until="domcontentloaded")
        await page.wait_for_function(READY)
        yield Editor(page, engine, faults)
        assert faults == Faults()


def _watch(page: Page, url: str) -> Faults:
    faults = Faults()

    def answered(response: Response) -> None:
        path = response.url.removeprefix(url)
        if response.status >= 400 and not ABSENT_AT_FIRST.search(path.partition("?")[0]):
            faults.answers.append(f"{response.status} {path}")

    def reached(request: Request) -> None:
        if not request.url.startswith((url, "data:", "blob:")):
            faults.elsewhere.append(request.url)

    def said(message: ConsoleMessage) -> None:
        if message.type == "error" and "violates" in message.text and "api.comfy.org/releases" not in message.text:
            faults.elsewhere.append(message.text)

    page.on("pageerror", lambda error: faults.page_errors.append(str(error)))
    page.on("response", answered)
    page.on("requestfinished", reached)
    page.on("console", said)
    return faults
