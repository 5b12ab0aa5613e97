"""Pages in a real browser: live counts, repairs, logins, and what ends a session."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from devstack import Stack
from solve_api.pages import board as board_module
from tests.api.served import NAME, PASSWORD, Served, serving
from tests.api.test_incident import LOST, lose_solves
from tests.events import registered, solved
from tests.projector.dead_letters import add_dead_letters
from tests.world import World

MARK = "window.stillTheSamePage = true"
MARKED = "window.stillTheSamePage === true"


@asynccontextmanager
async def browsing(chromium: Browser, api: Served, **options: Any) -> AsyncIterator[Page]:
    """A browser of its own, with nothing in it; a script's error or a refusal by our own policy is a failure."""
    context: BrowserContext = await chromium.new_context(base_url=api.address, **options)
    page = await context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    try:
        yield page
    finally:
        await context.close()
    assert wrong == []


async def log_in(page: Page, password: str = PASSWORD) -> None:
    """Types name and password into the form that is open."""
    await page.get_by_label("Name").fill(NAME)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in").click()


async def test_a_solve_shows_on_an_open_profile_and_on_the_board_without_a_reload(
    world: World, chromium: Browser
) -> None:
    await world.publish([registered("u", username="ada"), registered("v", username="bob"), solved("1", "v", "p", 1)])
    async with world.running(), serving(world) as api:
        await world.until_right()
        async with browsing(chromium, api) as profile, browsing(chromium, api) as board:
            await profile.goto("/users/u")
            await board.goto("/leaderboard")
            count = profile.locator("#stats .main dd")
            await expect(count).to_have_text("0")
            await expect(board.locator("#board tbody tr")).to_have_count(1)
            for page in (profile, board):
                await page.evaluate(MARK)
            await world.publish([solved("2", "u", "p", 2), solved("3", "u", "q", 3)])
            await expect(count).to_have_text("2", timeout=30_000)
            await expect(profile.locator("#stats")).to_contain_text("1")
            first = board.locator("#board tbody tr").first
            await expect(first).to_contain_text("ada", timeout=30_000)
            await expect(first.locator("td").nth(3)).to_have_text("2")
            for page in (profile, board):
                assert await page.evaluate(MARKED)
                await expect(page.locator("#news")).not_to_be_empty()


async def test_an_open_last_page_that_everybody_leaves_leads_back(
    world: World, chromium: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_module, "ROWS", 1)
    await world.publish([registered("u"), registered("v"), solved("1", "u", "p", 1), solved("2", "v", "p", 2)])
    async with world.running(), serving(world) as api, browsing(chromium, api) as page:
        await world.until_right()
        await page.goto("/leaderboard")
        await page.get_by_role("link", name="Next").click()
        await expect(page.locator("#board tbody tr")).to_contain_text("name of v")
        await page.evaluate(MARK)
        await world.publish([solved("3", "v", "q", 3)])
        await expect(page.locator("#board")).to_contain_text("This page is empty now.", timeout=30_000)
        assert await page.evaluate(MARKED)
        await page.get_by_role("link", name="Previous").click()
        await expect(page.locator("#board tbody tr")).to_contain_text("name of u")
        await page.go_back()
        await page.get_by_role("link", name="First page").click()
        await expect(page.locator("#board tbody tr")).to_contain_text("name of v")


@pytest.mark.parametrize(("reported", "is_offered"), [("CET", True), ("+00:00", False), ("Etc/Unknown", False)])
async def test_a_reader_is_offered_their_time_zone_where_it_has_a_name(
    world: World, chromium: Browser, reported: str, is_offered: bool
) -> None:
    async with serving(world) as api, browsing(chromium, api) as page:
        await page.add_init_script(
            f"Intl.DateTimeFormat.prototype.resolvedOptions = () => ({{timeZone: '{reported}'}})"
        )
        await page.goto("/leaderboard?period=week")
        offer = page.get_by_role("link", name="Use my time zone")
        await expect(offer).to_be_visible(visible=is_offered)
        if is_offered:
            await offer.click()
            await expect(page.locator("#board")).to_contain_text(f"Days start at midnight ({reported}).")


