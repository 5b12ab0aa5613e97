"""Do the pages work in a real browser: live without a reload, readable by everybody, on a small screen, scriptless?

Skipped where no Chromium is installed.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

from tests.api.served import NAME, PASSWORD, Served, serving
from tests.events import registered, solved
from tests.projector.test_dead_letters import bury
from tests.world import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PUBLIC = ("/", "/leaderboard", "/leaderboard?period=month&around=a", "/users/a", "/users/empty", "/search?username=ada")
PANEL = ("/admin", "/admin/dead-letters", "/admin/dead-letters/1", "/admin/lag", "/admin/audit", "/admin/tokens")
SCREENS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "small": {"viewport": {"width": 360, "height": 740}},
}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest_asyncio.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for all tests; each opens pages of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(chromium: Browser, api: Served, **options: Any) -> AsyncIterator[Page]:
    """A page of a reader's own; whatever its script or its policy complains of is an error."""
    context = await chromium.new_context(base_url=api.address, **options)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    yield page
    await context.close()
    assert complaints == []


async def fill(world: World) -> None:
    await world.publish([registered("a", username="ada"), registered("b"), registered("empty")])
    await world.publish(solved(f"a{number}", "a", f"p{number}", 90_000 * number, language="cpp") for number in range(9))
    await world.publish([solved("b1", "b", "p1", 5)])
    await world.run_once()


async def log_in(page: Page) -> None:
    await page.goto("/admin")
    await page.fill("#name", NAME)
    await page.fill("#password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/admin")


async def test_a_number_changes_where_it_stands(world: World, chromium: Browser) -> None:
    await fill(world)
    async with world.running(), serving(world) as api, opened(chromium, api) as page, opened(chromium, api) as board:
        await api.until_from("redis")
        await page.goto("/users/b")
        await board.goto("/leaderboard")
        for one in (page, board):
            await one.evaluate("window.sameDocument = true")
        await page.focus("summary")
        await page.evaluate("document.querySelector('details').open = true")
        await board.focus("a[href='/users/b']")
        await world.publish(solved(f"b{number}", "b", f"q{number}", 6) for number in range(2, 13))
        await page.wait_for_function("() => document.querySelector('#stats dd').textContent === '12'")
        await page.wait_for_function(
            "() => document.querySelector('#news').textContent.startsWith('name of b: 12 problems')"
        )
        await board.wait_for_function("() => document.querySelector('#board tbody a').textContent === 'name of b'")
        for one in (page, board):
            assert await one.evaluate("window.sameDocument")
        assert await page.evaluate("[document.activeElement.tagName, document.querySelector('details').open]") == [
            "SUMMARY",
            True,
        ]
        assert await board.evaluate("document.activeElement.textContent") == "name of b"


async def test_a_page_says_when_it_is_not_up_to_date_and_catches_up(world: World, chromium: Browser) -> None:
    await fill(world)
    async with world.running(), serving(world) as api:
        await api.until_from("redis")
        context = await chromium.new_context(base_url=api.address)
        page = await context.new_page()
        await page.goto("/users/b")
        await page.wait_for_selector("[data-state=live]")
        await context.set_offline(True)
        await world.publish([solved("b2", "b", "q", 6)])
        await page.wait_for_selector("[data-state=away]")
        assert await page.text_content("#stats dd") == "1"
        await context.set_offline(False)
        await page.wait_for_function("() => document.querySelector('#stats dd').textContent === '2'")
        await page.wait_for_selector("[data-state=live]")
        await context.close()


@pytest.mark.parametrize("screen", SCREENS)
async def test_everybody_can_read_every_page(world: World, chromium: Browser, screen: str) -> None:
    await fill(world)
    await bury(world, [solved("x", "b", "p", 1)])
    async with serving(world) as api, opened(chromium, api, **SCREENS[screen]) as page:
        await api.create_admin()
        for path in (*PUBLIC, "/admin/login"):
            await is_readable(page, path)
        await log_in(page)
        for path in PANEL:
            await is_readable(page, path)
        await page.goto("/admin")
        await page.click("text=Check the counts")
        await page.wait_for_selector(".finding")
        await is_readable(page, page.url)


async def is_readable(page: Page, path: str) -> None:
    """By axe, and without a scroll to the side."""
    await page.goto(path)
    found = (await Axe().run(page)).response["violations"]
    assert [(one["id"], one["nodes"][0]["target"]) for one in found] == [], path
    wider = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, path


async def test_a_job_is_watched_to_its_end_with_and_without_a_script(world: World, chromium: Browser) -> None:
    await fill(world)
    async with serving(world) as api:
        await api.create_admin()
        for script in (True, False):
            async with opened(chromium, api, java_script_enabled=script) as page:
                await log_in(page)
                await page.click("text=Check the counts")
                await page.wait_for_selector("text=Nothing differs")
                await page.click("text=Log out")
                await page.wait_for_selector("text=You are logged out")
