"""Compares the stores with the oracle: every name, verdict, first solve, parked event, count and place on the board."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import asyncpg

from bench import oracle
from bench.oracle import First, Model, Problem, Removal, Solved, User, Verdict
from solve_projector.domain.ranking import PageRequest
from solve_projector.leaderboard.board import Leaderboard
from solve_schemas.events import Event
from solve_schemas.record import encode_line

VERDICT = "user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason, revision"
MORE_THAN_ANY_BOARD = 2**31


def model_of(events: Iterable[Event]) -> Model:
    """What the oracle says of events, which it gets as lines of an event file."""
    return oracle.model_of(json.loads(encode_line(event)) for event in events)


async def differences(model: Model, connection: asyncpg.Connection, board: Leaderboard) -> list[str]:
    """Each way in which PostgreSQL or Redis is not what the oracle says, in a sentence; empty where all agree."""
    users = await connection.fetch(
        "SELECT user_id, registered_at, username, listed, removed, problems_solved, last_solved_at FROM users"
    )
    removals = await connection.fetch("SELECT user_id, removed_at, reason, erased_at FROM user_removals")
    problems = await connection.fetch("SELECT problem_id, decided_at, withdrawn, reason FROM problem_facts")
    firsts = await connection.fetch(
        "SELECT user_id, problem_id, solved_at, submission_id, language, contest_id FROM solves"
    )
    page = await board.read(PageRequest(MORE_THAN_ANY_BOARD))
    rows = page.rows if page else []
    shown = [(row.user_id, row.problems_solved, datetime.fromtimestamp(row.seconds, UTC)) for row in rows]
    compared: tuple[tuple[str, dict[Any, Any], dict[Any, Any]], ...] = (
        ("PostgreSQL's users", {row[0]: User(*row[1:5]) for row in users}, model.users),
        ("PostgreSQL's removals", {row[0]: Removal(*row[1:]) for row in removals}, model.removals),
        ("PostgreSQL's problems", {row[0]: Problem(*row[1:]) for row in problems}, model.problems),
        ("PostgreSQL's counts", {row[0]: Solved(*row[5:]) for row in users if row["problems_solved"]}, model.solved),
        ("PostgreSQL's verdicts", await _verdicts(connection, "verdicts"), model.verdicts),
        ("PostgreSQL's first solves", {(row[0], row[1]): First(*row[2:]) for row in firsts}, model.firsts),
        ("PostgreSQL's parked events", await _verdicts(connection, "parked_events"), model.parked),
        ("Redis' places", dict(enumerate(shown, 1)), dict(enumerate(model.board(), 1))),
    )
    found = []
    for what, has, should in compared:
        if has != should:
            wrong = {key for key in has.keys() | should.keys() if has.get(key) != should.get(key)}
            key = min(wrong)
            found.append(f"{what}: {len(wrong)} differ, such as {key}: {has.get(key)} instead of {should.get(key)}")
    return found


async def _verdicts(connection: asyncpg.Connection, table: str) -> dict[oracle.SubmissionKey, Verdict]:
    rows = await connection.fetch(f"SELECT {VERDICT} FROM {table}")
    return {(row[0], row[1], row[2]): Verdict(*row[3:]) for row in rows}
