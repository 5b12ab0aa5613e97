"""The hostile road: events, names and requests of an attacker, through the started product to each page."""

import asyncio
import json
import re
from urllib.parse import quote, urlsplit

import httpx

from tests.api.cli.test_serve import served
from tests.events import registered, solved
from tests.test_command_lines import run_all
from tests.world import World

# ids and names that the schema lets through
OUTSIDERS = (
    "[/x] closing", "[bold green]two-sum", "[link=file:///etc]x", "[red", "]][[", "\\[x]", ":smile:",
    "<script>alert(1)</script>", "'\"><img src=x onerror=alert(1)>", "{{7*7}}", "${7*7}", "{0.__class__}", "%s%n%d",
    "' OR 1=1 --", "'; DROP TABLE users; --", "=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1", "$(reboot)", "`id`",
    "a?b", "a%3Fb", "a%253Fb", "a#b", "a&b=c", "a/b", "a%2Fb", "../../admin", "..", ".", "%00", "%0d%0aSet-Cookie: x=1",
    "\u202egnp.exe", "\u2066x\u2069", "a\u2028b", "\ufeffa", "\u200b", "👩‍👩‍👧", "ﷺ" * 60, "e" + "\u0301" * 150,
    "me", "by-id", "null", "None", "true", "0", "-0", "1e9", "NaN", "__proto__", "constructor", "a" * 200,
)  # fmt: skip
# values that the schema refuses; each becomes a dead letter that people read
REFUSED = (
    {"user_id": "\x1b]0;PWNED\x07"},
    {"user_id": "u\x00"},
    {"problem_id": "\x9b31mred"},
    {"problem_id": "p" * 5_000},
    {"user_id": ["[/x]"]},
    {"user_id": {"$ne": None}},
    {"submitted_at": "\x1b[2J[/x]"},
    {"submission_id": 10**400},
)
PATHS = (
    "/", "/?tz=%1b%5D0%3BPWNED%07", "/?period=%5B%2Fx%5D", "/api/users/%1b%5D0;PWNED%07", "/api/users/%C2%9B31m",
    "/api/users/%E2%80%AEx", "/api/users/%00", "/api/users/%ff%fe", "/api/users/" + "a" * 20_000, "/user?id=%1b%5B2J",
    "/api/leaderboard?limit=9999999999999999999999", "/api/leaderboard?cursor=%1b%5B2J", "/api/leaderboard?cursor=AAAA",
    "/api/leaderboard?limit=-1", "/api/leaderboard?as_of=0000-00-00", "/api/leaderboard?tz=../../etc/passwd",
    "/api/admin/jobs/%1b%5D0;PWNED%07", "/api/admin/jobs/" + "9" * 5_000, "/admin/", "/admin/login?next=//evil.example",
    "/admin/login?next=https:evil.example", "/..%2f..%2fetc%2fpasswd", "/static/..%2f..%2fsettings.py",
    "//evil.example/",
    "/%0d%0aX-Injected:%20yes", "/api/users?name=%5B%2Fx%5D", "/compare?user=a&user=" + "&user=".join("bcdefgh" * 30),
)  # fmt: skip
COMMANDS = (
    (["solve-projector", "top", "--limit", "100"], 0),
    (["solve-projector", "top", "--limit", "100", "--json"], 0),
    (["solve-projector", "user", "[/x] closing"], 0),
    (["solve-projector", "user", "\u202egnp.exe"], 0),
    (["solve-projector", "user", "\x1b]0;PWNED\x07"], 1),
    (["solve-projector", "replay", "--dry-run"], 3),
    (["solve-projector", "replay", "--user", "[bold green]two-sum"], 0),
    (["solve-projector", "dead-letters", "list"], 0),
    (["solve-projector", "dead-letters", "list", "--json"], 0),
    *((["solve-projector", "dead-letters", "show", str(number + 1)], 0) for number in range(len(REFUSED))),
    (["solve-projector", "dead-letters", "\x1b]0;PWNED\x07"], 2),
    (["solve-projector", "dead-letters", "discard", "1", "--why", "[/x]\x1b[2J", "--by", "[/x]"], 1),
    (["solve-projector", "lag"], 0),
    (["solve-api", "admin", "create", "[/x]\x1b[2J"], 1),
    (["solve-api", "admin", "create", "[x]"], 1),
    (["solve-api", "admin", "activity"], 0),
    (["solve-producer", "publish", "[/x]\x1b[2J.ndjson"], 1),
    (["solve-projector", "replay"], 0),
)
LINE_MAX = 20_000
ISOLATED = re.compile("\u2068[^\u2066-\u2069\n]+\u2069")  # a word from right to left, which nothing beside it follows
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


