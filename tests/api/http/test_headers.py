"""Security headers on every answer, and refused requests that no client of ours sends."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx

from solve_api.app import create_app
from solve_api.pages.assets import asset
from solve_runtime.http.headers import HEADERS
from tests.api.served import serving, settings_of
from tests.world import World

TEMPLATES = Path(__file__).parents[3] / "api" / "solve_api" / "pages" / "templates"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_no_request_hides_in_another_one_and_nothing_is_echoed(world: World) -> None:
    async with serving(world) as api:
        host, port = api.address.removeprefix("http://").split(":")
        lengths = b"Content-Length: 44\r\nTransfer-Encoding: chunked\r\n"
        hidden = b"0\r\n\r\nGET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        for head in (lengths, b"Content-Length: 5\r\nContent-Length: 44\r\n", b"Transfer-Encoding: chunked, x\r\n"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST /api/admin/login HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n" + hidden)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 400"), head
            assert answer.count(b"HTTP/1.1 ") == 1, head
            writer.close()
            await writer.wait_closed()
        for method in ("TRACE", "CONNECT", "TRACK"):
            assert (await api.anybody.request(method, "/livez")).status_code in {400, 405}


def test_the_script_of_the_pages_makes_no_html_code_or_message_of_text_and_keeps_nothing() -> None:
    script = asset("app.js").content.decode()
    dangerous = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\bFunction\(|postMessage|onmessage"
    kept = r"localStorage|sessionStorage|indexedDB|document\.cookie|caches\."
    assert re.findall(f"{dangerous}|{kept}|https?://", script) == []
    pages = {path.name: path.read_text() for path in TEMPLATES.glob("*.html")}
    assert len(pages) > 10
    inline = r"<script(?![^>]*\bsrc=)|\bon\w+=|\bstyle=|javascript:|\|\s*safe\b|autoescape\s+false|https?://"
    assert {name: found for name, text in pages.items() if (found := re.findall(inline, text))} == {}


async def test_a_form_without_end_is_refused_wherever_it_is_read(world: World) -> None:
    async def chunks() -> Any:
        for _ in range(40):
            yield b"csrf_token=" + b"a" * 100 + b"&"

    async with serving(world, api_body_max_bytes=2_000) as api, api.admin() as admin:
        del admin.headers["x-csrf-token"]
        for path in ("/admin/logout", "/admin/login", "/api/admin/logout"):
            found = await admin.post(path, content=chunks(), headers=FORM)
            assert found.status_code == 413, path


async def test_nothing_is_read_beyond_the_limit(world: World) -> None:
    pulled = 0  # so many chunks of the last request

    async def endless() -> Any:
        nonlocal pulled
        pulled = 0
        while pulled < 1_000:
            pulled += 1
            yield b"a" * 100

    app = create_app(world.connection, settings_of(world, api_body_max_bytes=2_000))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for path, kind in (("/api/admin/login", "application/json"), ("/admin/login", FORM["Content-Type"])):
            found = await client.post(path, content=endless(), headers={"Content-Type": kind})
            assert (found.status_code, pulled) == (413, 21)


async def test_every_kind_of_answer_has_every_header(world: World) -> None:
    async with serving(world, api_login_rate="1/hour", api_body_max_bytes=1_024) as api, api.admin() as admin:
        answers = [
            await api.anybody.get("/"),
            await api.anybody.get("/static/app.js"),
            await api.anybody.get("/nothing"),
            await api.anybody.get("/admin"),
            await api.anybody.put("/api/leaderboard"),
            await api.anybody.post("/api/admin/login", json={}),
            await api.anybody.post("/api/admin/login", json={"name": "a", "password": "b"}),
            await api.anybody.post("/api/admin/login", content=b"x" * 2_000),
            await admin.get("/admin"),
            await admin.get("/api/admin/activity"),
            await admin.post("/api/admin/logout", headers={"X-CSRF-Token": "wrong"}),
        ]
        statuses = [one.status_code for one in answers]
        assert statuses == [200, 200, 404, 303, 405, 422, 429, 413, 200, 200, 403]
        for found in answers:
            for name, value in HEADERS.items():
                assert found.headers.get_list(name) == [value], (found.url, name)
            assert found.headers.get_list("cache-control")
        assert {one.headers["cache-control"] for one in answers[-3:]} == {"no-store"}
