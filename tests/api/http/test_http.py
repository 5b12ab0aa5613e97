"""Rules that every answer of the API follows: headers, errors, sizes, rates and entity tags."""

import asyncio
from contextlib import suppress
from typing import NoReturn
from uuid import UUID, uuid4

import httpx
import pytest

from solve_api import database as database_module
from solve_api.database import Readiness
from solve_api.http.headers import TLS_HEADERS, HeadAsGet, SecurityHeaders
from solve_api.operations.jobs import Jobs
from solve_runtime.http.headers import HEADERS
from tests.api.served import problem_of, serving
from tests.events import registered, solved
from tests.world import World


async def test_a_profile_over_http_and_its_entity_tag(world: World) -> None:
    await world.publish([registered("a/b ü", username="ada"), solved("1", "a/b ü", "p", 5, language="cpp")])
    await world.run_once()
    async with serving(world) as api:
        path = "/api/users/a%2Fb%20%C3%BC"
        found = await api.anybody.get(path)
        body = found.json()
        assert (body["user_id"], body["problems_solved"], body["rank"]) == ("a/b ü", 1, 1)
        assert body["last_solved_at"] == "2026-01-01T00:00:05Z"
        assert body["languages"] == [{"language": "cpp", "solved": 1}]
        assert found.headers["cache-control"] == "no-cache"
        known = {"If-None-Match": found.headers["etag"]}
        again = await api.anybody.get(path, headers=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", found.headers["etag"])
        for said in ("*", f'"other", {found.headers["etag"]}', found.headers["etag"].removeprefix("W/")):
            assert (await api.anybody.get(path, headers={"If-None-Match": said})).status_code == 304, said
        await world.publish([solved("2", "a/b ü", "q", 6)])
        await world.run_once()
        newer = await api.anybody.get(path, headers=known)
        assert (newer.status_code, newer.json()["problems_solved"]) == (200, 2)


async def test_names_are_not_unique_so_a_lookup_is_a_list(world: World) -> None:
    await world.publish([registered("1", username="ada"), registered("2", username="ada"), solved("s", "2", "p", 1)])
    await world.run_once()
    async with serving(world) as api:
        both = await api.get("/api/users", params={"username": "ada"})
        assert [one["user_id"] for one in both["users"]] == ["2", "1"]
        assert (await api.get("/api/users", params={"username": "Ada"}))["users"] == []
        first = await api.get("/api/users", params={"username": "ada", "limit": 1})
        assert (len(first["users"]), first["more"]) == (1, True)


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/api/users/nobody", 404, "user-unknown"),
        ("/api/users/%00", 422, "invalid-request"),
        ("/api/users", 422, "question-unclear"),
        ("/api/users?q=a&username=a", 422, "question-unclear"),
        ("/api/users?username=a&cursor=zzz", 422, "question-unclear"),
        ("/api/users?q=%20%E3%80%80", 422, "search-empty"),
        ("/api/users?q=a&cursor=zzz", 422, "cursor-refused"),
        ("/api/users/u/solves?cursor=zzz", 422, "cursor-refused"),
        ("/api/users/nobody/solves", 404, "user-unknown"),
        ("/api/user/solves?id=..", 404, "user-unknown"),
        ("/api/users/u?tz=Nowhere/Else", 422, "timezone-unknown"),
        ("/api/leaderboard?cursor=zzz", 422, "cursor-refused"),
        ("/api/leaderboard?around=u&friends=u", 422, "question-unclear"),
        ("/api/leaderboard?around=nobody", 404, "user-unknown"),
        ("/api/leaderboard?me=nobody", 404, "user-unknown"),
        ("/api/leaderboard?friends=,", 422, "friends-unclear"),
        ("/api/leaderboard?limit=1000", 422, "invalid-request"),
        ("/api/leaderboard?period=decade", 422, "invalid-request"),
        ("/api/admin/lag", 401, "login-required"),
        ("/api/admin/backfill-problems-solved", 405, "method-not-allowed"),
        ("/api/nothing", 404, "not-found"),
    ],
)
async def test_errors_are_problem_details_that_say_what_to_do(world: World, path: str, status: int, kind: str) -> None:
    async with serving(world) as api:
        found = await api.anybody.get(path)
        problem_of(found, status, kind)
        assert found.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("user_id", ["a\u00a0b", "\u2007a", "\U0001f469\u200d\U0001f680", "\ue000"])
async def test_whoever_the_log_can_name_can_be_a_friend(world: World, user_id: str) -> None:
    await world.publish([registered(user_id), solved("1", user_id, "p", 1)])
    await world.run_once()
    async with serving(world) as api:
        found = await api.get("/api/leaderboard", params={"friends": f" {user_id} ,b"})
        assert [one["user_id"] for one in found["entries"]] == [user_id]
        problem_of(await api.anybody.get("/api/leaderboard?friends=a%00"), 422, "friends-unclear")
        problem_of(await api.anybody.get("/api/leaderboard?friends=a%0A"), 422, "friends-unclear")


