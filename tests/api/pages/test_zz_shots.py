from pathlib import Path
from tests.api.pages.test_looks import fill, check_counts, PUBLIC, PANEL
from tests.api.pages.test_browser import browsing, log_in
from tests.api.served import serving

async def test_shots(world, chromium):
    names = await fill(world)
    out = Path("/tmp/h5w/shots"); out.mkdir(exist_ok=True)
    async with serving(world) as api, browsing(chromium, api, viewport={"width": 1200, "height": 800}) as page:
        names["job"] = await check_counts(api)
        for n, path in enumerate(["/admin/login", *PUBLIC, "/search?username=Ada", *PANEL]):
            if path == PANEL[0]:
                await page.goto("/admin"); await log_in(page)
            await page.goto(path.format(**names))
            if path == "/admin/lag": await page.wait_for_timeout(5000)
            await page.screenshot(path=out / f"{n:02}.png", full_page=True)
            (out / f"{n:02}.txt").write_text(path + "\n" + await page.inner_text("body"))
