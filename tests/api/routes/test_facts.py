"""Decisions of admins about users and problems: published, recorded, and applied by the projector like any event."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from solve_api.identity.tokens import Scope
from solve_api.operations import facts as facts_module
from solve_api.operations import problem_facts as problems_module
from solve_projector.replay.replaying import ReplayOptions, replay
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.events import UserRegistered
from tests.api.routes.test_operations import audit_of
from tests.api.served import problem_of, serving
from tests.events import at, registered, removed, solved, withdrawn
from tests.producer.topics import records_of
from tests.waiting import until
from tests.world import World

USER, USERS = "/api/admin/user", "/api/admin/users"
PROBLEM, PROBLEMS = "/api/admin/problem", "/api/admin/problems"
WHY = {"reason": "a test"}


async def fill(world: World) -> None:
    """Two users, one of them with a solve; one who was never registered; and one of the site's."""
    await world.publish([registered("ada"), registered("bob", 5), solved("1", "ada", "p", 1), solved("2", "eve", "p")])
    async with world.database() as site:
        await site.execute("INSERT INTO users (user_id, username) VALUES ('site', 'name of site')")
    await world.run_once()


async def decided(client: httpx.AsyncClient, deed: str, user_id: str, **more: Any) -> dict[str, Any]:
    """What was published."""
    found = await client.post(f"{USERS}/{deed}", json={"user_id": user_id, **WHY, **more})
    assert found.status_code == 202, found.text
    body: dict[str, Any] = found.json()
    return body


async def record_of(client: httpx.AsyncClient, user_id: str, place: dict[str, Any] | None = None) -> dict[str, Any]:
    """The record, with whether a place is applied."""
    asked = {name: place[name] for name in ("partition", "offset")} if place else {}
    found = await client.get(USER, params={"id": user_id, **asked})
    assert found.status_code == 200, found.text
    body: dict[str, Any] = found.json()
    return body


async def test_a_decision_is_published_recorded_and_applied_like_any_event(world: World) -> None:
    await fill(world)
    async with serving(world) as api, api.admin() as admin:
        place = await decided(admin, "remove", "ada", erase=True)
        assert (place["type"], place["topic"]) == ("user.removed.v1", world.connection.topic)
        assert (await record_of(admin, "ada", place))["applied"] is False
        assert (await record_of(admin, "ada"))["removed"] is False, "nobody but the projector writes it"
        await world.run_once()
        found = await record_of(admin, "ada", place)
        assert (found["applied"], found["removed"], found["erased"], found["username"]) == (True, True, True, None)
        assert found["removal"] == {"at": place["at"], "reason": "a test"}
        assert found["erased_at"] == place["at"]
        assert (await api.anybody.get("/api/users/ada")).status_code == 410
        sent = (await records_of(world))[-1]
        assert {**sent, "removed_at": ""} == {"user_id": "ada", "removed_at": "", "erase": True, **WHY}
        assert (await audit_of(admin))[1:] == [
            ("ada", "session", "remove-user", "started"),
            ("ada", "session", "remove-user", "done"),
        ]
        (end, *_) = (await admin.get("/api/admin/activity")).json()["activities"]
        named = {name: place[name] for name in ("partition", "offset")}
        assert datetime.fromisoformat(end["detail"].pop("at")) == datetime.fromisoformat(place["at"])
        assert end["detail"] == {"user_id": "ada", "erase": True, **WHY, **named}
    report = await replay(world.connection, world.settings, ReplayOptions(dry_run=True), lambda *_: None)
    assert not report.drifted


async def test_who_is_unlisted_keeps_the_day_they_joined_and_who_is_listed_comes_back(world: World) -> None:
    await fill(world)
    async with serving(world) as api, api.admin() as admin:
        for deed, listed in (("unlist", False), ("list", True)):
            await decided(admin, deed, "bob")
            await world.run_once()
            found = await record_of(admin, "bob")
            assert (found["listed"], found["username"], found["removed"]) == (listed, "name of bob", False)
            assert found["registered_at"].startswith("2026-01-01T00:00:05.0000")
        await decided(admin, "remove", "bob")
        await world.run_once()
        problem_of(await admin.post(f"{USERS}/unlist", json={"user_id": "bob", **WHY}), 409, "user-is-removed")
        await decided(admin, "list", "bob")
        await world.run_once()
        found = await record_of(admin, "bob")
        assert (found["removed"], found["username"], found["removal"]["reason"]) == (False, "name of bob", "a test")


