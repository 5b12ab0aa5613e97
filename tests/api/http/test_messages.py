"""Error messages over HTTP: what to do, without commands that need a shell, patterns or other internals."""

from typing import Any

import pytest

from tests.api.served import problem_of, serving
from tests.events import registered
from tests.projector.dead_letters import add_dead_letters
from tests.world import World

LETTERS, TOKENS = "/api/admin/dead-letters", "/api/admin/tokens"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("POST", f"{LETTERS}/discard", {"ids": [1], "why": " "}, 422, "reason-missing"),
        ("POST", f"{LETTERS}/discard", {"ids": [1], "why": "\x1b"}, 422, "reason-missing"),
        ("POST", f"{LETTERS}/discard", {"ids": [99], "why": "a test"}, 404, "dead-letter-unknown"),
        ("POST", f"{LETTERS}/retry", {"ids": [99]}, 404, "dead-letter-unknown"),
        ("POST", f"{LETTERS}/retry", {}, 422, "selector-unclear"),
        ("GET", f"{LETTERS}/99", None, 404, "dead-letter-unknown"),
        ("DELETE", f"{TOKENS}/99", None, 404, "token-unknown"),
    ],
)
async def test_what_to_do_can_be_done_over_http(
    world: World, method: str, path: str, body: dict[str, Any] | None, status: int, kind: str
) -> None:
    await add_dead_letters(world, [registered("u")])
    async with serving(world) as api, api.admin() as admin:
        detail = problem_of(await admin.request(method, path, json=body), status, kind)["detail"]
    assert " --" not in detail
    assert "solve-" not in detail
