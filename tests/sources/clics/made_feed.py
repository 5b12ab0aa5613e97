"""A made contest whose feed says all that a feed can say: rejudgings, their cancelling, removals, and things again."""

import json
import random
from typing import Any

TEAMS, PROBLEMS = 12, 8
START = "2026-05-02T09:00:00Z"


def made_feed(seed: int, submissions: int = 300) -> list[bytes]:
    """Lines of one contest, in the form of 2023-06."""
    return _Feed(random.Random(seed)).of(submissions)


class _Feed:
    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.lines: list[bytes] = []
        self.judged: dict[str, dict[str, Any]] = {}

    def of(self, submissions: int) -> list[bytes]:
        self.say("contest", None, {"id": "made", "start_time": START, "duration": "5:00:00"})
        self.say("judgement-types", None, [{"id": "AC", "solved": True}, {"id": "WA", "solved": False}])
        self.say("teams", None, [{"id": f"t{number}", "name": f"Team t{number}"} for number in range(TEAMS)])
        self.say("problems", None, [{"id": f"p{number}"} for number in range(PROBLEMS)])
        for number in range(submissions):
            minute = number * 290 // submissions
            ids = {"id": f"s{number}", "team_id": self.team(), "problem_id": self.problem()}
            self.say("submissions", ids["id"], ids | {"contest_time": f"{minute // 60}:{minute % 60:02}:00"})
            self.judge(ids["id"], minute)
            if self.chance.random() < 0.2:
                self.change()
            if self.chance.random() < 0.1:
                self.judge(self.chance.choice(list(self.judged.values()))["submission_id"], minute + 1)
        return self.lines

    def say(self, kind: str, name: str | None, data: Any) -> None:
        said = {"type": kind, "id": name, "data": data, "token": str(len(self.lines))}
        self.lines.append(json.dumps(said).encode())

    def team(self) -> str:
        return f"t{self.chance.randrange(TEAMS)}"

    def problem(self) -> str:
        return f"p{self.chance.randrange(PROBLEMS)}"

    def judge(self, submission: str, minute: int) -> None:
        name, hours = f"j{len(self.judged)}", f"{minute // 60}:{minute % 60:02}"
        said = {"id": name, "submission_id": submission, "start_contest_time": f"{hours}:01"}
        self.say("judgements", name, said)
        said |= {"judgement_type_id": self.chance.choice(["AC", "AC", "WA"])}
        self.judged[name] = said | {"end_contest_time": f"{hours}:{self.chance.randrange(2, 60):02}"}
        self.say("judgements", name, self.judged[name])

    def change(self) -> None:
        """Something that was said before is otherwise now."""
        self.chance.choice([self.change_judgement, self.change_judgement, self.remove, self.change_contest])()

    def change_judgement(self) -> None:
        name = self.chance.choice(list(self.judged))
        said = self.chance.choice(
            [
                {"judgement_type_id": self.chance.choice(["AC", "WA"])},
                {"valid": self.chance.random() < 0.3},
                {"current": self.chance.random() < 0.3},
            ]
        )
        self.judged[name] = self.judged[name] | said
        self.say("judgements", name, self.judged[name])

    def remove(self) -> None:
        name = self.chance.choice(list(self.judged))
        if self.chance.random() < 0.5:
            self.say("judgements", name, None)
        else:
            self.say("submissions", self.judged[name]["submission_id"], None)

    def change_contest(self) -> None:
        team, problem, solved = self.team(), self.problem(), self.chance.random() < 0.2
        self.say(
            *self.chance.choice(
                [
                    ("teams", team, self.chance.choice([None, {"id": team, "name": f"Team {team}"}])),
                    ("problems", problem, self.chance.choice([None, {"id": problem}])),
                    ("judgement-types", "WA", {"id": "WA", "solved": solved}),
                ]
            )
        )