async def test_a_decision_wins_over_what_stands_and_undoes_no_removal_that_is_on_its_way(world: World) -> None:
    later = (datetime.now(UTC) - at(0)).total_seconds() + 3_600  # a judge's clock is ahead
    await world.publish([registered("ada", later), registered("bob")])
    await world.run_once()
    async with serving(world) as api, api.admin() as admin:
        await decided(admin, "remove", "ada")
        await world.run_once()
        assert (await record_of(admin, "ada"))["removed"] is True
        await decided(admin, "list", "ada")
        await world.run_once()
        assert (await record_of(admin, "ada"))["removed"] is False
        # bob's removal is in the log and not applied yet
        async with world.database() as site:
            await site.execute("INSERT INTO users (user_id, username) VALUES ('site', 'name of site')")
        for user_id in ("bob", "site"):
            await decided(admin, "remove", user_id, erase=True)
            for deed in ("unlist", "list", "unlist", "list"):
                await decided(admin, deed, user_id)
        await world.run_once()
        for user_id in ("bob", "site"):
            found = await record_of(admin, user_id)
            assert (found["removed"], found["username"]) == (True, None)


async def test_the_last_of_decisions_that_are_not_applied_yet_stands(world: World) -> None:
    ahead = (datetime.now(UTC) - at(0)).total_seconds() + 3_600  # a judge's clock is ahead
    await fill(world)
    await world.publish([registered("bob", ahead), registered("joe"), removed("joe", ahead), withdrawn("p", ahead)])
    await world.run_once()
    async with serving(world, api_costly_rate="100/minute") as api, api.admin() as admin:
        for user_id in ("ada", "bob", "site"):
            for last, listed in (("unlist", False), ("list", True)):
                for deed in ("unlist", "list", "unlist", "list", last):
                    await decided(admin, deed, user_id)
                await world.run_once()
                assert (await record_of(admin, user_id))["listed"] is listed, (user_id, last)
        for last, removed_at_last in (("list", False), ("remove", True)):
            for deed in ("list", "remove", last):
                await decided(admin, deed, "joe")
            await world.run_once()
            assert (await record_of(admin, "joe"))["removed"] is removed_at_last, last
        for problem_id in ("p", "new"):
            for last, is_withdrawn in (("restore", False), ("withdraw", True)):
                for deed in ("withdraw", "restore", "withdraw", "restore", last):
                    found = await admin.post(f"{PROBLEMS}/{deed}", json={"problem_id": problem_id, **WHY})
                    assert found.status_code == 202, found.text
                await world.run_once()
                shown = (await admin.get(PROBLEM, params={"id": problem_id})).json()
                assert shown["withdrawn"] is is_withdrawn, (problem_id, last)


async def test_a_registration_needs_a_name_where_none_is_kept(world: World) -> None:
    await fill(world)
    await world.publish([removed("gone", 1), removed("ada", 9, erase=True)])
    await world.run_once()
    async with serving(world) as api, api.admin() as admin:
        for user_id in ("eve", "gone", "ada"):
            problem_of(await admin.post(f"{USERS}/list", json={"user_id": user_id, **WHY}), 422, "username-missing")
            await decided(admin, "list", user_id, username="new name")
        problem_of(await admin.post(f"{USERS}/list", json={"user_id": "nobody", **WHY}), 404, "user-unknown")
        problem_of(await admin.post(f"{USERS}/remove", json={"user_id": "nobody", **WHY}), 404, "user-unknown")
        problem_of(await admin.get(USER, params={"id": "nobody"}), 404, "user-unknown")
        await decided(admin, "unlist", "site")
        await world.run_once()
        for user_id in ("eve", "gone", "ada"):
            found = await record_of(admin, user_id)
            assert (found["username"], found["removed"], found["parked_events"]) == ("new name", False, 0)
        assert (await record_of(admin, "site"))["listed"] is False
        async with world.database() as site:
            await site.execute("UPDATE users SET username = repeat('x', 300) WHERE user_id = 'site'")
        await decided(admin, "list", "site")  # a site may keep any text: no event carries it
        rows = str(await world.fetch("SELECT admin_audit::text FROM admin_audit"))
        assert "new name" not in rows, "names are kept in users alone (I13)"


