"""Small feeds of one contest, written as a test says."""

import json
from pathlib import Path
from typing import Any

TYPES = [{"id": "AC", "solved": True}, {"id": "WA", "solved": False}]
CONTEST = {
    "id": "cup",
    "start_time": "2026-05-02T09:00:00Z",
    "duration": "2:00:00",
    "scoreboard_freeze_duration": "0:30:00",
}


def line(kind: str, object_id: str | None, data: Any) -> dict[str, Any]:
    """One notification."""
    return {"type": kind, "id": object_id, "data": data}


def contest(*teams: str, **more: Any) -> list[dict[str, Any]]:
    """The contest, its types, problems a to e, and these teams."""
    named = [line("teams", team, {"id": team, "name": f"Team {team}"}) for team in teams]
    problems = [line("problems", problem, {"id": problem}) for problem in "abcde"]
    return [line("contest", None, CONTEST | more), line("judgement-types", None, TYPES), *problems, *named]


def judged(submission: str, team: str, problem: str, verdict: str = "AC", minute: int = 10) -> list[dict[str, Any]]:
    """A submission with one judgement."""
    time = f"2026-05-02T{9 + minute // 60:02}:{minute % 60:02}:0"
    said = {"id": submission, "team_id": team, "problem_id": problem, "time": f"{time}0Z"}
    judgement = {"id": f"j-{submission}", "submission_id": submission, "judgement_type_id": verdict}
    times = {"start_time": f"{time}1Z", "end_time": f"{time}3Z"}
    return [line("submissions", submission, said), line("judgements", f"j-{submission}", judgement | times)]


def written(file: Path, lines: list[dict[str, Any]]) -> str:
    """The path of the feed."""
    file.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    return str(file)
