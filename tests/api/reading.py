"""Reads pages as a browser without scripts does: text, links and forms, and the content policy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser

import httpx

from tests.api.served import NAME, PASSWORD, Served
from tests.events import registered, solved
from tests.world import World

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"
HOSTILE_ID = "<img src=x onerror=alert(2)>/?#&%2F"
PUBLIC = ("/", "/leaderboard", "/leaderboard?period=week&tz=Asia/Tokyo", "/users/a", "/users/empty", "/search")
PANEL = (
    *("/admin", "/admin/users", "/admin/problems", "/admin/dead-letters"),
    *("/admin/lag", "/admin/activity", "/admin/tokens", "/admin/account"),
)


class Page(HTMLParser):
    """What a browser without a script sees, and what must not be there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.inline: list[str] = []
        self.links: list[str] = []
        self.fields: dict[str, str] = {}
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self._inside = ""
        self._in_line = False
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Counts what the policy forbids, and keeps what is looked at."""
        found = dict(attrs)
        self._inside = tag
        self._in_line &= tag == "bdi"
        self.inline += [name for name in found if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" or (tag == "script" and not found.get("src")) else []
        self.loaded += [found[name] or "" for name in ("src",) if name in found]
        self.loaded += [found["href"] or ""] if tag == "link" else []
        self.links += [found["href"] or ""] if tag == "a" and "href" in found else []
        if tag == "input" and found.get("type") == "hidden":
            self.fields[found["name"] or ""] = found.get("value") or ""
        if "id" in found:
            self.ids.append(found["id"] or "")

    def handle_endtag(self, tag: str) -> None:
        """Text goes on outside."""
        self._inside = ""
        self._in_line &= tag == "bdi"

    def handle_data(self, data: str) -> None:
        """All that is text."""
        if self._inside != "title":
            self.text += data if self._in_line else f" {data}"
            self._in_line = True


def seen(found: httpx.Response, status: int = 200) -> Page:
    """A page that keeps to the policy."""
    assert found.status_code == status, found.text
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in found.headers["content-security-policy"]
    page = Page(found.text)
    assert page.inline == []
    assert all(path.startswith("/static/") for path in page.loaded)
    assert len(page.ids) == len(set(page.ids))
    return page


async def fill(world: World) -> None:
    await world.publish(
        [
            registered("a", username="ada"),
            registered("b", username="ada"),
            registered("h/x", username=HOSTILE),
            registered(HOSTILE_ID, username="plain"),
            registered("empty"),
            solved("1", "a", "p1", 1, language="cpp", contest_id="<i>"),
            solved("2", "a", "p2", 86_400, language="<b>"),
            solved("3", "h/x", "<u>", 2),
            solved("4", HOSTILE_ID, "p", 3),
        ]
    )
    await world.run_once()


@asynccontextmanager
async def browser(api: Served, *, create: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who has logged in with the form."""
    if create:
        await api.create_admin()
    async with api.client(Accept="text/html") as client:
        found = await client.post("/admin/login", data={"name": NAME, "password": PASSWORD})
        assert (found.status_code, found.headers["location"]) == (303, "/admin")
        yield client


async def sent(client: httpx.AsyncClient, page: str, path: str, **fields: object) -> httpx.Response:
    """A form of a page, with the token that the page has."""
    token = seen(await client.get(page)).fields["csrf_token"]
    return await client.post(path, data={"csrf_token": token, **fields})
