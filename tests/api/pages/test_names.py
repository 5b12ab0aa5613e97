"""Names that cannot lie: isolated wherever a page shows them, never invisible, and with a page whatever the id."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from unicodedata import bidirectional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.async_api import Browser, expect

from solve_api.pages.formats import user_path
from solve_api.pages.names import bdi, is_visible, isolated, naming, quoting, shown_name
from tests.api.pages.test_browser import browsing
from tests.api.reading import browser
from tests.api.served import Served, serving
from tests.events import registered, solved
from tests.projector.dead_letters import add_dead_letters
from tests.world import World

INVISIBLE = (
    "\u200b\u200b", "\u00a0", " ", "\u3000", "\u202e", "\u2060\ufeff", "\u00ad", "\u3164", "\u115f\u1160", "\uffa0",
    "\u2800", "\ufe0f", "\u180b", "\U000e0041\U000e0042", "\u0301\u0301", "\u20dd", "\u2028\u2029", "\ufffc", "\u2400",
    "\u034f", "\U000e0100", "\U0001d159", "\u17b4", "\u061c",
)  # fmt: skip
VISIBLE = ("a", "\u0645", "👩‍👩‍👧", "🏳️‍🌈", "Jose\u0301", "-", "0", "\u200ba", "漢", "⠁")
IDS = (".", "..", "../../admin", "a/../b", "a/./b", "/a", "a/", "a//b", "a\\..\\b", "a/b", "a?b#c", "100%", "%2e%2e",
       "%2F", " lead ", "a+b", "ab;c", "u,v", "a\\b", "é/ü", "by-id", "\u202e", "a&b=c", "\U0001f600")  # fmt: skip
# each would turn or swallow what follows, if it could leave its isolate
HOSTILE = ("\u202e", "\u2067", "\u05d0\u2067", "\u2069\u202e", "\u2029\u202e", "\u2028\u2067", "\u2069\u2069\u2067")
MARK = "\u202emark"
SHOWN_ATTRIBUTES = {"title", "aria-label", "data-announce", "alt", "placeholder", "content"}


@pytest.mark.parametrize("name", INVISIBLE)
def test_a_name_that_nobody_sees_is_shown_as_the_id(name: str) -> None:
    assert not is_visible(name)
    assert shown_name(name, "u-1") == "u-1"
    assert bdi(shown_name(name, name)).startswith("<bdi>\\")  # an id of that kind is spelled


@pytest.mark.parametrize("name", VISIBLE)
def test_a_name_that_can_be_seen_is_shown(name: str) -> None:
    assert shown_name(name, "u-1") == name


@given(st.text(st.sampled_from("a \u05d0\u202a\u202e\u202c\u2066\u2067\u2068\u2069\u2028\u2029"), max_size=200))
def test_whatever_a_name_is_the_isolate_around_it_ends_with_it(name: str) -> None:
    shown = isolated(name)
    depth = 0
    for place, one in enumerate(shown):
        depth += (one in "\u2066\u2067\u2068") - (one == "\u2069")
        assert bidirectional(one) != "B"
        assert depth > 0 or place == len(shown) - 1
    assert depth == 0


def test_a_sentence_isolates_what_it_quotes_and_spells_what_would_turn_it() -> None:
    assert naming("There is no <b>", ("<b>",)) == "There is no <bdi>&lt;b&gt;</bdi>"
    assert naming("amp & bdi", ("bdi", "amp")) == "<bdi>amp</bdi> &amp; <bdi>bdi</bdi>"
    assert naming("nothing \u202eis quoted", ()) == "nothing \\u202eis quoted"
    assert quoting('{"a":"\u202e"}') == "<bdi>{&#34;a&#34;:&#34;\\u202e&#34;}</bdi>"


class Marks(HTMLParser):
    """Where a page shows the mark, and whether it is isolated there."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self.seen = 0
        self.wrong: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        for name, value in attrs:
            if name in SHOWN_ATTRIBUTES and value:
                self._judge(value, f"<{tag} {name}>", in_bdi=False)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self._judge(data, "/".join(self._open), in_bdi="bdi" in self._open)

    def _judge(self, text: str, where: str, *, in_bdi: bool) -> None:
        if "mark" in text:
            self.seen += 1
            if not in_bdi and not re.search("\u2068[^\u2069]*mark", text) and "\\u202emark" not in text:
                self.wrong.append(f"{where}: {text!r}")


async def fill(world: World) -> None:
    await world.publish([registered(MARK, username=f"{MARK} of a user"), registered("b")])
    for number, user in enumerate((MARK, "b")):
        await world.publish([solved(f"s{number}", user, MARK, language=MARK, contest_id=MARK)])
    await world.run_once()
    await add_dead_letters(world, [solved("lost", MARK, MARK)])


def pages(letter: int, job: str) -> Iterator[str]:
    """Every page that shows a name or an id of somebody."""
    yield from ("/", "/leaderboard", f"/leaderboard?friends={MARK},x{MARK}")
    yield from (f"/leaderboard?around={MARK}", f"/search?q={MARK}", f"/search?q=x{MARK}")
    yield from (f"/users/{MARK}", f"/users/x{MARK}", f"/leaderboard?around=x{MARK}")
    yield from (
        "/admin",
        "/admin/activity",
        "/admin/dead-letters?with_discarded=true",
        f"/admin/dead-letters/{letter}",
        job,
    )
    yield from ("/admin/tokens", "/admin/lag", f"/admin/dead-letters?with_discarded=true&user_id={MARK}")


