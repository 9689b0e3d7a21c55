"""The program as a user starts it, and a real browser in front of it."""

import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image, ImageDraw
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.e2e.program import program

PAGE_MS = 20_000
SIGN_IN_LINK = re.compile(r"http://\S+/sign-in#token=\S+")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--no-zygote",  # two zygotes that reap their children at once can hold both cores in the kernel for minutes
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass(frozen=True)
class Server:
    """A running `comfyserve up`: where it answers, its admin's key, and the sign-in link it printed."""

    origin: str
    key: str
    sign_in_link: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """`comfyserve up` on a free port in a folder of its own, its simulated steps slow enough to be seen."""
    folder = tmp_path_factory.mktemp("up")
    async with program(folder / "data", simulated_step_ms="100") as running:
        link = next((found[0] for line in running.lines if (found := SIGN_IN_LINK.search(line))), None)
        assert link is not None, running.lines
        yield Server(running.url, running.key, link)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's chromium, or the one that COMFYSERVE_CHROMIUM names."""
    path = os.environ.get("COMFYSERVE_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail("The page's tests need chromium: install it, or set COMFYSERVE_CHROMIUM to its path.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()


@dataclass
class Visit:
    """A browser tab and all that went wrong in it: errors of scripts, and requests to other hosts."""

    page: Page
    server: Server
    wrong: list[str] = field(default_factory=list)

    async def open(self, path: str) -> Page:
        """Go to a path of the server."""
        await self.page.goto(self.server.origin + path)
        return self.page


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(browser: Browser, server: Server) -> AsyncIterator[Visit]:
    """A visitor who has not signed in; at the end nothing may have gone wrong in the tab."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PAGE_MS)
    visit = Visit(await context.new_page(), server)
    _watch(visit)
    yield visit
    await context.close()
    assert visit.wrong == []


@pytest_asyncio.fixture(loop_scope="module")
async def visit(stranger: Visit) -> Visit:
    """A visitor who is signed in."""
    await sign_in(stranger.page.context, stranger.server)
    return stranger


async def sign_in(context: BrowserContext, server: Server) -> None:
    """Give a browser the session cookie of the admin."""
    answer = await context.request.post(f"{server.origin}/v1/session", data={"key": server.key})
    assert answer.status == 200, await answer.text()


def _watch(visit: Visit) -> None:
    local = (visit.server.origin, "data:", "blob:")
    visit.page.on("pageerror", lambda error: visit.wrong.append(f"script: {error}"))
    visit.page.on(
        "request", lambda asked: None if asked.url.startswith(local) else visit.wrong.append(f"asked: {asked.url}")
    )
    visit.page.on(
        "console",
        lambda said: visit.wrong.append(f"console: {said.text}") if "Content Security Policy" in said.text else None,
    )


@pytest.fixture(scope="session")
def logo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A logo with transparency: a red disc on nothing."""
    picture = Image.new("RGBA", (240, 240), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((20, 20, 220, 220), fill=(226, 40, 60, 255))
    path = tmp_path_factory.mktemp("logo") / "logo.png"
    picture.save(path)
    return path
