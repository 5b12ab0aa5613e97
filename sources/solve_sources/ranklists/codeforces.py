"""Reads Codeforces' `contest.standings` and `contest.status`: https://codeforces.com/apiHelp/objects.

Who took part in the contest itself counts: contestants, and out of competition those who are not rated (not listed).
Virtual participation, practice and managers are left out. A party is its handle, its team's id, or, as a ghost (a team
that took part elsewhere), its name.

Standings name no submissions, so a solve is called `contest:party:problem`: there is one at most. A status names them:
`contest:submission`. Results that rest on pretests alone are left out, since a system test or a hack may undo them.
"""

from datetime import UTC, datetime

from msgspec import Raw, Struct

from solve_sources.ranklists.standings import Gathering, Reading, Report, Standings, decoded, each, seconds
from solve_sources.reconciliation.wanted import WantedSolve
from solve_sources.text import cleaned

TOOK_PART = frozenset(("CONTESTANT", "OUT_OF_COMPETITION"))
PRETESTS = frozenset(("SAMPLES", "PRETESTS"))
POINTS_ARE_ALL_OR_NOTHING = frozenset(("CF", "ICPC"))


class Contest(Struct):
    """A contest; a gym may have no start."""

    id: int
    type: str = ""
    startTimeSeconds: int | None = None  # noqa: N815 - the form's own names


class Problem(Struct):
    """A problem; of an unscored contest without points."""

    index: str
    points: float | None = None


class Member(Struct):
    """Someone of a party."""

    handle: str


class Party(Struct):
    """Who takes part: one, a team, or a ghost."""

    members: list[Member] = []
    participantType: str = ""  # noqa: N815
    contestId: int | None = None  # noqa: N815
    teamId: int | None = None  # noqa: N815
    teamName: str | None = None  # noqa: N815
    ghost: bool = False
    startTimeSeconds: int | None = None  # noqa: N815


class Result(Struct):
    """A cell."""

    points: float
    type: str = "FINAL"
    bestSubmissionTimeSeconds: int | None = None  # noqa: N815


class Row(Struct):
    """A party and its cells."""

    party: Party
    problemResults: list[Result]  # noqa: N815
    rank: int = 0


class Table(Struct):
    """What `contest.standings` gives; its rows are read one by one."""

    contest: Contest
    problems: list[Problem]
    rows: list[Raw]


class Submission(Struct):
    """What `contest.status` gives a list of."""

    id: int
    creationTimeSeconds: int  # noqa: N815
    problem: Problem
    author: Party
    contestId: int | None = None  # noqa: N815
    programmingLanguage: str = ""  # noqa: N815
    verdict: str | None = None
    testset: str = "TESTS"


class Answer(Struct):
    """What every method of the API gives."""

    status: str
    result: Raw = Raw(b"null")
    comment: str = ""


def read_standings(reading: Reading) -> Standings:
    """The contest of `contest.standings`. Raises StandingsUnusable."""
    table = decoded(reading, _result(reading), Table, "$.result")
    report = Report("contest.standings of Codeforces", reading.contest(table.contest.id))
    gathering = Gathering(reading, report)
    best = None
    for place, row in each(reading, table.rows, Row, "$.result.rows"):
        _read_row(gathering, place, row, table)
        if row.rank > 0:
            best = min(row.rank, best or row.rank)
    if best is not None and best > 1:
        report.remarks["best rank in the file, which seems to be a part of the standings"] = best
    return gathering.standings()


def read_status(reading: Reading) -> Standings:
    """The contest of `contest.status`. Raises StandingsUnusable."""
    parts = decoded(reading, _result(reading), list[Raw], "$.result")
    first = decoded(reading, parts[0], Submission, "$.result[0]") if parts else None
    contest = first.contestId if first else None
    report = Report("contest.status of Codeforces", reading.contest(contest))
    gathering = Gathering(reading, report)
    for place, submission in each(reading, parts, Submission, "$.result"):
        if submission.contestId != contest:
            reading.refuse(place, "it is of another contest; give what contest.status says of one, not user.status")
        _read_submission(gathering, place, submission)
    return gathering.standings()


def _result(reading: Reading) -> Raw:
    answer = decoded(reading, reading.data, Answer)
    if answer.status != "OK":
        reading.refuse("$.comment", f'the API refused the request: "{cleaned(answer.comment)}"; fetch the file again')
    return answer.result