async def test_the_incident_is_repaired_with_clicks(world: World, chromium: Browser) -> None:
    await lose_solves(world)
    async with serving(world) as api, browsing(chromium, api) as page:
        await api.create_admin()
        await page.goto("/users/u03")
        await expect(page.locator("#stats .main dd")).to_have_text("0")
        await page.goto("/admin")
        await log_in(page)
        await expect(page).to_have_url(f"{api.address}/admin")
        await page.get_by_role("button", name="Check counts").click()

        await expect(page.locator(".finding")).to_have_text("Audit complete: 15 users would be updated out of 50")
        rows = page.locator("table.updates tbody tr")
        await expect(rows).to_have_count(len(LOST))
        assert await world.value("SELECT problems_solved FROM users WHERE user_id = 'u03'") == 0
        await page.get_by_role("button", name="Repair counts").click()

        await expect(page.locator(".finding")).to_have_text("Backfill complete: 15 users updated out of 50")
        row = rows.filter(has_text="name of u03")
        await expect(row.locator("td").nth(1)).to_have_text("0")
        await expect(row.locator("td").nth(2)).to_have_text("4")
        await row.get_by_role("link").click()
        await expect(page.locator("#stats .main dd")).to_have_text("4")

        await page.goto("/admin")
        await page.get_by_role("button", name="Rebuild").click()
        await expect(page.locator(".finding")).to_contain_text("0 removed")
        await page.goto("/admin/activity")
        await expect(page.locator("main")).to_contain_text("backfill")
        await expect(page.locator("main")).to_contain_text("sync-leaderboard")
    assert await world.differences() == []


async def test_everything_works_without_scripts(world: World, chromium: Browser) -> None:
    await lose_solves(world)
    async with serving(world) as api, browsing(chromium, api, java_script_enabled=False) as page:
        await api.create_admin()
        await page.goto("/leaderboard")
        await expect(page.locator("#board tbody tr")).to_have_count(35)
        await page.get_by_label("Jump to user").fill("u20")
        await page.get_by_role("button", name="Jump").click()
        await expect(page.locator("tr.here")).to_contain_text("u20")
        await page.locator("tr.here a").click()
        await expect(page.locator("#stats .main dd")).to_have_text("1")
        await page.goto("/admin")
        await log_in(page)
        await page.get_by_role("button", name="Check counts").click()
        await expect(page.locator(".finding")).to_contain_text("15 users would be updated", timeout=30_000)
        await page.get_by_role("button", name="Repair counts").click()
        await expect(page.locator(".finding")).to_contain_text("15 users updated", timeout=30_000)


async def test_a_wrong_password_is_refused_and_too_many_lock_the_name(world: World, chromium: Browser) -> None:
    async with serving(world, api_lockout_failures=3) as api, browsing(chromium, api) as page:
        await api.create_admin()
        await page.goto("/admin")
        for _ in range(3):
            await log_in(page, "not the password")
            await expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
        # the right one, of a name that is locked
        await log_in(page)
        await expect(page.get_by_role("alert")).to_contain_text("locked after too many attempts")
        async with world.database() as database:
            await database.execute("UPDATE admin_lockouts SET locked_until = now()")
        await log_in(page)
        await expect(page).to_have_url(f"{api.address}/admin")


async def test_a_session_that_ended_says_so_and_leads_back(world: World, chromium: Browser) -> None:
    async with serving(world) as api, browsing(chromium, api) as page:
        await api.create_admin()
        await page.goto("/admin/lag")
        await log_in(page)
        await expect(page).to_have_url(f"{api.address}/admin/lag")
        async with world.database() as database:
            await database.execute("UPDATE admin_sessions SET expires_at = now()")
        # by itself: the page asks anew every few seconds
        await expect(page.get_by_role("status").first).to_contain_text("session has ended", timeout=30_000)
        await log_in(page)
        await expect(page).to_have_url(f"{api.address}/admin/lag")
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("status").first).to_contain_text("You are logged out")
        assert await world.value("SELECT count(*) FROM admin_sessions WHERE expires_at > now()") == 0