async def test_every_page_isolates_every_name_and_id(world: World) -> None:
    await fill(world)
    async with serving(world) as api, browser(api) as person, world.database() as database:
        await database.execute("UPDATE users SET problems_solved = 7 WHERE user_id = $1", MARK)
        await database.execute("UPDATE dead_letters SET detail = $1, discarded_at = now(), discarded_by = $1,"
                               " discarded_why = $1", f"no {MARK}")  # fmt: skip
        letter = await world.value("SELECT min(dead_letter_id) FROM dead_letters")
        await database.execute(
            "INSERT INTO admin_audit (who, via, action, detail, result) VALUES ($1, $1, 'a', $2, 'done')",
            MARK,
            f'{{"{MARK}": "{MARK}"}}',
        )
        await database.execute(
            "INSERT INTO admin_jobs (job_id, kind, dry_run, started_by)"
            " VALUES (gen_random_uuid(), 'backfill', true, $1)",
            MARK,
        )
        await database.execute(
            "INSERT INTO admin_tokens (token_hash, admin_id, label, scopes, expires_at)"
            " SELECT '\\x00', admin_id, $1, '{read}', now() + interval '1 day' FROM admins",
            MARK,
        )
        job = await check(api)
        for path in pages(letter, job):
            found = Marks((await person.get(path)).text)
            assert found.wrong == [], path
            assert found.seen or path.startswith("/admin/lag"), path


async def check(api: Served) -> str:
    """The page of a job that found a wrong count."""
    async with api.admin(create=False) as admin:
        found = await admin.post("/api/admin/backfill-problems-solved", params={"dry_run": "true"})
        assert found.json()["users_updated"] == 1
        jobs = (await admin.get("/api/admin/jobs")).json()["jobs"]
        return next(f"/admin/jobs/{one['job_id']}" for one in jobs if one["state"] == "done")


async def test_a_name_turns_nothing_beside_it_in_a_browser(world: World, chromium: Browser) -> None:
    users = [f"user-{number}" for number in range(len(HOSTILE))]
    for user, name in zip(users, HOSTILE, strict=True):
        await world.publish([registered(user, username=f"{name}abc"), solved(user, user, "p")])
    await world.publish([registered("plain", username="abc"), solved("plain", "plain", "p")])
    await world.run_once()
    async with serving(world) as api, browsing(chromium, api) as page:
        await page.goto("/leaderboard")
        rows = page.locator("#board tbody tr")
        await expect(rows).to_have_count(len(HOSTILE) + 1)
        assert await page.evaluate(ORDER) == []
        await page.goto("/users/user-0")
        assert await page.title() == "\u2068\u202eabc\u2069 · Solve counts"


# ids whose letters do not stand from left to right, and after the name
ORDER = """() => [...document.querySelectorAll('#board .id')].filter((id) => {
  const letters = id.querySelector('bdi').firstChild, range = document.createRange();
  const places = [...letters.data].map((_, at) => {
    range.setStart(letters, at); range.setEnd(letters, at + 1);
    return range.getBoundingClientRect().x;
  });
  const name = id.closest('td').querySelector('.name').getBoundingClientRect();
  return places.some((x, at) => x < name.x || (at && x <= places[at - 1]));
}).map((id) => id.textContent)"""


async def test_every_id_has_a_page_that_a_browser_reaches_by_its_links(world: World, chromium: Browser) -> None:
    for number, user in enumerate(IDS):
        await world.publish([registered(user, username=f"n{number}"), solved(f"s{number}", user, "p", number)])
    await world.run_once()
    async with serving(world) as api, browsing(chromium, api) as page:
        await page.goto("/leaderboard")
        links = page.locator("#board a.name")
        await expect(links).to_have_count(len(IDS))
        for number, user in enumerate(IDS):
            await page.goto("/leaderboard")
            await page.get_by_role("link", name=f"n{number}", exact=True).click()
            await expect(page.locator("h1")).to_have_text(f"n{number}")
            assert (
                await page.evaluate("new URLSearchParams(document.body.dataset.events.split('?')[1]).get('user_id')")
                == user
            )
            await page.get_by_role("link", name=str(number + 1), exact=True).first.click()  # the rank
            await expect(page.locator("tr.here")).to_contain_text(f"n{number}")
            answered = await page.evaluate("(path) => fetch(path).then((a) => a.json())", f"/api{user_path(user)}")
            assert answered["user_id"] == user
            assert (
                await page.evaluate(
                    "(u) => fetch('/search?' + new URLSearchParams({q: u})).then((a) => a.text())", user
                )
            ).count(f">n{number}<")
            await page.goto("/leaderboard")
            await page.get_by_label("Jump to user").fill(user)
            await page.get_by_role("button", name="Jump").click()
            await expect(page.locator("tr.here")).to_contain_text(f"n{number}")
