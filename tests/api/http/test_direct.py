"""Direct routes, compared with the same endpoints as plain routes of FastAPI, for any path and any query."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from fastapi.routing import APIRoute
from hypothesis import example, given, settings
from hypothesis import strategies as st

from solve_api.http.direct import DirectRouter
from solve_api.http.error_handlers import add_error_handlers
from solve_api.routes import leaderboard, users

NAMES = ["q", "username", "limit", "cursor", "id", "tz", "period", "around", "friends", "me", "user_id", "LIMIT", "q[]"]
VALUES = [
    *("", "0", "1", "7", "100", "101", "200", "201", "-1", "+5", "%2B5", "1_0", "5.0", "1e1", "%205", "9" * 30),
    *("%EF%BC%97", "%D9%A3", "all", "day", "year", "ALL", "UTC", "Europe/Berlin", "Europe%2fBerlin", "Mars"),
    *("%", "%z", "%00", "%1f", "%7F", "%C2%85", "%FF%FE", "%ED%A0%80", "%F0%9D%84%9E", "é", "\xff"),
    *("None", "null", "true", "ada", "a+b"),
    *("x" * 64, "x" * 65, "x" * 200, "x" * 201, "%C3%A9" * 200, "x" * 1500, "x" * 1501, "x" * 8000, "x" * 8001),
]
names = st.sampled_from(NAMES) | st.sampled_from(NAMES).map(lambda name: f"%{ord(name[0]):02x}{name[1:]}")
values = st.sampled_from(VALUES) | st.text(max_size=9) | st.text(max_size=9).map(quote) | st.integers().map(str)
pairs = st.tuples(names, st.sampled_from(["=", "", "=="]), values).map("".join)
queries = st.lists(pairs, max_size=5).flatmap(
    lambda some: st.sampled_from(["&", "&&", ";", "&="]).map(lambda mark: mark.join(some))
)
paths = st.sampled_from(
    ["/api/users", "/api/user", "/api/user/solves", "/api/leaderboard", "/api/users/", "/api/users/u/solves"]
) | st.text(max_size=201).map(lambda text: f"/api/users/{text}")


def recorded(endpoint: Callable[..., Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    """Takes what the endpoint takes, and answers with that."""

    @wraps(endpoint)
    async def record(**values: Any) -> Response:
        assert isinstance(values.pop("request"), Request)
        return Response(repr(sorted(values.items())))

    return record


def app_of(new_router: Callable[[], APIRouter]) -> FastAPI:
    """The public routes, recorded by routes of such a router."""
    app = FastAPI()
    app.state.stores = "stores"
    for public in (users.router, leaderboard.router):
        made = new_router()
        for route in public.routes:
            assert isinstance(route, APIRoute)
            made.add_api_route(route.path, recorded(route.endpoint), methods=["GET"])
        app.router.routes.extend(made.routes)
    add_error_handlers(app, lambda _request, _problem: None)
    return app


def direct_router() -> DirectRouter:
    return DirectRouter("", "test")


PLAIN, DIRECT = app_of(APIRouter), app_of(direct_router)


async def answer_of(app: FastAPI, path: str, query: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "query_string": query, "headers": []}
    await app(scope | {"scheme": "http", "http_version": "1.1", "raw_path": quote(path).encode()}, receive, send)
    start, *bodies = sent
    return start["status"], start["headers"], b"".join(one["body"] for one in bodies)


@settings(max_examples=600)
@given(paths, queries)
@example("/api/leaderboard", "limit=5&limit=7")
@example("/api/users", "q=é")
@example("/api/users", "q=%C3%A9&é=%")
@example("/api/leaderboard", "limit=many&period=decade&tz=Mars")
@example("/api/users/\x00", f"tz={'x' * 65}")
@example("/api/user", "")
async def test_any_query_is_answered_as_by_fastapi_itself(path: str, query: str) -> None:
    sent = query.encode("latin-1", "ignore") + query.encode("utf-8", "ignore") * (not query.isascii())
    assert await answer_of(DIRECT, path, sent) == await answer_of(PLAIN, path, sent)


async def test_what_is_valid_is_not_left_to_fastapi(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(request: Request) -> Response:
        raise AssertionError(f"left to FastAPI: {request.url}")

    monkeypatch.setattr(APIRoute, "get_route_handler", lambda _self: refuse)
    app = app_of(direct_router)
    for path, query in (
        ("/api/leaderboard", b"limit=7&tz=Europe/Berlin&period=day&around=u"),
        ("/api/user", b"id=.."),
        ("/api/users", b"q=%C3%A9&limit=100"),
        ("/api/users/u/solves", b""),
    ):
        assert (await answer_of(app, path, query))[0] == 200


async def _of_a_list(names: Annotated[list[str], Query(default_factory=list)]) -> Response:
    return Response(str(names))


async def _of_a_header(agent: Annotated[str, Header()]) -> Response:
    return Response(agent)


def _in_a_thread(name: str) -> Response:
    return Response(name)


@pytest.mark.parametrize("endpoint", [_of_a_list, _of_a_header, _in_a_thread])
def test_a_route_that_takes_more_is_refused_when_it_is_made(endpoint: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="a direct route"):
        direct_router().get("/")(endpoint)
