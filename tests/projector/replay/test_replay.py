"""Replays that prove and rebuild every count, whatever is wrong, and leave alone what is right (I7, I8)."""

import json
import random
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from solve_producer.demo.simulation import Season, bad_records, simulate
from solve_projector.domain.ranking import PageRequest
from solve_projector.errors import LogHeadGone, LogRewritten, ReplayRunning, SettingsError, UserUnknown
from solve_projector.leaderboard.audit import BoardDifference
from solve_projector.leaderboard.board import Leaderboard, open_leaderboard
from solve_projector.replay.history import counts_as_of, explain_user
from solve_projector.replay.replaying import AsOf, By, ReplayOptions, replay
from solve_projector.replay.report import Report
from solve_projector.store.locks import Lock, wait_lock
from solve_schemas.events import SubmissionSolved
from solve_sources.clics.conversion import convert
from tests.events import BEGIN, at, registered, removed, restored, revoked, solved, withdrawn
from tests.projector.log.test_inspection import create_topic, delete_records, delete_topic
from tests.projector.operations.test_copy_log import records
from tests.world import World

KEPT_SOURCES = ("judge", "a feed", "https://judge.example/ü")
SOURCES = (*KEPT_SOURCES, "solve-counts", "x" * 201)
TABLES = {
    "users": "SELECT user_id, username, registered_at, origin, problems_solved, last_solved_at, listed, removed"
    " FROM users ORDER BY 1",
    "user_removals": "SELECT * FROM user_removals ORDER BY 1",
    "problem_facts": "SELECT * FROM problem_facts ORDER BY 1",
    "verdicts": "SELECT * FROM verdicts ORDER BY 1, 2, 3",
    "solves": "SELECT * FROM solves ORDER BY 1, 2",
    "user_search_keys": "SELECT key, user_id FROM user_search_keys ORDER BY 1, 2",
    "parked_events": "SELECT user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, "
    "contest_id, reason, revision, source_partition, source_offset, source FROM parked_events ORDER BY 1, 2, 3",
    "dead_letters": 'SELECT topic, partition, "offset", broker_timestamp_ms, key, value, header_names, header_values, '
    "reason, detail FROM dead_letters ORDER BY 1, 2, 3",
    "partition_offsets": "SELECT partition, next_offset, first_offset, first_timestamp_ms, last_offset, "
    "last_timestamp_ms FROM partition_offsets ORDER BY 1",
}


def season(seed: int, events: int = 3_000) -> Season:
    return Season(start=BEGIN, users=60, problems=40, events=events, seed=seed, unknown_users=0.02)