def _read_row(gathering: Gathering, place: str, row: Row, table: Table) -> None:
    reading = gathering.reading
    if len(row.problemResults) != len(table.problems):
        found = f"there are {len(row.problemResults)}, and {len(table.problems)} problems"
        reading.refuse(f"{place}.problemResults", f"{found}; correct the file")
    start = table.contest.startTimeSeconds if row.party.startTimeSeconds is None else row.party.startTimeSeconds
    if not _took_part(gathering, row.party, sum(result.points > 0 for result in row.problemResults)):
        return
    if start is None:
        reading.refuse("$.result.contest.startTimeSeconds", "the contest has no start")
    began = _moment(reading, place, start)
    party = _party(gathering, f"{place}.party", row.party, began)
    for index, (problem, result) in enumerate(zip(table.problems, row.problemResults, strict=True)):
        where = f"{place}.problemResults[{index}]"
        if result.points <= 0 or not _is_solved(gathering, table.contest, problem, result):
            continue
        if result.bestSubmissionTimeSeconds is None:
            gathering.report.remarks["solves with the default time"] += 1
            time = reading.missing_time(where)
        else:
            time = reading.after(where, began, seconds(result.bestSubmissionTimeSeconds))
        submission_id = reading.id_of(where, gathering.contest_id, party, problem.index)
        _add(gathering, where, (party, problem.index, submission_id), time)


def _is_solved(gathering: Gathering, contest: Contest, problem: Problem, result: Result) -> bool:
    if result.type == "PRELIMINARY":
        gathering.report.left_out["results of pretests, which a system test may undo"] += 1
        return False
    if contest.type in POINTS_ARE_ALL_OR_NOTHING or (problem.points is not None and result.points >= problem.points):
        return True
    gathering.report.left_out["results with points that may be a part of the problem's"] += 1
    return False


def _read_submission(gathering: Gathering, place: str, submission: Submission) -> None:
    reading, left_out = gathering.reading, gathering.report.left_out
    if not _took_part(gathering, submission.author, int(submission.verdict == "OK")):
        return
    time = _moment(reading, place, submission.creationTimeSeconds)
    start = submission.author.startTimeSeconds
    began = time if start is None else _moment(reading, place, start)
    party = _party(gathering, f"{place}.author", submission.author, began)
    if submission.verdict in {None, "TESTING", "SUBMITTED"}:
        left_out["submissions that are not judged yet"] += 1
    elif submission.verdict == "OK" and submission.testset in PRETESTS:
        left_out["results of pretests, which a system test may undo"] += 1
    elif submission.verdict == "OK":
        submission_id = reading.id_of(place, gathering.contest_id, str(submission.id))
        names = (party, submission.problem.index, submission_id)
        _add(gathering, place, names, time, cleaned(submission.programmingLanguage))


def _took_part(gathering: Gathering, party: Party, solved: int) -> bool:
    if party.ghost or party.participantType in TOOK_PART:
        return True
    gathering.report.left_out[f"solves of participants of the type {cleaned(party.participantType)}"] += solved
    return False


def _party(gathering: Gathering, place: str, party: Party, began: datetime) -> str:
    """The party's id within the contest; adds its user."""
    handles = sorted(member.handle for member in party.members)
    if party.teamId is not None:
        party_id = f"team-{party.teamId}"
    elif party.ghost or not handles:
        party_id = f"ghost-{party.teamName or ''}" if party.teamName else ""
    else:
        party_id = "+".join(handles)
    user_id = gathering.reading.id_of(place, gathering.contest_id, party_id)
    listed = party.participantType != "OUT_OF_COMPETITION"
    known = gathering.users.pop(user_id, None)  # a status names a party again with each submission
    if known is not None:
        listed, began = listed or known.listed is True, min(began, known.registered_at)
    gathering.user(place, user_id, party.teamName or ", ".join(handles), began, listed=listed)
    return party_id


def _add(gathering: Gathering, place: str, names: tuple[str, str, str], time: datetime, language: str = "") -> None:
    party, problem, submission_id = names
    contest, id_of = gathering.contest_id, gathering.reading.id_of
    user_id, problem_id = id_of(place, contest, party), id_of(place, contest, problem)
    gathering.solve(WantedSolve(user_id, problem_id, submission_id, time, time, language, contest))


def _moment(reading: Reading, place: str, stamp: int) -> datetime:
    return reading.after(place, datetime.fromtimestamp(0, UTC), seconds(stamp))
