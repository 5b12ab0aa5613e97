"""A small contest of one team and one submission, to be converted by tests."""

import json
from typing import Any

from bench.check import model_of
from solve_sources.clics.conversion import Conversion, convert

TYPES = {"AC": True, "WA": False}


def line(kind: str, object_id: str | None, data: Any) -> bytes:
    return json.dumps({"type": kind, "id": object_id, "data": data, "token": "t"}).encode()


def judgement(judgement_id: str, verdict: str | None, end: str | None, **more: Any) -> bytes:
    data = {"id": judgement_id, "submission_id": "s1", "judgement_type_id": verdict, "end_time": end, **more}
    return line("judgements", judgement_id, data)


CONTEST = line("contest", "c", {"id": "c", "start_time": "2024-01-01T10:00:00Z"})
TEAM = line("teams", "t1", {"id": "t1", "name": "Team One", "display_name": "The Ones"})
SUBMISSION = line(
    "submissions",
    "s1",
    {"id": "s1", "team_id": "t1", "problem_id": "a", "language_id": "cpp", "time": "2024-01-01T10:05:00Z"},
)
KINDS = [line("judgement-types", name, {"id": name, "solved": solved}) for name, solved in TYPES.items()]
BASE = [CONTEST, *KINDS, TEAM, SUBMISSION]


def converted(*lines: bytes) -> Conversion:
    return convert([*BASE, *lines], "feed")


def solved_by(conversion: Conversion) -> dict[str, int]:
    return {user: one.problems_solved for user, one in model_of(conversion.events).solved.items()}
