"""The scoreboard of a feed, computed in the plainest way; shares no code with the product."""

import json
from collections import defaultdict
from collections.abc import Iterable


def solved_pairs(lines: Iterable[bytes]) -> set[tuple[str, str]]:
    """Team and problem of each solve, of a feed in the form of 2021-11 and later, in any order but of one object's."""
    now: dict[str, dict[str, dict[str, object]]] = defaultdict(dict)
    for line in lines:
        said = json.loads(line)
        kind, name, data = said["type"], said.get("id"), said["data"]
        if isinstance(data, list):
            now[kind] = {item["id"]: item for item in data}
        elif data is None:
            now[kind].pop(name, None)
        else:
            now[kind][name or data.get("id")] = data
    by_submission: dict[object, list[dict[str, object]]] = defaultdict(list)
    for judgement in now["judgements"].values():
        stands = judgement.get("current") is not False and judgement.get("valid") is not False
        if judgement.get("judgement_type_id") and stands:
            by_submission[judgement["submission_id"]].append(judgement)
    solving = {name for name, kind in now["judgement-types"].items() if kind["solved"]}
    pairs = set()
    for name, submission in now["submissions"].items():
        judged = sorted(by_submission[name], key=lambda one: str(one.get("start_contest_time")).zfill(20))
        is_there = submission["team_id"] in now["teams"] and submission["problem_id"] in now["problems"]
        if judged and judged[-1]["judgement_type_id"] in solving and is_there:
            pairs.add((str(submission["team_id"]), str(submission["problem_id"])))
    return pairs
