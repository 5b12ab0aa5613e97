"""Takes the README's pictures of the demo's pages and writes them to docs/images/."""

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, async_playwright

from bench.processes import running

FOLDER = Path(__file__).parents[1] / "docs" / "images"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
WIDTH = 1100
SAID = re.compile(r"pages: (\S+) .*name: (\S+) +password: (\S+)")
SCROLL_TO_TODAY = "document.querySelectorAll('.from-end').forEach(one => one.scrollLeft = one.scrollWidth)"


async def main() -> None:
    """Exits with a line that says what to install where there is no browser."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        sys.exit("screenshots: no chromium; on Debian: apt-get install chromium fonts-dejavu-core")
    FOLDER.mkdir(exist_ok=True)
    async with _demo() as (address, name, password), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = await browser.new_page(base_url=address, color_scheme="light")
        await _take(page, await _best_profile(page), "profile", height=690)
        await _log_in_and_check_counts(page, name, password)
        await _take(page, "/admin", "admin", height=800)
        await browser.close()


@asynccontextmanager
async def _demo() -> AsyncIterator[tuple[str, ...]]:
    """The demo's pages: address, an admin's name and password."""
    async with running("bench.demo") as process:
        assert process.stdout
        async for line in process.stdout:
            if found := SAID.search(line.decode()):
                break
        else:
            sys.exit("screenshots: the demo ended before its pages were there; its error is above")
        yield found.groups()


async def _best_profile(page: Page) -> str:
    board = await (await page.request.get("/api/leaderboard?limit=1")).json()
    return f"/users/{board['entries'][0]['user_id']}"


async def _log_in_and_check_counts(page: Page, name: str, password: str) -> None:
    """So that the panel shows a check of every count that has just ended."""
    logged_in = await (await page.request.post("/api/admin/login", data={"name": name, "password": password})).json()
    headers = {"X-CSRF-Token": logged_in["csrf_token"]}
    await page.request.post("/api/admin/backfill-problems-solved?dry_run=true", headers=headers)


async def _take(page: Page, path: str, name: str, *, height: int) -> None:
    await page.set_viewport_size({"width": WIDTH, "height": height})
    await page.goto(path)
    await page.evaluate(SCROLL_TO_TODAY)
    await page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    asyncio.run(main())