async def test_a_method_that_a_path_does_not_take_is_answered_with_all_that_it_takes(world: World) -> None:
    async with serving(world) as api:
        found = await api.anybody.put("/api/admin/tokens")
        problem_of(found, 405, "method-not-allowed")
        assert found.headers["allow"] == "GET, POST"
        assert (await api.anybody.get("/api/admin/dead-letters/retry")).headers["allow"] == "POST"


async def test_head_is_get_without_the_body(world: World) -> None:
    async with serving(world) as api:
        for path in ("/api/leaderboard", "/api/users/nobody", "/livez", "/", "/leaderboard"):
            got, head = await api.anybody.get(path), await api.anybody.head(path)
            assert (head.status_code, head.content) == (got.status_code, b""), path
            assert head.headers["content-type"] == got.headers["content-type"]
        assert (await api.anybody.head("/api/events?board=true")).status_code == 405


async def test_every_answer_has_its_request_id_and_the_headers_of_safety(world: World) -> None:
    async with serving(world) as api:
        for path in ("/api/leaderboard", "/api/users/nobody", "/api/admin/session", "/api/openapi.json"):
            found = await api.anybody.get(path, headers={"X-Request-ID": "a-client.7"})
            assert found.headers["x-request-id"] == "a-client.7"
            assert "default-src 'none'" in found.headers["content-security-policy"]
            assert "unsafe" not in found.headers["content-security-policy"]
            assert found.headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in found.headers
            assert "server" not in found.headers
        forged = await api.anybody.get("/api/leaderboard", headers={"X-Request-ID": "a b\tc"})
        assert forged.headers["x-request-id"] not in {"a b\tc", ""}


async def test_an_error_that_nobody_foresaw_says_nothing_but_has_its_id_in_the_log(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: Jobs, job_id: UUID) -> NoReturn:
        raise TypeError("of pydantic")

    monkeypatch.setattr(Jobs, "state", fails)
    async with serving(world) as api, api.admin() as admin:
        capsys.readouterr()
        found = await admin.get(f"/api/admin/jobs/{uuid4()}", headers={"X-Request-ID": "the-id-of-this"})
        problem_of(found, 500, "internal-error")
        assert found.headers["x-request-id"] == "the-id-of-this"
        assert "default-src 'none'" in found.headers["content-security-policy"]
        assert "pydantic" not in found.text
        (said,) = [line for line in capsys.readouterr().out.splitlines() if "request_failed" in line]
        assert "request_id=the-id-of-this" in said


