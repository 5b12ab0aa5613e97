"""Invalid parameters and bodies: what a person reads about each of them, without patterns, quotes of types or reprs."""

import re

from tests.api.reading import seen
from tests.api.served import problem_of, serving
from tests.world import World

INTERNALS = re.compile(
    r"\^|\$|\\[dx]|\[\^|<class|\bstr\b|\bint\b|pydantic|string_|Input should|String should|Value error"
)
LONG = "x" * 201


PARAMETERS: dict[str, str | None] = {
    "/api/users/%00": "user_id may not contain control characters.",
    f"/api/users/{LONG}": "user_id must have at most 200 characters.",
    "/api/users": "Use one of q and username; a cursor belongs to its q.",
    "/api/users?q=%00": "q may not contain control characters.",
    f"/api/users?q={LONG}": "q must have at most 200 characters.",
    "/api/users?q=%20": "q must have a character that is not a space.",
    "/api/users?username=": "username must have at least 1 character.",
    "/api/users?username=a%1Fb": "username may not contain control characters.",
    "/api/users?username=a&limit=0": "limit must be at least 1.",
    "/api/users/u?tz=Mars": "tz must be a time zone of the IANA database, such as UTC or Europe/Berlin.",
    f"/api/users/u?tz={LONG}": "tz must have at most 64 characters.",
    "/api/leaderboard?limit=many": "limit must be a whole number.",
    "/api/leaderboard?limit=201": "limit must be at most 200.",
    "/api/leaderboard?period=decade": "period must be all, day, week, month or year.",
    "/api/leaderboard?cursor=": "cursor must have at least 1 character.",
    "/api/leaderboard?cursor=%00": (
        "This cursor is not valid; use next_cursor or previous_cursor of a page, or leave it out."
    ),
    "/api/leaderboard?around=%00": "around may not contain control characters.",
    "/api/leaderboard?me=%C2%85": "me may not contain control characters.",
    "/api/leaderboard?friends=a%00,b": (
        "friends takes 1 to 200 user ids separated by commas, each with up to 200 characters and no control characters."
    ),
    "/api/leaderboard?friends=" + "x" * 8_001: "friends must have at most 8000 characters.",
    "/api/events?user_id=a%00": "user_id[0] may not contain control characters.",
    "/api/events?board=perhaps": "board must be true or false.",
    "/api/admin/dead-letters?reason=none": None,
    "/api/admin/dead-letters?partition=-1": "partition must be at least 0.",
    "/api/admin/jobs/7": "job_id must be a UUID such as 7f9c24e8-3b12-4fef-91e0-5b1b5c6f9a11.",
    "/api/admin/activity?before_id=1e3": "before_id must be a whole number.",
    "/leaderboard?limit=1&period=x": "period must be all, day, week, month or year.",
    "/leaderboard?find=%07": "find may not contain control characters.",
    "/search?q=%00": "q may not contain control characters.",
    "/search?username=%00": "username may not contain control characters.",
    "/users/a%07b": "user_id may not contain control characters.",
    "/admin/dead-letters?user_id=%00": "user_id may not contain control characters.",
    "/admin/jobs/7": "job_id must be a UUID such as 7f9c24e8-3b12-4fef-91e0-5b1b5c6f9a11.",
}


async def test_a_bad_parameter_is_explained_in_plain_english(world: World) -> None:
    async with serving(world) as api, api.admin() as admin:
        for path, detail in PARAMETERS.items():
            found = await admin.get(path)
            if path.startswith("/api/"):
                text = problem_of(found, 422, found.json()["type"].rpartition(":")[2])["detail"]
            else:
                text = seen(found, 422).text
            assert not INTERNALS.search(text), path
            assert detail is None or detail in text, path


BODIES: list[tuple[str, bytes, str]] = [
    ("login", b"{", "the body is not valid JSON."),
    ("login", b"", "the body is required."),
    ("login", b"[]", "the body must be a JSON object."),
    ("login", b"{}", "name is required."),
    ("login", b'{"name": 7, "password": "x"}', "name must be text."),
    ("login", b'{"name": "a", "password": "x", "admin": true}', "admin is not a known field; remove it."),
    (
        "tokens",
        b'{"label": "a\\u0007", "scopes": ["read"], "password": "x"}',
        "label may only contain printable characters.",
    ),
    ("tokens", b'{"label": "a", "scopes": [], "password": "x"}', "scopes must have at least 1 item."),
    (
        "tokens",
        b'{"label": "a", "scopes": ["all"], "password": "x"}',
        "scopes[0] must be read, repair, dead-letters or facts.",
    ),
    ("tokens", b'{"label": "a", "scopes": ["read"], "days": "7", "password": "x"}', "days must be a whole number."),
    ("sessions/end", b'{"session_ids": ["7"], "password": "x"}', "session_ids[0] does not have the right form."),
    ("dead-letters/retry", b'{"user_id": "a\\u0000"}', "user_id may not contain control characters."),
    ("dead-letters/retry", b'{"ids": [1, true]}', "ids[1] must be a whole number."),
    ("dead-letters/retry", b'{"all": 1}', "all must be true or false."),
    ("dead-letters/discard", b'{"ids": [0], "why": "x"}', "ids[0] must be at least 1."),
]


async def test_a_bad_body_is_explained_in_plain_english(world: World) -> None:
    async with serving(world) as api, api.admin() as admin:
        for path, body, detail in BODIES:
            found = await admin.post(f"/api/admin/{path}", content=body, headers={"Content-Type": "application/json"})
            problem = problem_of(found, 422, "invalid-request")
            assert problem["detail"] == detail, body
            assert not INTERNALS.search(str(problem["errors"])), body
