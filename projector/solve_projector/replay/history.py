"""Reads history from the log: counts as of a time, and one user's count explained. Changes nothing."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from solve_projector.domain.rule import (
    ProblemFact,
    Solved,
    Verdict,
    VerdictKey,
    count,
    first_solves,
    fold_problem_fact,
    fold_verdict,
    losing_verdicts,
)
from solve_projector.errors import UserUnknown
from solve_projector.replay.replaying import AsOf, OnProgress, ReplayOptions, open_replay, translating_database_errors
from solve_projector.replay.staging import Wanted, decode_rows
from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.sql import queries

STAGING_SQL = queries("solve_projector.replay", "staging")
HISTORY_SQL = queries("solve_projector.replay", "history")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Count:
    """One user's count at a time."""

    user_id: str
    username: str | None
    problems_solved: int
    last_solved_at: datetime | None


@dataclass(slots=True)
class Explanation:
    """One user: what the log says up to the applied offsets, and what PostgreSQL says; as of a time only the log."""

    user_id: str
    username: str
    solved: Solved
    postgresql: Solved | None
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    losing: list[dict[str, Any]] = field(default_factory=list)
    drifted: bool = False
    waiting: bool = False  # for the recount of a problem, so that the count is not compared

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "user_id": self.user_id,
            "username": self.username,
            **self.solved._asdict(),
            "postgresql": self.postgresql._asdict() if self.postgresql else None,
            "drift": self.drifted,
            "waiting": self.waiting,
            "verdicts": self.verdicts,
            "losing_verdicts": self.losing,
        }


async def counts_as_of(
    connection: KafkaConnection,
    settings: ProjectorSettings,
    options: ReplayOptions,
    on_progress: OnProgress,
) -> list[Count]:
    """Every user's count as of `options.as_of`, in the board's order; users without a solved problem last.

    Raises what `replay` raises.
    """
    as_of = options.as_of or AsOf(datetime.max.replace(tzinfo=UTC))
    with translating_database_errors():
        async with open_replay(connection, settings, options, on_progress) as replay:
            _warn_of_hidden(replay.report.open_transactions)
            ranges = {partition: (0, end) for partition, end in replay.state.ends.items()}
            await replay.read(ranges, Wanted(until=as_of.judged))
            await replay.database.execute(HISTORY_SQL["add_live_removals"])
            await replay.database.execute(STAGING_SQL["fold"])
            rows = await replay.database.fetch(HISTORY_SQL["counts_as_of"], as_of.submitted)
            return [Count(*row) for row in rows]


async def explain_user(
    connection: KafkaConnection,
    settings: ProjectorSettings,
    options: ReplayOptions,
    user_id: str,
    on_progress: OnProgress,
) -> Explanation:
    """One user's verdicts with their offsets, which of them count, and whether PostgreSQL has the same.

    With `options.as_of` as they stood then, as `counts_as_of` counts them; PostgreSQL is not compared.
    Raises UserUnknown, and what `replay` raises.
    """
    as_of = options.as_of
    with translating_database_errors():
        async with open_replay(connection, settings, options, on_progress) as replay:
            _warn_of_hidden(replay.report.open_transactions)
            database, topic, wanted = replay.database, connection.topic, Wanted(as_of and as_of.judged, user_id)
            staged = (await replay.applied_offsets()).offsets
            await replay.read({partition: (0, end) for partition, end in staged.items()}, wanted)
            verdicts: list[Verdict] = []
            problems: dict[str, ProblemFact] = {}
            async with database.transaction(isolation="repeatable_read", readonly=True):
                to = (await replay.applied_offsets()).offsets
                staged_rows = await database.fetch("SELECT * FROM solve_replay_verdicts WHERE user_id = $1", user_id)
                verdicts += [Verdict(*row) for row in staged_rows]
                _fold_facts(problems, await database.fetch("SELECT * FROM solve_replay_problem_facts"))
                async for records in replay.scan.read({p: (staged[p], end) for p, end in to.items()}):
                    rows = decode_rows(records, wanted)
                    verdicts += [one for one in rows.verdicts if one.user_id == user_id]
                    _fold_facts(problems, rows.problem_facts)
                user = await database.fetchrow("SELECT * FROM users WHERE user_id = $1", user_id)
                live = [tuple(row) for row in await database.fetch(HISTORY_SQL["user_rows"], user_id)]
                is_waiting = await database.fetchval(HISTORY_SQL["is_waiting"], user_id)
                solves = [tuple(row) for row in await database.fetch(HISTORY_SQL["user_solves"], user_id)]
            standing: dict[VerdictKey, Verdict] = {}
            for verdict in verdicts:
                fold_verdict(standing, verdict)
            if user is None:
                raise UserUnknown(
                    f"no user {user_id}; {len(standing)} verdicts of this id in the log are parked until the log "
                    "registers the user"
                )
            if as_of and (until := as_of.submitted):
                standing = {key: one for key, one in standing.items() if one.submitted_at and one.submitted_at <= until}
            withdrawn = {problem_id for problem_id, fact in problems.items() if fact.withdrawn}
            said = _explanation(user, topic, standing, withdrawn)
            if as_of is None:
                said.waiting = is_waiting
                _compare(said, user, standing, {row[:3]: row for row in live}, {row[0]: row for row in solves})
            said.losing = [_losing(lost, winner) for lost, winner in losing_verdicts(verdicts)]
            return said


