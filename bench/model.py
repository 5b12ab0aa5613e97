"""What must come out? The plain model: every event folded in memory, beside what the two stores say."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import asyncpg

from solve_projector.domain.rule import (
    Registration,
    Solved,
    Verdict,
    VerdictKey,
    count,
    fold_registration,
    fold_verdict,
    verdict_of,
)
from solve_projector.leaderboard.board import Leaderboard, score
from solve_schemas.events import Event, UserRegistered


@dataclass(frozen=True, slots=True)
class Model:
    """Who exists under which name, which verdict of each submission stands, and what that makes."""

    names: dict[str, str]
    verdicts: dict[VerdictKey, Verdict]
    parked: dict[VerdictKey, Verdict]
    solved: dict[str, Solved]


def model_of(events: Iterable[Event]) -> Model:
    """Folds events in whatever order they come."""
    names: dict[str, Registration] = {}
    standing: dict[VerdictKey, Verdict] = {}
    for event in events:
        if isinstance(event, UserRegistered):
            fold_registration(names, event)
        else:
            fold_verdict(standing, verdict_of(event, 0, 0))
    verdicts = {key: verdict for key, verdict in standing.items() if key[0] in names}
    return Model(
        {user_id: registration.username for user_id, registration in names.items()},
        verdicts,
        {key: verdict for key, verdict in standing.items() if key[0] not in names},
        count(verdicts.values()),
    )


async def differences(model: Model, connection: asyncpg.Connection, board: Leaderboard) -> list[str]:
    """Each way in which PostgreSQL or Redis is not what the model says, in a sentence; empty where all agree."""
    found: list[str] = []
    rows = await connection.fetch("SELECT user_id, username, problems_solved, last_solved_at FROM users")
    names = {row["user_id"]: row["username"] for row in rows}
    solved = {
        row["user_id"]: Solved(row["problems_solved"], row["last_solved_at"]) for row in rows if row["problems_solved"]
    }
    verdicts = {
        (row["user_id"], row["problem_id"], row["submission_id"]): (
            row["solved"],
            row["judged_at"],
            row["submitted_at"],
        )
        for row in await connection.fetch("SELECT * FROM verdicts")
    }
    parked = {
        tuple(row) for row in await connection.fetch("SELECT user_id, problem_id, submission_id FROM parked_events")
    }
    cached = await board.all_scores()
    ranked = {
        user_id: score(one.problems_solved, one.last_solved_at)
        for user_id, one in model.solved.items()
        if one.last_solved_at
    }
    wanted = {key: (one.solved, one.judged_at, one.submitted_at) for key, one in model.verdicts.items()}
    compared: tuple[tuple[str, dict[Any, Any], dict[Any, Any]], ...] = (
        ("PostgreSQL's names", names, model.names),
        ("PostgreSQL's counts", solved, model.solved),
        ("PostgreSQL's verdicts", verdicts, wanted),
        ("PostgreSQL's parked events", dict.fromkeys(parked, 1), dict.fromkeys(model.parked, 1)),
        ("Redis' scores", cached, ranked),
    )
    for what, has, should in compared:
        if has != should:
            wrong = {key for key in has.keys() | should.keys() if has.get(key) != should.get(key)}
            key = min(wrong)
            found.append(f"{what}: {len(wrong)} differ, such as {key}: {has.get(key)} instead of {should.get(key)}")
    return found
