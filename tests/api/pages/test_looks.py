"""Accessibility of the pages: phones, dark mode, keyboards and screen readers (axe-core)."""

import json
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from solve_producer.demo.simulation import Season, simulate
from tests.api.pages.test_browser import browsing, log_in
from tests.api.served import Served, serving
from tests.events import BEGIN
from tests.projector.dead_letters import add_dead_letters
from tests.world import World

SEASON = Season(start=BEGIN, users=80, problems=40, events=1_200, seed=9)
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
PUBLIC = ("/", "/leaderboard", "/leaderboard?period=week", "/search?q=nobody", "/users/{user}", "/users/nobody")
PANEL = (
    "/admin",
    "/admin/jobs/{job}",
    "/admin/users?q=u",
    "/admin/users/record?id={user}",
    "/admin/problems",
    "/admin/problems?id=problem-1",
    "/admin/dead-letters",
    "/admin/dead-letters/{letter}",
    "/admin/lag",
    "/admin/activity",
    "/admin/tokens",
    "/admin/account",
)


async def fill(world: World) -> dict[str, str]:
    """Enough of everything that no page is empty; what the paths name."""
    await world.publish(simulate(SEASON))
    await world.run_once()
    letters = await add_dead_letters(world, world.published[-3:])
    async with world.database() as database:
        await database.execute("UPDATE users SET problems_solved = 0, last_solved_at = NULL WHERE user_id < 'user-3'")
    solvers = world.model().solved
    return {"user": max(solvers, key=lambda one: solvers[one].problems_solved), "letter": str(letters[0])}


async def check_counts(api: Served) -> str:
    """A job that found something."""
    async with api.admin() as admin:
        started = await admin.post("/api/admin/backfill-problems-solved", params={"dry_run": "true"})
        assert started.json()["users_updated"] > 0
        job: str = (await admin.get("/api/admin/jobs")).json()["jobs"][0]["job_id"]
        return job


async def fits(page: Page) -> bool:
    """Whether nothing makes the page itself scroll sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


async def violations(page: Page) -> list[str]:
    """What axe-core finds, with where."""
    found: dict[str, Any] = (await Axe().run(page)).response
    return [f"{one['id']}: {json.dumps([node['target'] for node in one['nodes']][:5])}" for one in found["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_accessible_and_fits_a_phone(world: World, chromium: Browser, scheme: Any) -> None:
    names = await fill(world)
    async with serving(world) as api, browsing(chromium, api, color_scheme=scheme, viewport=PHONE) as page:
        names["job"] = await check_counts(api)
        wrong: dict[str, Any] = {}
        await page.goto("/admin/login")
        paths = ["/admin/login", *PUBLIC, *PANEL]
        for path in paths:
            if path == PANEL[0]:
                await page.goto("/admin")
                await log_in(page)
            await page.goto(path.format(**names))
            for size in (PHONE, DESK):
                await page.set_viewport_size(size)  # type: ignore[arg-type]
                if not await fits(page):
                    wrong[f"{path} at {size['width']}"] = "scrolls sideways"
                if found := await violations(page):
                    wrong[f"{path} at {size['width']}"] = found
        assert wrong == {}
        assert len(paths) == 19


async def test_the_dark_is_dark(world: World, chromium: Browser) -> None:
    shades = []
    async with serving(world) as api:
        for scheme in ("light", "dark"):
            async with browsing(chromium, api, color_scheme=scheme) as page:
                await page.goto("/")
                said = await page.evaluate(
                    "getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number)"
                )
                shades.append(sum(said[:3]))
    light, dark = shades
    assert light > 600
    assert dark < 200


async def test_a_keyboard_is_enough_to_get_to_the_content_and_to_a_profile(world: World, chromium: Browser) -> None:
    names = await fill(world)
    async with serving(world) as api, browsing(chromium, api) as page:
        await page.goto(f"/leaderboard?around={names['user']}")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_be_focused()
        link = page.locator("tr.here a")
        for _ in range(80):
            await page.keyboard.press("Tab")
            if await link.evaluate("one => one === document.activeElement"):
                break
        outline = await link.evaluate("one => getComputedStyle(one).outlineStyle")
        assert outline != "none"
        await page.keyboard.press("Enter")
        await expect(page.locator("#stats")).to_be_visible()