@pytest.mark.parametrize("layer", [HeadAsGet, SecurityHeaders])
async def test_an_error_over_tls_has_the_headers_of_tls(
    world: World, monkeypatch: pytest.MonkeyPatch, layer: type
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("not foreseen")

    async with serving(world, api_trusted_proxies=("127.0.0.1",)) as api:
        with monkeypatch.context() as patch:
            patch.setattr(layer, "__call__", broken)
            plain = await api.anybody.get("/livez")
            tls = await api.anybody.get("/livez", headers={"X-Forwarded-Proto": "https"})
        for found, wanted in ((plain, HEADERS), (tls, HEADERS | TLS_HEADERS)):
            problem_of(found, 500, "internal-error")
            assert {name: found.headers.get(name) for name in HEADERS | TLS_HEADERS} == {
                name: wanted.get(name) for name in HEADERS | TLS_HEADERS
            }


async def test_other_sites_may_read_where_it_is_set_and_there_alone(world: World) -> None:
    ours = {"Origin": "https://judge.example"}
    async with serving(world, api_cors_origins=("https://judge.example",)) as api:
        found = await api.anybody.get("/api/leaderboard", headers=ours)
        assert found.headers["access-control-allow-origin"] == "https://judge.example"
        assert "access-control-allow-credentials" not in found.headers
        other = await api.anybody.get("/api/leaderboard", headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers
        asked = ours | {"Access-Control-Request-Method": "POST"}
        assert (await api.anybody.options("/api/leaderboard", headers=asked)).status_code == 400


async def test_long_answers_are_compressed(world: World) -> None:
    await world.publish([registered(f"u{number}") for number in range(60)])
    await world.publish([solved(f"s{number}", f"u{number}", "p", number) for number in range(60)])
    await world.run_once()
    async with serving(world) as api:
        found = await api.anybody.get("/api/leaderboard", headers={"Accept-Encoding": "gzip"})
        assert found.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in found.headers["vary"].lower()
        plain = await api.anybody.get("/api/leaderboard", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.json()["entries"] == found.json()["entries"]


async def test_too_many_requests_are_refused_with_a_time_to_retry(world: World) -> None:
    async with serving(world, api_read_rate="3/minute") as api:
        statuses = [(await api.anybody.get("/api/leaderboard")).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        found = await api.anybody.get("/api/users/u")
        problem_of(found, 429, "too-many-requests")
        assert 1 <= int(found.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/openapi.json", 200),
        ("GET", "/readyz", 200),
        ("GET", "/static/app.css", 200),
        ("HEAD", "/static/nothing.css", 404),
        ("GET", "/nothing", 404),
        ("GET", "/api/users/nobody", 404),
        ("GET", "/admin", 303),
        ("GET", "/admin/", 404),
        ("PUT", "/api/leaderboard", 405),
        ("GET", "/api/leaderboard?limit=x", 422),
        ("GET", "/api/admin/lag", 401),
        ("POST", "/admin/login", 400),
        ("POST", "/api/admin/login", 413),
        ("OPTIONS", "/api/leaderboard", 200),
    ],
)
async def test_whatever_is_answered_counts(world: World, method: str, path: str, status: int) -> None:
    headers = {"Origin": "https://judge.example", "Access-Control-Request-Method": "GET"} if method == "OPTIONS" else {}
    if status == 400:  # a form of several parts without a boundary
        headers["Content-Type"] = "multipart/form-data"
    content = b"a" * 2_000 if status == 413 else b""
    async with serving(
        world, api_read_rate="3/hour", api_body_max_bytes=1_024, api_cors_origins=("https://judge.example",)
    ) as api:
        answers = [await api.anybody.request(method, path, headers=headers, content=content) for _ in range(4)]
        assert [one.status_code for one in answers] == [status] * 3 + [429]
        if method != "HEAD" and not path.startswith("/admin"):  # those are pages
            problem_of(answers[3], 429, "too-many-requests")
        assert 1 <= int(answers[3].headers["retry-after"]) <= 3_600
        assert "default-src 'none'" in answers[3].headers["content-security-policy"]
        assert {(await api.anybody.get("/livez")).status_code for _ in range(5)} == {200}
        # many visitors may share the address of whoever asks whether this process is ready
        assert (await api.anybody.get("/readyz")).status_code == (429 if path == "/readyz" else 200)


async def test_whether_a_process_is_ready_is_asked_once_for_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    plain = Readiness._ask

    async def ask(self: Readiness) -> None:
        nonlocal asked
        asked += 1
        await plain(self)

    monkeypatch.setattr(Readiness, "_ask", ask)
    monkeypatch.setattr(database_module, "READY_FOR_S", 3_600)
    async with serving(world) as api:
        found = await asyncio.gather(*(api.anybody.get("/readyz") for _ in range(20)))
        assert {one.status_code for one in found} == {200}
        assert asked == 1
        monkeypatch.setattr(database_module, "READY_FOR_S", 0)
        await api.get("/readyz")
        assert asked == 2


@pytest.mark.parametrize("said", [True, False], ids=["with a length", "in chunks"])
async def test_a_body_that_is_too_large_is_refused(world: World, said: bool) -> None:
    async with serving(world, api_body_max_bytes=2_000) as api:
        body = b'{"name": "' + b"a" * 3_000 + b'"}'

        async def chunks():  # type: ignore[no-untyped-def]
            yield body

        found = await api.anybody.post(
            "/api/admin/login", content=body if said else chunks(), headers={"Content-Type": "application/json"}
        )
        problem_of(found, 413, "body-too-large")


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        (b"NONSENSE\r\n\r\n", 400, "bad-request"),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n", 431, "head-too-large"),
    ],
    ids=["no HTTP", "a head that is too large"],
)
async def test_what_never_becomes_a_request_is_answered_in_our_words(
    world: World, sent: bytes, status: int, kind: str
) -> None:
    async with serving(world) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(api.address.rpartition(":")[2]))
        writer.write(sent)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    status_line, *fields = head.decode().split("\r\n")
    assert status_line.startswith(f"HTTP/1.1 {status} ")
    headers = dict(field.split(": ", 1) for field in fields)
    problem_of(httpx.Response(status, headers=headers, content=body), status, kind)
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("where", ["a head", "trailers"])
async def test_a_head_without_end_is_cut_off(world: World, where: str) -> None:
    begin = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
    if where == "trailers":
        begin += b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    async with serving(world) as api:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(api.address.rpartition(":")[2]))
        writer.write(begin)
        with suppress(ConnectionError):
            for number in range(2_000):
                writer.write(b"X-%d: %s\r\n" % (number, b"a" * 8_000))
                await writer.drain()
        assert writer.transport.is_closing() or reader.at_eof(), "16 MB of fields were taken"
        writer.close()
        assert (await api.get("/livez")) == {"status": "alive"}
