"""Staging tables: rows arrive as PostgreSQL's own binary COPY brings them, and fold by the rule."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone

import asyncpg
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bench.check import model_of
from bench.oracle import Model, Solved, Verdict
from solve_projector.domain.rule import Verdict as VerdictRow
from solve_projector.domain.rule import problem_fact_of, removal_of, verdict_of
from solve_projector.replay.replaying import AsOf, By
from solve_projector.replay.staging import StagedRows, Wanted, begin_staging, copy_rows, decode_rows
from solve_projector.settings import ProjectorSettings
from solve_projector.store.leftovers import drop_staging
from solve_projector.store.postgresql import connect
from solve_runtime.sql import queries
from solve_schemas.events import (
    REVISION_MAX,
    Event,
    ProblemRestored,
    ProblemWithdrawn,
    SubmissionRevoked,
    SubmissionSolved,
    UserRegistered,
    UserRemoved,
)
from solve_schemas.record import encode
from tests import events as make
from tests.events import registered
from tests.projector.store.test_counts import Record

STAGING_SQL = queries("solve_projector.replay", "staging")
HISTORY_SQL = queries("solve_projector.replay", "history")

texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8) | st.lists(
    st.sampled_from(['"', "\\", "\\N", "\\.", "\\u0041", "null", ",", "[", "]", " ", "'", "\u2028", "\ufeff", "𝄞"]),
    max_size=5,
).map("".join)
ids = texts.filter(bool)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
times = st.datetimes(
    datetime(1970, 1, 3),  # noqa: DTZ001
    datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=zones,
)
revisions = st.none() | st.integers(0, REVISION_MAX)
verdicts = st.builds(
    verdict_of,
    st.builds(SubmissionSolved, submission_id=ids, user_id=ids, problem_id=ids, judged_at=times,
              revision=revisions, submitted_at=st.none() | times, language=texts, contest_id=texts)
    | st.builds(SubmissionRevoked, submission_id=ids, user_id=ids, problem_id=ids, judged_at=times, revision=revisions,
                reason=texts),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**63 - 1),
    texts,
)  # fmt: skip


@pytest_asyncio.fixture
async def staging(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(ProjectorSettings(database_url=SecretStr(database_url)), replay=True)
    yield connection
    await connection.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(verdicts, min_size=1, max_size=20))
async def test_verdicts_arrive_as_the_binary_copy_brings_them(
    staging: asyncpg.Connection, rows: list[VerdictRow]
) -> None:
    await begin_staging(staging)
    await copy_rows(staging, StagedRows(rows))
    arrived = await staging.fetch("SELECT * FROM solve_replay_verdicts")
    await staging.execute("TRUNCATE solve_replay_verdicts")
    await staging.copy_records_to_table("solve_replay_verdicts", records=rows)
    assert arrived == await staging.fetch("SELECT * FROM solve_replay_verdicts")
    assert [tuple(row) for row in arrived] == [tuple(row) for row in rows]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some=st.lists(make.events, max_size=25) | st.lists(make.ties, max_size=8), data=st.data())
async def test_the_fold_in_sql_is_the_rule(staging: asyncpg.Connection, some: list[Event], data: st.DataObject) -> None:
    places = data.draw(st.permutations(range(len(some))))
    await begin_staging(staging)
    transaction = staging.transaction()
    await transaction.start()
    verdicts = [
        verdict_of(e, 0, at, f"judge {at}")
        for e, at in zip(some, places, strict=True)
        if isinstance(e, SubmissionSolved | SubmissionRevoked)
    ]
    names = [
        (e.user_id, e.username or "", e.registered_at, e.listed is False) for e in some if isinstance(e, UserRegistered)
    ]
    removals = [(e.user_id, *removal_of(e)) for e in some if isinstance(e, UserRemoved)]
    facts = [(e.problem_id, *problem_fact_of(e)) for e in some if isinstance(e, ProblemWithdrawn | ProblemRestored)]
    await copy_rows(staging, StagedRows(verdicts, names, removals, facts))
    await staging.execute(STAGING_SQL["fold"])
    await staging.execute(STAGING_SQL["count"])
    model = model_of(some)
    standing = [tuple(row) for row in await staging.fetch("SELECT * FROM solve_replay_standing")]
    assert {row[:3]: Verdict(*row[3:9], row[11]) for row in standing} == model.verdicts | model.parked
    for row in standing:
        assert row[10] == min(one.offset for one in verdicts if (*one[:9], one[11]) == (*row[:9], row[11]))
        assert row[12] == f"judge {row[10]}"
    counts = {row[0]: Solved(row[1], row[2]) for row in await staging.fetch("SELECT * FROM solve_replay_counts")}
    assert counts == model_of([*(registered(one.user_id) for one in verdicts), *some]).solved  # whoever is known
    found = await staging.fetch("SELECT user_id, registered_at, username, NOT unlisted FROM solve_replay_names")
    kept = {
        user_id: (one.registered_at, one.username, one.listed)
        for user_id, one in model_of([e for e in some if not isinstance(e, UserRemoved)]).users.items()
    }
    assert {row[0]: tuple(row[1:]) for row in found} == kept
    found = await staging.fetch("SELECT * FROM solve_replay_removed")
    assert {row[0]: tuple(row[1:]) for row in found} == model.removals
    found = await staging.fetch("SELECT * FROM solve_replay_problems")
    assert {row[0]: tuple(row[1:]) for row in found} == model.problems
    await transaction.rollback()


async def test_whatever_a_killed_replay_of_any_version_left_goes_by_its_name(staging: asyncpg.Connection) -> None:
    await begin_staging(staging)
    await staging.execute("CREATE TABLE solve_replay_of_old (user_id text); CREATE TABLE solve_replaying ()")
    await begin_staging(staging)
    left = "SELECT relname FROM pg_class WHERE relname LIKE 'solve_replay%' AND relkind = 'r' ORDER BY 1"
    assert "solve_replay_of_old" not in [row[0] for row in await staging.fetch(left)]
    await drop_staging(staging)
    assert [row[0] for row in await staging.fetch(left)] == ["solve_replaying"]
    await staging.execute("DROP TABLE solve_replaying")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    some=st.lists(make.events, max_size=25) | st.lists(make.ties, max_size=8),
    second=st.sampled_from([-1, 0, 0.5, 1, 2, 3]),
    by=st.sampled_from(["judged", "submitted"]),
)
async def test_counts_as_of_a_time_are_the_oracles(
    staging: asyncpg.Connection, some: list[Event], second: float, by: By
) -> None:
    as_of = AsOf(make.at(second), by)
    encoded = [encode(event) for event in some]
    records = [Record(0, place, key=one.key, value=one.value, headers=one.headers) for place, one in enumerate(encoded)]
    await begin_staging(staging)
    transaction = staging.transaction()
    await transaction.start()
    await copy_rows(staging, decode_rows(records, Wanted(until=as_of.judged)))
    await staging.execute(STAGING_SQL["fold"])
    rows = await staging.fetch(HISTORY_SQL["counts_as_of"], as_of.submitted)
    await transaction.rollback()
    model = model_of([event for event in some if by == "submitted" or is_by_then(event, as_of.moment)])
    assert {row[0]: row[1] for row in rows} == {user: one.username for user, one in model.users.items()}
    assert {row[0]: (row[2], row[3]) for row in rows if row[2]} == counted(model, as_of.submitted)


def is_by_then(event: Event, moment: datetime) -> bool:
    """Who is shown is what stands today; what counts, what stood then."""
    return isinstance(event, UserRegistered | UserRemoved) or event.happened_at <= moment


def counted(model: Model, until: datetime | None) -> dict[str, tuple[int, datetime]]:
    times: dict[str, list[datetime]] = {}
    for (user, problem), first in model.firsts.items():
        counts = problem not in model.problems or not model.problems[problem].withdrawn
        if counts and (until is None or first.solved_at <= until):
            times.setdefault(user, []).append(first.solved_at)
    return {user: (len(found), max(found)) for user, found in times.items()}
