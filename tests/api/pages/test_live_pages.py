"""Open pages stay up to date: numbers change in place, while focus and opened details stay."""

from playwright.async_api import Browser

from tests.api.pages.test_browser import browsing, log_in
from tests.api.served import serving
from tests.events import registered, solved
from tests.world import World


async def fill(world: World) -> None:
    """Who has much, who has little, and who has nothing."""
    await world.publish([registered("a", username="ada"), registered("b"), registered("empty")])
    await world.publish(solved(f"a{number}", "a", f"p{number}", 90_000 * number, language="cpp") for number in range(9))
    await world.publish([solved("b1", "b", "p1", 5)])
    await world.run_once()


async def test_a_number_changes_where_it_stands(world: World, chromium: Browser) -> None:
    await fill(world)
    async with (
        world.running(),
        serving(world) as api,
        browsing(chromium, api) as page,
        browsing(chromium, api) as board,
    ):
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
            "() => document.querySelector('#news').textContent.startsWith('\u2068name of b\u2069: 12 problems')"
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
        await page.wait_for_selector("[data-state=unavailable]")
        assert await page.text_content("#stats dd") == "1"
        await context.set_offline(False)
        await page.wait_for_function("() => document.querySelector('#stats dd').textContent === '2'")
        await page.wait_for_selector("[data-state=live]")
        await context.close()


async def test_a_job_is_watched_to_its_end_with_and_without_a_script(world: World, chromium: Browser) -> None:
    await fill(world)
    async with serving(world) as api:
        await api.create_admin()
        for script in (True, False):
            async with browsing(chromium, api, java_script_enabled=script) as page:
                await page.goto("/admin")
                await log_in(page)
                await page.click("text=Check counts")
                await page.wait_for_selector("text=No differences found")
                await page.click("text=Log out")
                await page.wait_for_selector("text=You are logged out")