async def publish_season(world: World, seed: int) -> None:
    """A season of all kinds of events: some users are unlisted, removed, erased, or registered again after that.

    Several sources say it, and some of it twice, in whatever partition.
    """
    users = [f"user-{number}" for number in range(60)]
    events, chance = list(simulate(season(seed))), random.Random(seed)
    for begin in range(0, len(events), 500):
        await world.publish(events[begin : begin + 500], source=SOURCES[begin // 500 % len(SOURCES)])
    for partition in range(3):
        await world.publish(chance.sample(events, 300), partition, chance.choice(SOURCES))
    await world.publish(registered(user, 10**6, listed=False) for user in users[::7])
    await world.publish(
        removed(user, 2 * 10**6, "banned", erase=number % 2 == 0) for number, user in enumerate(users[::5])
    )
    problems = sorted({event.problem_id for event in simulate(season(seed)) if isinstance(event, SubmissionSolved)})
    await world.publish(withdrawn(problem, 10**6, "a wrong test") for problem in problems[::4])
    await world.publish(restored(problem, 2 * 10**6) for problem in problems[::8])
    await world.publish([removed("ghost-1", 10), *(registered(user, 3 * 10**6, "back") for user in users[::11])])
    async with world.raw_producer() as producer:
        for record in islice(bad_records(season(seed)), 20):
            await producer.send(world.connection.topic, record.value, key=record.key, headers=record.headers)


async def replayed(world: World, **options: Any) -> Report:
    return await replay(world.connection, world.settings, ReplayOptions(**options), lambda *_: None)


async def tables(world: World) -> dict[str, list[Any]]:
    return {name: [tuple(row) for row in await world.fetch(query)] for name, query in TABLES.items()}


async def empty(world: World) -> None:
    async with world.database() as connection:
        await connection.execute(
            "TRUNCATE users, user_removals, problem_facts, problem_recounts, verdicts, solves, parked_events, "
            "dead_letters, partition_offsets"
        )


async def sources_of_other_places(world: World) -> list[Any]:
    """Rows that keep another source than that of the record which they are of."""
    said = {
        (one.partition, one.offset): dict(one.headers).get("ce_source", b"").decode()
        for some in (await records(world)).values()
        for one in some
    }
    kept = "SELECT source_partition, source_offset, source FROM"
    rows = await world.fetch(f"{kept} verdicts UNION ALL {kept} parked_events")
    assert {row["source"] for row in rows} == {"", *KEPT_SOURCES}
    return [
        (row, named) for row in rows if row[2] != (named if (named := said[row[0], row[1]]) in KEPT_SOURCES else "")
    ]


@pytest.mark.parametrize(("seed", "workers"), [(1, 0), (2, 2)])
async def test_a_cold_rebuild_gives_what_live_projection_gave(world: World, seed: int, workers: int) -> None:
    await publish_season(world, seed)
    await world.run_once()
    live = await tables(world)
    await empty(world)
    report = await replayed(world, workers=workers)
    assert report.cold
    assert await tables(world) == live
    assert await sources_of_other_places(world) == []
    assert await world.differences() == []
    assert report.users_updated == sum(1 for row in live["users"] if row[4])


async def test_a_replay_over_what_is_right_reports_nothing_and_changes_nothing(world: World) -> None:
    await publish_season(world, 3)
    await world.run_once()
    before = await tables(world)
    for dry_run in (True, False):
        report = await replayed(world, dry_run=dry_run)
        assert not report.drifted, report
        assert report.message.endswith("0 users updated out of " + str(len(before["users"]))) or dry_run
    assert await tables(world) == before


DRIFT = {
    "a wrong count": "UPDATE users SET problems_solved = problems_solved + 5 "
    "WHERE problems_solved > 0 AND user_id < $1",
    "a wrong last solve": "UPDATE users SET last_solved_at = last_solved_at + interval '3 days' "
    "WHERE problems_solved > 0 AND user_id < $1",
    "a zero": "UPDATE users SET problems_solved = 0, last_solved_at = NULL WHERE user_id < $1",
    "missing verdicts": "DELETE FROM verdicts WHERE user_id < $1 AND right(submission_id, 1) < '5'",
    "an extra verdict": "INSERT INTO verdicts SELECT user_id, 'p-extra', 's-extra', true, now(), now(), '', '', '', 0, "
    "1000000000 FROM users WHERE user_id < $1",
    "a time years ahead": "UPDATE verdicts SET judged_at = judged_at + interval '9 years' WHERE user_id < $1",
    "an earlier submission": "UPDATE verdicts SET submitted_at = submitted_at - interval '9 years' "
    "WHERE solved AND user_id < $1",
    "flipped verdicts": "UPDATE verdicts SET solved = NOT solved, submitted_at = CASE WHEN solved THEN NULL "
    "ELSE judged_at END WHERE user_id < $1",
    "missing solves": "DELETE FROM solves WHERE user_id < $1 AND right(problem_id, 1) < '5'",
    "an extra solve": "INSERT INTO solves SELECT user_id, 'p-extra', now(), 's-extra', '', '' FROM users "
    "WHERE user_id < $1",
    "a solve that nobody counted": "INSERT INTO solves VALUES ($1 || '?', 'p-extra', now(), 's-extra', '', '')",
    "a later solve": "UPDATE solves SET solved_at = solved_at + interval '3 days' WHERE user_id < $1",
    "another language": "UPDATE solves SET language = 'whitespace' WHERE user_id < $1",
    "a lost user": "DELETE FROM users WHERE user_id < $1",
    "another name": "UPDATE users SET username = 'nobody' WHERE user_id < $1",
    "listed otherwise": "UPDATE users SET listed = NOT listed WHERE user_id < $1",
    "a name that is the site's": "UPDATE users SET nameless = NOT nameless WHERE user_id < $1",
    "removed for no reason": "UPDATE users SET removed = NOT removed WHERE user_id < $1",
    "an erased name": "UPDATE users SET username = 'name' WHERE username = '' AND user_id <> $1",
    "lost removals": "DELETE FROM user_removals WHERE user_id <> $1",
    "an extra removal": "INSERT INTO user_removals VALUES ($1, now(), '', now()) ON CONFLICT (user_id) DO UPDATE "
    "SET removed_at = now()",
    "another reason": "UPDATE user_removals SET reason = 'none' WHERE user_id <> $1",
    "a removal that erases": "UPDATE user_removals SET erased_at = removed_at WHERE user_id <> $1",
    "lost facts about problems": "DELETE FROM problem_facts WHERE problem_id <> $1",
    "a problem withdrawn for no reason": "INSERT INTO problem_facts SELECT DISTINCT problem_id, now(), true, '' "
    "FROM solves WHERE user_id < $1 ON CONFLICT (problem_id) DO UPDATE SET withdrawn = true",
    "other facts about problems": "UPDATE problem_facts SET withdrawn = NOT withdrawn WHERE problem_id <> $1",
    "another reason of a withdrawal": "UPDATE problem_facts SET reason = 'none' WHERE problem_id <> $1",
    "missing search keys": "DELETE FROM user_search_keys WHERE user_id < $1",
    "wrong search keys": "UPDATE user_search_keys SET key = key || '?' WHERE user_id < $1",
    "extra search keys": "INSERT INTO user_search_keys SELECT 'nobody', user_id FROM users WHERE user_id < $1",
    "search keys of nobody": "INSERT INTO user_search_keys VALUES ('nobody', $1 || '?')",
    "lost parked events": "DELETE FROM parked_events WHERE user_id <> $1",
    "lost dead letters": "DELETE FROM dead_letters WHERE key IS DISTINCT FROM $1::text::bytea",
    "offsets moved back": "UPDATE partition_offsets SET next_offset = next_offset / 2 WHERE topic <> $1",
    "offsets ahead of the log": "UPDATE partition_offsets SET next_offset = next_offset + 500 WHERE topic <> $1",
}


async def test_drift_of_every_kind_is_found_and_repaired(world: World) -> None:
    await publish_season(world, 4)
    await world.run_once()
    right = await tables(world)
    some = sorted(row[0] for row in right["users"])[20]
    for kind, statement_of_kind in DRIFT.items():
        async with world.database() as connection:
            changed = await connection.execute(statement_of_kind, some)
        assert not changed.endswith(" 0"), kind
        assert (await replayed(world)).drifted, kind
        found = await tables(world)
        assert [name for name in TABLES if found[name] != right[name]] == [], kind
        assert await world.differences() == [], kind
    assert not (await replayed(world, dry_run=True)).drifted
    assert await world.value("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'solve_replay%'") == 0


async def test_a_source_is_provenance_and_no_drift(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p"), solved("2", "u", "q")], source="judge")
    await world.run_once()
    async with world.database() as connection:
        await connection.execute("UPDATE verdicts SET source = 'another'")
    assert not (await replayed(world)).drifted
    async with world.database() as connection:
        await connection.execute("DELETE FROM verdicts WHERE submission_id = '1'")
    assert (await replayed(world)).verdicts == {"missing": 1}
    assert [row[0] for row in await world.fetch("SELECT source FROM verdicts")] == ["judge", "judge"]


async def test_users_of_the_site_keep_their_rows_and_get_their_counts(world: World) -> None:
    async with world.database() as connection:
        await connection.execute(
            "INSERT INTO users (user_id, username) VALUES ('site', 'from the site'), ('idle', 'i')"
        )
    await world.publish(
        [registered("u"), solved("1", "u", "p"), solved("2", "site", "p", 5), solved("3", "ghost", "p")]
    )
    await world.run_once()
    live = await tables(world)
    assert not (await replayed(world)).drifted
    async with world.database() as connection:
        await connection.execute("UPDATE users SET problems_solved = 7, last_solved_at = now() WHERE user_id = 'site'")
    report = await replayed(world)
    assert [(one.user_id, one.old_count, one.new_count) for one in report.updates] == [("site", 7, 1)]
    assert await tables(world) == live
    async with world.database() as connection:
        await connection.execute("TRUNCATE verdicts, parked_events, partition_offsets")
        await connection.execute("UPDATE users SET problems_solved = 0, last_solved_at = NULL")
        await connection.execute("DELETE FROM users WHERE origin = 'log'")
        await connection.execute("UPDATE user_search_keys SET key = key || '?'")
        await connection.execute("INSERT INTO user_search_keys VALUES ('u', 'u'), ('nobody', 'nobody')")
    report = await replayed(world)
    assert (report.cold, report.search_keys) == (True, {"extra": 5, "missing": 4})
    assert await tables(world) == live


async def test_a_user_of_the_log_whom_it_never_registered_is_reported_and_kept(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p"), solved("2", "ghost", "p")])
    async with world.database() as connection:
        await connection.execute("INSERT INTO users (user_id, username, origin) VALUES ('ghost', 'g', 'log')")
    await world.run_once()
    report = await replayed(world)
    assert report.users_never_registered == ["ghost"]
    assert not report.drifted
    assert await world.value("SELECT problems_solved FROM users WHERE user_id = 'ghost'") == 1


async def test_a_dead_letter_whose_event_applies_by_now_is_applied_and_removed(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p"), solved("2", "u", "q", 5)])
    await world.run_once()
    right = await tables(world)
    async with world.database() as connection:
        place = await connection.fetchrow("DELETE FROM verdicts WHERE problem_id = 'q' RETURNING *")
        await connection.execute("UPDATE users SET problems_solved = 1, last_solved_at = '2026-01-01Z'")
        await connection.execute(
            'INSERT INTO dead_letters (topic, partition, "offset", broker_timestamp_ms, header_names, header_values, '
            "reason, detail) VALUES ($1, $2, $3, 0, '{}', '{}', 'unknown-type', 'an older version')",
            world.connection.topic, place["source_partition"], place["source_offset"],
        )  # fmt: skip
    report = await replayed(world)
    assert report.dead_letters == {"missing": 0, "extra": 1}
    assert await tables(world) == right


async def test_offsets_ahead_within_the_log_lose_nothing(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p")])
    await world.run_once()
    await world.publish([solved("2", "u", "q", 5)])
    async with world.database() as connection:
        await connection.execute("UPDATE partition_offsets SET next_offset = next_offset + 1 WHERE next_offset > 0")
    await world.run_once()
    assert await world.value("SELECT problems_solved FROM users") == 1
    report = await replayed(world)
    assert report.verdicts == {"missing": 1}
    assert await world.differences() == []


async def test_an_audit_of_some_partitions_judges_what_lies_in_them_alone(world: World) -> None:
    await world.publish([registered("u"), registered("v"), solved("1", "u", "p")], 0)
    await world.publish([solved("2", "u", "q", 3), solved("3", "v", "p", 4)], 1)
    await world.run_once()
    for partition in (0, 1, 2):
        assert not (await replayed(world, dry_run=True, partitions=frozenset({partition}))).drifted
    async with world.database() as connection:
        await connection.execute("DELETE FROM verdicts WHERE submission_id = '3'")
    assert not (await replayed(world, dry_run=True, partitions=frozenset({0}))).verdicts
    assert (await replayed(world, dry_run=True, partitions=frozenset({1}))).verdicts == {"missing": 1}
    with pytest.raises(SettingsError, match="needs all partitions"):
        await replayed(world, partitions=frozenset({1}))
    with pytest.raises(SettingsError, match="no partition 9; it has 0, 1, 2"):
        await replayed(world, dry_run=True, partitions=frozenset({9}))


async def test_one_user_is_explained_with_places_in_the_log(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p", 9), solved("2", "u", "p", 5), solved("3", "u", "q")], 1)
    await world.publish([revoked("3", "u", "q", 20, "copied"), solved("4", "other", "p")], 2)
    await world.run_once()
    options = ReplayOptions(dry_run=True)
    said = await explain_user(world.connection, world.settings, options, "u", lambda *_: None)
    assert not said.drifted
    assert said.solved.problems_solved == 1
    assert [(row["submission_id"], row["counts"], row["partition"], row["offset"]) for row in said.verdicts] == [
        ("1", False, 1, 1), ("2", True, 1, 2), ("3", False, 2, 0),
    ]  # fmt: skip
    for as_of, counting in (
        (AsOf(at(3)), ["3"]), (AsOf(at(12)), ["2", "3"]), (AsOf(at(30)), ["2"]),
        (AsOf(at(3), "submitted"), []), (AsOf(at(8), "submitted"), ["2"]),
    ):  # fmt: skip
        before = replace(options, as_of=as_of)
        then = await explain_user(world.connection, world.settings, before, "u", lambda *_: None)
        assert [row["submission_id"] for row in then.verdicts if row["counts"]] == counting
        assert (then.solved.problems_solved, then.postgresql) == (len(counting), None)
    for broken in (
        "UPDATE solves SET submission_id = '1'",
        "UPDATE verdicts SET judged_at = judged_at + interval '1 s' WHERE submission_id = '1'",
    ):
        async with world.database() as connection:
            await connection.execute(broken)
        assert (await explain_user(world.connection, world.settings, options, "u", lambda *_: None)).drifted
        await replayed(world)
    with pytest.raises(UserUnknown, match="1 verdicts of this id"):
        await explain_user(world.connection, world.settings, options, "other", lambda *_: None)


async def test_the_world_finals_as_of_any_minute(world: World, wf47) -> None:  # type: ignore[no-untyped-def]
    with (wf47 / "event-feed.ndjson").open("rb") as feed:
        await world.publish(convert(feed, "wf47").events)
        feed.seek(0)
        contests = [said["data"] for said in map(json.loads, feed) if said["type"] == "contest"]
    scoreboard = json.loads((wf47 / "scoreboard.json").read_text())
    start = datetime.fromisoformat(contests[-1]["start_time"])
    for minute, submitted, judged in ((60, 134, 133), (120, 305, 302), (180, 418, 418), (240, 519, 519)):
        moment = start + timedelta(minutes=minute)
        by_submitted = await counts_at(world, moment, "submitted")
        assert sum(by_submitted.values()) == submitted
        for row in scoreboard["rows"]:
            solves = [one for one in row["problems"] if one["solved"] and one["time"] < minute]
            assert by_submitted[f"wf47_finals:{row['team_id']}"] == len(solves)
        assert sum((await counts_at(world, moment, "judged")).values()) == judged


async def counts_at(world: World, moment: datetime, by: By) -> dict[str, int]:
    options = ReplayOptions(dry_run=True, workers=1, as_of=AsOf(moment, by))
    found = await counts_as_of(world.connection, world.settings, options, lambda *_: None)
    return {one.user_id: one.problems_solved for one in found}


async def test_a_log_without_its_head_is_refused(world: World) -> None:
    await world.publish(simulate(season(5, 300)))
    await world.run_once()
    await delete_records(world, 10)
    with pytest.raises(LogHeadGone, match="cannot prove the counts"):
        await replayed(world)


async def test_an_empty_log_is_replayed(world: World) -> None:
    report = await replayed(world)
    assert (report.users_updated, report.records_read) == (0, 0)


async def test_another_topic_of_the_same_name_is_refused(world: World) -> None:
    await world.publish(simulate(season(5, 300)))
    await world.run_once()
    await delete_topic(world)
    await create_topic(world)
    await world.publish(simulate(season(6, 600)))
    with pytest.raises(LogRewritten):
        await replayed(world)


async def test_a_second_replay_says_who_replays(world: World) -> None:
    async with world.database() as holder:
        await holder.execute("SET application_name = 'the first'")
        await wait_lock(holder, Lock.REPLAY)
        with pytest.raises(ReplayRunning, match=r"the first from .* PostgreSQL process [0-9]+"):
            await replayed(world)


async def test_the_command_prints_the_report_and_tells_drift_by_its_exit(world: World, tmp_path: Path) -> None:
    await world.publish(simulate(season(7, 400)))
    await world.run_once()
    users = await world.value("SELECT count(*) FROM users")
    async with world.database() as connection:
        changed = await connection.fetch(
            "UPDATE users SET problems_solved = 0, last_solved_at = NULL WHERE problems_solved > 1 "
            "RETURNING user_id, old.problems_solved AS solved"
        )
    code, out, _ = await command(world, "replay", "--dry-run", "--json")
    assert (code, json.loads(out)["users_updated"]) == (3, len(changed))
    file = tmp_path / "updates.csv"
    code, out, log = await command(world, "replay", "--json", "--report", str(file))
    said = json.loads(out)
    assert code == 0, log
    assert list(said)[:6] == ["success", "message", "total_users", "users_updated", "users_unchanged", "updates"]
    assert said["message"] == f"Backfill complete: {len(changed)} users updated out of {users}"
    assert (said["success"], said["total_users"], said["users_unchanged"]) == (True, users, users - len(changed))
    expected = {row["user_id"]: (0, row["solved"]) for row in changed}
    assert {u["user_id"]: (u["old_count"], u["new_count"]) for u in said["updates"]} == expected
    assert "username" not in out + file.read_text()
    assert len(file.read_text().splitlines()) == 1 + len(changed)
    code, out, _ = await command(world, "replay", "--dry-run")
    assert (code, "0 users would be updated" in out) == (0, True)


async def test_the_leaderboard_is_compared_and_built_anew(world: World) -> None:
    await world.publish(simulate(season(8, 800)))
    await world.run_once()
    async with open_leaderboard(world.settings, world.connection.topic) as board:
        state = await board.state(await world.value("SELECT epoch FROM leaderboard_epoch"))
        key = f"{{{world.settings.leaderboard_prefix}}}:{state.current}:board"
        page = await board.read(PageRequest(2))
        first, second = [row.user_id for row in page.rows]  # type: ignore[union-attr]
        async with board._redis.session() as redis:
            await redis.zrem(key, first)
            await redis.zadd(key, {second: -1, "nobody": -(2**33)})
        code, out, _ = await command(world, "sync-leaderboard", "--dry-run", "--json")
        assert (code, json.loads(out)) == (3, {"dry_run": True, "added": 1, "changed": 1, "removed": 1})
        assert (await replayed(world, dry_run=True)).leaderboard == BoardDifference(1, 1, 1)
        code, out, log = await command(world, "sync-leaderboard")
        assert code == 0, log
        assert await world.differences() == []
        code, out, _ = await command(world, "sync-leaderboard", "--dry-run", "--json")
        assert (code, json.loads(out)) == (0, {"dry_run": True, "added": 0, "changed": 0, "removed": 0})
        key = await _key(world, board)
        async with board._redis.session() as redis:
            await redis.zrem(key, first)
    assert (await replayed(world)).leaderboard == BoardDifference(1, 0, 0)
    assert await world.differences() == []


async def _key(world: World, board: Leaderboard) -> str:
    state = await board.state(await world.value("SELECT epoch FROM leaderboard_epoch"))
    return f"{{{world.settings.leaderboard_prefix}}}:{state.current}:board"


async def command(world: World, *words: str) -> tuple[int | None, str, str]:
    async with world.process(*words) as process:
        out, log = await process.output  # type: ignore[attr-defined]
    return process.returncode, out.decode(), log.decode()
