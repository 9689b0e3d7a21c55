"""The page in a real browser, in front of the real program."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page, expect

from tests.web.conftest import PAGE_MS, Server, Visit
from tests.web.graphs import FAILS, KNOBS, MEDIA, Graph

pytestmark = pytest.mark.asyncio(loop_scope="module")

RUN_MS = 60_000
PHONE = {"width": 390, "height": 844}
SNIPPET_SECONDS = 60
SIDEWAYS = "document.documentElement.scrollWidth > window.innerWidth"
NAMELESS = """[...document.querySelectorAll('input, select, textarea, button, a')]
    .filter(e => !e.labels?.length && !e.ariaLabel && !e.getAttribute('aria-labelledby') && !e.innerText)
    .map(e => e.outerHTML)"""


async def deploy(visit: Visit, name: str, graph: Graph) -> None:
    """Deploy a graph under a name, as the CLI does; a second time changes nothing."""
    request, origin = visit.page.context.request, visit.server.origin
    headers = {"Authorization": f"Bearer {visit.server.key}"}
    workflow = await request.post(f"{origin}/v1/workflows", headers=headers, data={"name": name, "graph": graph})
    assert workflow.status == 201, await workflow.text()
    wanted = {"name": name, "workflow_id": (await workflow.json())["id"]}
    deployed = await request.post(f"{origin}/v1/deployments", headers=headers, data=wanted)
    assert deployed.status == 201, await deployed.text()


async def generate(page: Page) -> None:
    await page.get_by_role("button", name="Generate").click()


async def result(page: Page) -> Image.Image:
    """The picture that the Download button saves, once there is one."""
    link = page.get_by_role("link", name="Download")
    await expect(link).to_be_visible(timeout=RUN_MS)
    async with page.expect_download() as download:
        await link.click()
    with Image.open(await (await download.value).path()) as picture:
        return picture.copy()


async def test_the_printed_link_signs_in_once(stranger: Visit) -> None:
    page = stranger.page
    await page.goto(stranger.server.sign_in_link)
    await expect(page.get_by_role("heading", name="Deployments")).to_be_visible()
    assert page.url == f"{stranger.server.origin}/"
    await expect(page.get_by_role("link", name="pod")).to_be_visible()

    await page.context.clear_cookies()
    await page.goto("about:blank")
    await page.goto(stranger.server.sign_in_link)
    await expect(page.get_by_role("alert")).to_contain_text("does not work any more")
    assert "token" not in page.url


async def test_a_deep_link_waits_for_the_sign_in(stranger: Visit) -> None:
    page = await stranger.open("/apps/pod")
    await page.get_by_label("API key").fill("not a key")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    await page.get_by_label("API key").fill(stranger.server.key)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="pod")).to_be_visible()
    assert page.url == f"{stranger.server.origin}/apps/pod"

    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("API key")).to_be_visible()
    await stranger.open("/")
    await expect(page.get_by_label("API key")).to_be_visible()


async def test_a_session_that_ended_leads_to_the_sign_in(visit: Visit) -> None:
    page = await visit.open("/apps/pod")
    await expect(page.get_by_role("button", name="Generate")).to_be_visible()
    await page.context.clear_cookies()
    await expect(page.get_by_label("API key")).to_be_visible()


async def test_from_home_to_the_downloaded_picture(visit: Visit, logo: Path) -> None:
    page = await visit.open("/")
    await page.get_by_role("link", name="pod").first.click()
    await page.locator('[data-field="input_image"] input[type=file]').set_input_files(logo)
    await expect(page.locator('[data-field="input_image"] img')).to_be_visible()
    await page.locator('[data-field="input_number"]').get_by_text("512", exact=True).click()
    await generate(page)

    await expect(page.get_by_role("progressbar", name="Progress of the run")).to_be_visible()
    await expect(page.get_by_alt_text("Preview of the picture so far")).to_be_visible(timeout=RUN_MS)
    assert (await result(page)).size == (512, 512)
    await expect(page.locator('[data-run-status="success"]').get_by_text("Simulated")).to_be_visible()
    shown = page.locator('[data-run-status="success"] figure img')
    assert await shown.evaluate("image => image.naturalWidth") == 512

    await page.get_by_role("link", name="Details").click()
    await expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    await expect(page.get_by_text("Finished")).to_be_visible()
    await expect(page.get_by_text("input_text")).to_be_visible()

    await visit.open("/")
    await expect(page.get_by_role("listitem").filter(has_text="Done").first).to_be_visible()


async def test_a_video_and_a_sound_can_be_played(visit: Visit) -> None:
    await deploy(visit, "media", MEDIA)
    page = await visit.open("/apps/media")
    await generate(page)
    for kind in ("video", "audio"):
        player = page.locator(f'[data-run-status="success"] figure {kind}')
        await expect(player).to_be_visible(timeout=RUN_MS)
        # play() waits for enough of the file, and fails when it cannot be decoded.
        assert await player.evaluate("async player => { await player.play(); return Math.round(player.duration) }") == 1


async def test_a_run_is_found_again_after_a_reload(visit: Visit) -> None:
    page = await visit.open("/apps/pod")
    await page.locator('[data-field="input_text"] textarea').fill("a mug on a table")
    await generate(page)
    await page.wait_for_url("**/apps/pod?run=*")
    await page.reload()
    await expect(page.locator('[data-field="input_text"] textarea')).to_have_value("a mug on a table")
    await expect(page.locator('[data-run-status="success"] figure img')).to_be_visible(timeout=RUN_MS)


async def test_a_double_click_is_one_run(visit: Visit) -> None:
    page = await visit.open("/apps/pod")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method) if request.url.endswith("/v1/runs") else None)
    await page.locator('[data-field="input_text"] textarea').fill("a mug, another text than other tests have")
    await page.get_by_role("button", name="Generate").dblclick()
    await expect(page.locator('[data-run-status="success"] figure img')).to_be_visible(timeout=RUN_MS)
    assert sent == ["POST"]


async def test_a_run_can_be_cancelled(visit: Visit) -> None:
    page = await visit.open("/apps/pod")
    await generate(page)
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator('[data-run-status="cancelled"]')).to_be_visible(timeout=RUN_MS)
    await expect(page.get_by_role("button", name="Generate")).to_be_enabled()


async def test_a_wrong_number_is_shown_at_its_field(visit: Visit) -> None:
    await deploy(visit, "knobs", KNOBS)
    page = await visit.open("/apps/knobs")
    field = page.locator('[data-field="edge"]')
    await expect(field.get_by_role("slider")).to_have_value("64")
    await field.get_by_role("textbox").fill("9999")
    await generate(page)
    await expect(field.get_by_role("alert")).to_contain_text("256")
    await expect(field.get_by_role("textbox")).to_be_focused()
    await expect(field.get_by_role("textbox")).to_have_attribute("aria-invalid", "true")

    await field.get_by_role("textbox").fill("48")
    await generate(page)
    assert (await result(page)).size == (48, 48)
    await expect(field.get_by_role("alert")).to_have_count(0)


async def test_a_file_that_is_no_picture_is_refused_at_its_field(visit: Visit, tmp_path: Path) -> None:
    fake = tmp_path / "logo.png"
    fake.write_bytes(b"this is no picture")
    page = await visit.open("/apps/pod")
    await page.locator('[data-field="input_image"] input[type=file]').set_input_files(fake)
    await expect(page.locator('[data-field="input_image"]')).to_contain_text("logo.png")
    await generate(page)
    await expect(page.get_by_role("alert").first).to_be_visible(timeout=RUN_MS)


async def test_a_failing_run_names_its_node_and_reason(visit: Visit) -> None:
    await deploy(visit, "fails", FAILS)
    page = await visit.open("/apps/fails")
    await generate(page)
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("Failed at Cut out the subject (node 2)", timeout=RUN_MS)
    await expect(alert).to_contain_text("alpha")
    await page.get_by_role("link", name="Details").click()
    await expect(page.get_by_role("listitem").filter(has_text="Failed:")).to_be_visible()


@pytest.mark.parametrize(("language", "runner"), [("curl", ["sh", "-c"]), ("Python", [sys.executable, "-c"])])
async def test_the_shown_call_works_as_pasted(visit: Visit, language: str, runner: list[str]) -> None:
    page = await visit.open("/apps/pod")
    await page.get_by_role("tab", name=language).click()
    code = await page.get_by_label("Code").inner_text()
    environment = {**os.environ, "COMFYSERVE_KEY": visit.server.key}
    process = await asyncio.create_subprocess_exec(
        *runner, code, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), SNIPPET_SECONDS)
    assert process.returncode == 0, said.decode()
    assert "success" in said.decode()


async def test_typescript_is_shown_with_the_values_of_the_form(visit: Visit) -> None:
    page = await visit.open("/apps/pod")
    await page.locator('[data-field="input_text"] textarea').fill('a "quoted" mug')
    await page.get_by_role("tab", name="curl").focus()
    await page.keyboard.press("ArrowLeft")
    await expect(page.get_by_role("tab", name="TypeScript")).to_be_focused()
    code = await page.get_by_label("Code").inner_text()
    assert r'"input_text": "a \"quoted\" mug"' in code
    assert f'serverURL: "{visit.server.origin}/api"' in code


@pytest.mark.parametrize("path", ["/", "/apps/pod", "/no/such/page", "/apps/nothing", "/runs/nothing"])
async def test_pages_fit_a_phone_and_name_their_controls(visit: Visit, path: str) -> None:
    await visit.page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    page = await visit.open(path)
    await expect(page.locator("main").locator("h1, [role=alert]").first).to_be_visible(timeout=PAGE_MS)
    assert not await page.evaluate(SIDEWAYS)
    assert await page.evaluate(NAMELESS) == []


async def test_an_unknown_page_of_the_api_stays_json(server: Server, visit: Visit) -> None:
    answer = await visit.page.context.request.get(f"{server.origin}/v1/runs/nothing")
    assert answer.status == 404
    assert (await answer.json())["error"]["code"] == "not_found"