def _losing(lost: Verdict, winner: Verdict) -> dict[str, Any]:
    return {
        "problem_id": lost.problem_id,
        "submission_id": lost.submission_id,
        "solved": lost.solved,
        "judged_at": lost.judged_at,
        "source_partition": lost.partition,
        "source_offset": lost.offset,
        "standing_judged_at": winner.judged_at,
        "standing_partition": winner.partition,
        "standing_offset": winner.offset,
    }


def _warn_of_hidden(open_transactions: list[str]) -> None:
    for sentence in open_transactions:
        log.warning(sentence, action="open_transaction")


def _fold_facts(problems: dict[str, ProblemFact], rows: Iterable[Any]) -> None:
    for problem_id, *fact in rows:
        fold_problem_fact(problems, problem_id, ProblemFact(*fact))


def _explanation(
    user: Any, topic: str, standing: dict[VerdictKey, Verdict], withdrawn: AbstractSet[str]
) -> Explanation:
    solved = count(standing.values(), withdrawn).get(user["user_id"], Solved(0, None))
    said = Explanation(user["user_id"], user["username"], solved, None)
    firsts = first_solves(standing.values())
    for key in sorted(standing):
        verdict = standing[key]
        is_withdrawn = verdict.problem_id in withdrawn
        counts = firsts.get(key[:2]) is verdict and not is_withdrawn
        row = verdict._asdict() | {"topic": topic, "counts": counts, "withdrawn": is_withdrawn}
        said.verdicts.append({name: value for name, value in row.items() if name != "user_id"})
    return said


def _compare(
    said: Explanation,
    user: Any,
    standing: dict[VerdictKey, Verdict],
    rows: dict[tuple[Any, ...], tuple[Any, ...]],
    solves: dict[str, tuple[Any, ...]],
) -> None:
    """Compares what the log says with a user's rows: verdicts by key, first solves by problem, and the count."""
    said.postgresql = Solved(user["problems_solved"], user["last_solved_at"])
    verdicts = {key: (*verdict[:9], verdict.revision) for key, verdict in standing.items()}
    firsts = {
        problem_id: (problem_id, first.submitted_at, first.submission_id, first.language, first.contest_id)
        for (_, problem_id), first in first_solves(standing.values()).items()
    }
    is_miscounted = said.solved != said.postgresql and not said.waiting
    said.drifted = is_miscounted or (verdicts, firsts) != (rows, solves)


def as_of_dict(as_of: AsOf, counts: list[Count]) -> dict[str, Any]:
    """For `--json`."""
    return {
        "as_of": as_of.moment,
        "by": as_of.by,
        "total_users": len(counts),
        "problems_solved": sum(one.problems_solved for one in counts),
        "users": [asdict(one) for one in counts],
    }