async def sent_by_outsiders(world: World) -> None:
    """Registers everybody, lets each solve one problem of the same name, and sends what is refused."""
    await world.publish(
        [
            event
            for number, text in enumerate(OUTSIDERS)
            for event in (registered(text, username=text), solved(f"{number}-{text}"[:200], text, text, number))
        ]
    )
    good = {
        "type": "submission.solved.v1", "submission_id": "1", "user_id": "u", "problem_id": "p",
        "submitted_at": "2026-01-01T00:00:00Z", "judged_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    values = [json.dumps(good | one).encode() for one in REFUSED]
    values += [b"\x1b]0;PWNED\x07", b"[/x]", b"[" * 100_000, b"\xff\xfe", b"{}", b"null", b'{"type":"[/x]"}']
    async with world.raw_producer() as producer:
        for value in values:
            headers = [("ce_type\x1b[2J", b"[/x]\x1b[2J"), ("x" * 3_000, b"\xff" * 3_000)]
            await producer.send_and_wait(world.connection.topic, value, key=b"\x1b[2J[/x]", headers=headers)


async def test_nobody_steers_a_program_or_takes_anothers_page(world: World) -> None:
    await sent_by_outsiders(world)
    async with world.process("run", "--once", SOLVE_LOG_LEVEL="DEBUG", SOLVE_LOG_FORMAT="console") as run:
        out, err = await run.output  # type: ignore[attr-defined]
    assert run.returncode == 0
    assert faults_of_text((out + err).decode()) == []
    assert await world.differences() == []
    assert await faults_of_commands(world) == []
    for form in ("console", "json"):
        assert await faults_of_the_api(world, form) == []


def faults_of_text(text: str) -> list[str]:
    """What no program may write, whatever outsiders are called."""
    steering = STEERING.findall(ISOLATED.sub("", text))
    found = [f"wrote {character!r}" for character in sorted(set(steering))]
    found += ["wrote a traceback"] * ("Traceback" in text)
    found += [f"wrote {len(line)} characters: {line[:300]}" for line in text.splitlines() if len(line) > LINE_MAX]
    return found


async def faults_of_commands(world: World) -> list[str]:
    """Every command that shows what outsiders wrote, also on a user whose count somebody changed by hand."""
    async with world.database() as connection:
        await connection.execute("UPDATE users SET problems_solved = 7 WHERE username = '[/x] closing'")
    environment = world.environment | {"SOLVE_LOG_FORMAT": "console"}
    found = []
    ended = await asyncio.to_thread(run_all, environment, [(words, {}) for words, _ in COMMANDS])
    for one, (_, status) in zip(ended, COMMANDS, strict=True):
        faults = [f"status {one.status}"] * (one.status != status) + faults_of_text(one.out + one.err)
        found += [f"{one.command}: {fault}; {one.err[-500:]}" for fault in faults]
    return found


async def faults_of_the_api(world: World, form: str) -> list[str]:
    """The API under the requests of an attacker, and its log."""
    changes = {"SOLVE_LOG_LEVEL": "DEBUG", "SOLVE_LOG_FORMAT": form, "SOLVE_API_READ_RATE": "1000000/second"}
    async with served(world, "--json", **changes) as process:
        assert process.stdout
        assert process.stderr
        address = json.loads(await process.stdout.readline())["url"]
        log = asyncio.create_task(process.stderr.read())
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            found = await faults_of_requests(client) + await faults_of_profiles(client)
            assert (await client.get("/livez")).status_code == 200
        process.terminate()
        return found + faults_of_text((await log).decode())


async def faults_of_requests(client: httpx.AsyncClient) -> list[str]:
    """Every answer is ours: no failure of the server, no foreign address, no header of the attacker's."""
    found = []
    host, port = urlsplit(str(client.base_url)).hostname, urlsplit(str(client.base_url)).port
    for path in PATHS:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
        head = (await reader.read()).partition(b"\r\n\r\n")[0].decode("latin-1")
        writer.close()
        status = head.split(" ", 2)[1:2]
        if not status or status[0] >= "500":
            found.append(f"{path[:80]}: {head[:200]}")
        if "evil.example" in head or "X-Injected" in head or "Set-Cookie: x" in head:
            found.append(f"{path[:80]}: {head}")
        if "x-request-id" not in head.lower():
            found.append(f"{path[:80]}: no request id")
    return found


async def faults_of_profiles(client: httpx.AsyncClient) -> list[str]:
    """Asked for all at once, everybody gets their own profile, by both roads."""

    async def profile(text: str, path: str) -> str | None:
        answer = await client.get(path)
        if answer.status_code != 200 or answer.json()["user_id"] != text or answer.json()["problems_solved"] != 1:
            return f"{text[:30]!r} at {path[:60]}: {answer.status_code} {answer.text[:200]}"
        return None

    roads = [(text, f"/api/user?id={quote(text, safe='')}") for text in OUTSIDERS]
    roads += [(text, f"/api/users/{quote(text, safe='')}") for text in OUTSIDERS if text not in {".", ".."}]
    answers = await asyncio.gather(*(profile(text, path) for text, path in roads * 3))
    return [fault for fault in answers if fault]