async def test_a_name_that_the_log_does_not_have_stays_out_of_it(world: World) -> None:
    await fill(world)
    unnamed = [UserRegistered(user_id=user_id, registered_at=at(0)) for user_id in ("site", "only id")]
    async with serving(world) as api, api.admin() as admin:
        for events in ([], unnamed):  # registered by the site alone, then by the log too, without a name
            await world.publish(events)
            await world.run_once()
            for deed in ("unlist", "list", "remove", "list"):
                for user_id in ("site", "only id")[: len(events) or 1]:
                    await decided(admin, deed, user_id)
                await world.run_once()
                found = await record_of(admin, "site")
                assert (found["nameless"], found["username"]) == (True, "name of site")
                assert (found["listed"], found["removed"]) == (deed != "unlist", deed == "remove")
        assert (await record_of(admin, "only id"))["username"] is None
        await decided(admin, "remove", "site", erase=True)
        await world.run_once()
        await decided(admin, "list", "site")
        await world.run_once()
        found = await record_of(admin, "site")
        assert (found["removed"], found["erased"], found["username"]) == (False, False, None)
        said = [one for one in await records_of(world) if one["user_id"] in ("site", "only id")]
        assert len(said) == 4 + 2 + 2 * 4 + 2
        assert not [one for one in said if "username" in one]
        # who enters a name puts it there
        await decided(admin, "list", "site", username="new name")
        await world.run_once()
        found = await record_of(admin, "site")
        assert (found["nameless"], found["username"]) == (False, "new name")


async def test_hidden_users_are_found_by_admins(world: World) -> None:
    await fill(world)
    await world.publish([removed("ada", 9), registered("bob", 9, listed=False), removed("gone", 1)])
    await world.run_once()
    async with serving(world) as api, api.admin() as admin:

        async def found(**query: Any) -> list[tuple[str, bool, bool]]:
            answer = (await admin.get(USERS, params=query)).json()
            return [(one["user_id"], one["listed"], one["removed"]) for one in answer["users"]]

        assert await found(q="NAME of") == [("ada", True, True), ("bob", False, False), ("site", True, False)]
        assert await found(q="name", limit=1) == [("ada", True, True)]
        assert await found(q="gone") == [("gone", True, True)]
        assert await found(q="eve") == [("eve", True, False)]
        assert await found(q="nobody") == []
        assert (await api.get("/api/users", params={"q": "ada"}))["users"] == []


async def test_what_is_asked_wrongly_publishes_nothing(world: World) -> None:
    await fill(world)
    before = len(await records_of(world))
    async with serving(world) as api, api.admin() as admin, api.script(Scope.READ, Scope.REPAIR) as script:
        for deed in ("remove", "unlist", "list"):
            path = f"{USERS}/{deed}"
            problem_of(await admin.post(path, json={"user_id": "ada"}), 422, "invalid-request")
            problem_of(await admin.post(path, json={"user_id": "ada", "reason": "x" * 201}), 422, "invalid-request")
            problem_of(await admin.post(path, json={"user_id": "ada", "reason": "a\x1bb"}), 422, "invalid-request")
            problem_of(await admin.post(path, json={"user_id": "ada", "reason": " \u2003"}), 422, "reason-missing")
            problem_of(await script.post(path, json={"user_id": "ada", **WHY}), 403, "scope-missing")
            forged = await admin.post(path, json={"user_id": "ada", **WHY}, headers={"X-CSRF-Token": "0" * 64})
            problem_of(forged, 403, "csrf")
        for deed in ("withdraw", "restore"):
            path = f"{PROBLEMS}/{deed}"
            problem_of(await admin.post(path, json={"problem_id": "p"}), 422, "invalid-request")
            problem_of(await admin.post(path, json={"problem_id": "p", "reason": " "}), 422, "reason-missing")
            problem_of(await script.post(path, json={"problem_id": "p", **WHY}), 403, "scope-missing")
            forged = await admin.post(path, json={"problem_id": "p", **WHY}, headers={"X-CSRF-Token": "0" * 64})
            problem_of(forged, 403, "csrf")
        loose = {"user_id": "ada", "erase": "yes", **WHY}
        problem_of(await admin.post(f"{USERS}/remove", json=loose), 422, "invalid-request")
        assert len(await records_of(world)) == before
        assert await world.value("SELECT count(*) FROM admin_audit WHERE action <> 'login'") == 0


async def test_decisions_have_a_rate(world: World) -> None:
    await fill(world)
    async with serving(world, api_costly_rate="2/hour") as api, api.script(Scope.FACTS) as script:
        answers = [await script.post(f"{USERS}/unlist", json={"user_id": "ada", **WHY}) for _ in range(3)]
        assert [one.status_code for one in answers] == [202, 202, 429]