@pytest.mark.parametrize("is_one", [False, True])
async def test_enter_after_a_reason_discards_and_never_retries(world: World, chromium: Browser, is_one: bool) -> None:
    letter, other = await add_dead_letters(world, [solved(str(number), "a", "p") for number in range(2)])
    async with serving(world) as api, browsing(chromium, api, java_script_enabled=False) as page:
        await api.create_admin()
        path = f"/admin/dead-letters{f'/{letter}' if is_one else '?user_id=a'}"
        await page.goto(path)
        await log_in(page)
        await expect(page).to_have_url(f"{api.address}{path}")
        if not is_one:
            await page.get_by_label(f"Dead letter {letter}").check()
        sent: list[str] = []
        page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
        why = page.get_by_label("Reason for discarding")
        await why.press("Enter")  # the browser asks for a reason
        await why.fill("a test of ours")
        await why.press("Enter")
        await expect(page.get_by_role("status").first).to_contain_text("1 dead letter discarded.")
        assert sent == [f"{api.address}/admin/dead-letters/discard"]
        await page.goto(f"/admin/dead-letters/{other}")
        await page.get_by_role("button", name="Retry").click()
        await expect(page.get_by_role("status").first).to_contain_text("Retried: 0 applied, 1 parked")
        discarded = await world.value("SELECT discarded_why FROM dead_letters WHERE dead_letter_id = $1", letter)
        assert discarded == "a test of ours"


ELSEWHERE = "http://prizes.example/"
ATTACK = """<form method="post" action="{address}/admin/jobs"><input name="kind" value="backfill">
<input name="csrf_token" value="{token}"><button>Win a prize</button></form>"""


def answering(html: str) -> Callable[[Route], Awaitable[None]]:
    """Another site, which shows this."""

    async def answer(route: Route) -> None:
        await route.fulfill(body=html, content_type="text/html")

    return answer


async def test_another_site_cannot_make_an_admins_browser_repair(world: World, chromium: Browser) -> None:
    async with serving(world) as api, browsing(chromium, api) as page:
        await api.create_admin()
        await page.goto("/admin")
        await log_in(page)
        token = await page.locator("input[name=csrf_token]").first.input_value()
        for known in ("", token):
            await page.route(ELSEWHERE, answering(ATTACK.format(address=api.address, token=known)))
            await page.goto(ELSEWHERE)
            await page.get_by_role("button").click()
            await page.wait_for_url(f"{api.address}/**")
            await page.unroute_all()
        # our own page, without the token: as a script that got in could try
        await page.goto("/admin")
        status = await page.evaluate(
            "fetch('/admin/jobs', {method: 'POST', body: new URLSearchParams({kind: 'backfill'})}).then(a => a.status)"
        )
        assert status == 403
        assert await world.value("SELECT count(*) FROM admin_jobs") == 0


async def test_without_postgresql_a_page_says_so_and_comes_back_by_itself(
    breakable: World, stack: Stack, chromium: Browser
) -> None:
    world = breakable
    await world.publish([registered("u", username="ada"), solved("1", "u", "p", 1)])
    await world.run_once()
    async with serving(world) as api, browsing(chromium, api) as page:
        stack.postgres.kill()
        found = await page.goto("/users/u")
        assert found
        assert (found.status, bool(await found.header_value("retry-after"))) == (503, True)
        await expect(page.locator("main")).to_contain_text("PostgreSQL does not answer")
        assert "asyncpg" not in await page.content()
        await asyncio.to_thread(stack.postgres.start)
        await expect(page.locator("#stats .main dd")).to_have_text("1", timeout=60_000)


async def test_a_panel_that_is_only_left_open_does_not_keep_its_session(world: World, chromium: Browser) -> None:
    seen = "SELECT last_seen_at < now() - interval '2 minutes' FROM admin_sessions"
    async with serving(world) as api, browsing(chromium, api) as page:
        await api.create_admin()
        await page.goto("/admin/lag")
        await log_in(page)
        await expect(page).to_have_url(f"{api.address}/admin/lag")
        async with world.database() as database:
            await database.execute("UPDATE admin_sessions SET last_seen_at = now() - interval '3 minutes'")
        for _ in range(2):  # it asks by itself
            async with page.expect_response("**/admin/lag", timeout=30_000) as answer:
                pass
            assert (await answer.value).status == 200
        assert await world.value(seen)
        await page.reload()
        assert not await world.value(seen)