@pytest.mark.parametrize(
    ("connection", "kind"),
    [({"bootstrap_servers": "127.0.0.1:1"}, "kafka-unavailable"), ({"topic": "not-there"}, "publish-refused")],
)
async def test_what_the_brokers_do_not_take_is_not_done_and_recorded_as_failed(
    world: World, connection: dict[str, str], kind: str
) -> None:
    await fill(world)
    before = len(await records_of(world))
    elsewhere = KafkaConnection(**{"bootstrap_servers": world.connection.bootstrap_servers, **connection})
    async with serving(World(elsewhere, world.settings, world.environment)) as api, api.admin() as admin:
        answer = await admin.post(f"{USERS}/remove", json={"user_id": "ada", **WHY})
        detail = problem_of(answer, 503, kind)["detail"]
        assert "nothing changes" in detail
        assert not [name for name in ("127.0.0.1", "not-there", "KAFKA_", "solve-") if name in detail]
        assert int(answer.headers["retry-after"]) > 0
        assert [row[3] for row in (await audit_of(admin))[1:]] == ["started", "failed"]
    assert len(await records_of(world)) == before


async def test_what_the_brokers_do_not_confirm_in_time_may_be_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(world)

    async def lost(*_: Any) -> None:
        raise facts_module.DeliveryUncertain("the connection broke")

    monkeypatch.setattr(facts_module.SolveProducer, "send", lost)
    async with serving(world) as api, api.admin() as admin:
        answer = await admin.post(f"{USERS}/remove", json={"user_id": "ada", **WHY})
        assert "may be published or not" in problem_of(answer, 503, "publish-uncertain")["detail"]
        assert [row[3] for row in (await audit_of(admin))[1:]] == ["started", "failed"]


async def test_a_decision_is_seen_live(world: World) -> None:
    await fill(world)
    async with world.running(), serving(world) as api, api.script(Scope.FACTS, Scope.READ) as script:
        place = await decided(script, "unlist", "ada")

        async def is_applied() -> bool:
            found = await record_of(script, "ada", place)
            assert not (found["applied"] and found["listed"]), "what is applied is shown"
            return bool(found["applied"])

        await until(is_applied, "the projector to apply it")
        assert (await record_of(script, "ada"))["listed"] is False


async def test_a_problem_is_withdrawn_and_restored_with_the_number_of_people_shown_first(world: World) -> None:
    await fill(world)
    async with serving(world) as api, api.admin() as admin:
        first = (await admin.get(PROBLEM, params={"id": "p"})).json()
        assert (first["solvers"], first["withdrawn"]) == ({"number": 1, "estimated": False}, False)
        assert (await admin.get(PROBLEM, params={"id": "new"})).json()["solvers"]["number"] == 0
        for deed, kind, solved_problems in (("withdraw", "withdrawn", 0), ("restore", "restored", 1)):
            found = await admin.post(f"{PROBLEMS}/{deed}", json={"problem_id": "p", **WHY})
            assert found.status_code == 202, found.text
            place = found.json()
            assert place["type"] == f"problem.{kind}.v1"
            asked = {"id": "p", "partition": place["partition"], "offset": place["offset"]}
            waiting = (await admin.get(PROBLEM, params=asked)).json()
            assert (waiting["applied"], waiting["solvers"]["estimated"]) == (False, True)
            await world.run_once()
            applied = (await admin.get(PROBLEM, params=asked)).json()
            assert (applied["applied"], applied["withdrawn"]) == (True, deed == "withdraw")
            assert (applied["decided_at"], applied["reason"], applied["recounting"]) == (place["at"], "a test", False)
            assert applied["solvers"] == {"number": 1, "estimated": False}, "withdrawn or not"
            assert (await api.get("/api/users/ada"))["problems_solved"] == solved_problems
        assert [row[2:] for row in (await audit_of(admin))[1:]] == [
            ("withdraw-problem", "started"),
            ("withdraw-problem", "done"),
            ("restore-problem", "started"),
            ("restore-problem", "done"),
        ]


async def test_a_count_of_people_that_takes_too_long_is_an_estimate(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems_module, "COUNT_TIMEOUT_MS", 1)
    slow = {"count_solvers": "SELECT count(*) FROM solves, pg_sleep(60) WHERE problem_id = $1"}
    monkeypatch.setattr(problems_module, "PROBLEM_RECORDS_SQL", {**problems_module.PROBLEM_RECORDS_SQL, **slow})
    await fill(world)
    async with serving(world) as api, api.admin() as admin:
        found = (await admin.get(PROBLEM, params={"id": "p"})).json()
        assert found["solvers"]["estimated"] is True
        assert found["solvers"]["number"] > 0
