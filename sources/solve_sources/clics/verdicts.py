"""The solved submissions of a contest, its users, and what was left out of both.

A submission's verdict is that of its latest finished judgement which stands. It counts while the submission, its team
and its problem are there.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import NamedTuple

from solve_runtime.text import cut, readable
from solve_schemas.events import TEXT_MAX_CHARS
from solve_sources.clics.contest import Contest
from solve_sources.clics.objects import Judgement, Submission
from solve_sources.clics.schedule import Schedule
from solve_sources.errors import FeedError
from solve_sources.reconciliation.wanted import WantedSolve, WantedUser
from solve_sources.text import cleaned

NEVER = datetime.min.replace(tzinfo=UTC)
CONTEST_ID_MAX_CHARS = 100
ALWAYS_SHOWN = ("teams", "submissions", "judgements", "solved")
WHAT_TO_DO = {
    "undecided_judgements": (
        "; their submissions are not in the feed, and what was counted does not say what they change: give the "
        "submissions with all of their judgements too, or the whole feed without --partial"
    )
}


@dataclass(slots=True)
class Report:
    """What a contest has, and what of it does not count or is to be known."""

    contest_id: str = ""
    teams: int = 0
    hidden_teams: int = 0
    submissions: int = 0
    judgements: int = 0
    solved: int = 0
    submissions_without_team: int = 0
    submissions_of_unknown_teams: int = 0
    submissions_of_removed_problems: int = 0
    submissions_before_start: int = 0
    submissions_after_end: int = 0
    submissions_since_freeze: int = 0
    orphan_judgements: int = 0
    undecided_judgements: int = 0
    judgements_that_do_not_stand: int = 0
    unfinished_judgements: int = 0
    unknown_judgement_types: int = 0
    unusable_times: int = 0
    first_unusable_time: str = ""

    @property
    def left_out(self) -> dict[str, int]:
        """What of it does not count or is to be known."""
        counts = {name: value for name, value in asdict(self).items() if isinstance(value, int)}
        return {name: value for name, value in counts.items() if value and name not in ALWAYS_SHOWN}

    def add_unusable_time(self, what: str, why: str) -> None:
        """Counts one; an object is named as the feed does."""
        self.unusable_times += 1
        self.first_unusable_time = self.first_unusable_time or f"{cut(readable(what), 100)} {why}"

    def people(self) -> list[str]:
        """One line a count; things left out only if there are any."""
        shown = {name: getattr(self, name) for name in ALWAYS_SHOWN} | self.left_out
        more = WHAT_TO_DO | {"unusable_times": f"; the first: {self.first_unusable_time}"}
        lines = [f"{name.replace('_', ' ')}: {value}{more.get(name, '')}" for name, value in shown.items()]
        return [f"contest {self.contest_id}", *lines]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a contest is read."""

    contest_id: str | None = None  # in place of the feed's own
    contest_time_only: bool = False  # leave out what was handed in before the start or after the end
    hold_frozen: bool = False  # leave alone what was handed in since a freeze that lasts
    whole: bool = True  # teams and problems that it does not name are not in the contest


class Said(NamedTuple):
    """What a contest says of a submission: its solve, if any; whether it is to be left as it stands.

    Held is what is frozen, or refers to something that is still to come. One that is not `decided` may have a judgement
    that is.
    """

    submission_id: str
    solve: WantedSolve | None
    held: bool
    decided: bool


class Verdicts:
    """Reads verdicts and users out of a contest; counts into a report."""

    def __init__(self, contest: Contest, reading: Reading, name: str, awaited: Collection[str] = ()) -> None:
        """Raises FeedError where neither the feed nor the reading names the contest; `name` is the feed's.

        Of the collections in `awaited` there may be more to come: what refers to an object of them that the feed has
        not named stays as it stands.
        """
        if contest.is_empty:
            raise FeedError(f"{name}: the feed is empty; get it again")
        contest_id = cleaned(reading.contest_id or contest.contest_id)
        if not contest_id.strip():
            raise FeedError(f"{name}: the feed does not name its contest; give its id with --contest-id")
        if len(contest_id) > CONTEST_ID_MAX_CHARS:
            raise FeedError(
                f"{name}: the contest's id has more than {CONTEST_ID_MAX_CHARS} characters, which leaves too few for "
                "teams and problems; give a shorter one with --contest-id"
            )
        self._contest = contest
        self._reading = reading
        self._schedule: Schedule = contest.schedule
        self._awaited = awaited
        self.waited_for: set[str] = set()
        self._names_teams = contest.names("teams") if reading.whole else contest.lists("teams")
        self._names_problems = contest.names("problems") if reading.whole else contest.lists("problems")
        self.report = Report(contest_id)

    def users(self, now: datetime) -> Iterator[WantedUser]:
        """One a team; a hidden one is on no leaderboard."""
        # a feed read before its contest must not register teams in the future
        start = self._schedule.start or self._contest.earliest_submission() or now
        self.report.teams = self.report.hidden_teams = 0
        for team in self._contest.teams():
            if not team.has_groups and "groups" in self._awaited:  # which may be hidden
                continue
            self.report.teams += 1
            self.report.hidden_teams += team.hidden
            username = cleaned(team.name) or cleaned(team.id)
            yield WantedUser(self.named(team.id), username, min(start, now), not team.hidden)

    def said(self, submissions: Iterable[Submission]) -> Iterator[Said]:
        """Of each submission what the contest says."""
        for submission in submissions:
            solve = self._solve_of(submission)
            frozen = self._is_held(submission)
            held = frozen or self._waits(submission)
            self.report.submissions_since_freeze += frozen
            self.report.solved += solve is not None and not held
            removed = submission.gone or submission.has_team is False or submission.has_problem is False
            decided = removed or submission.was_judged
            yield Said(self.named(submission.id), solve, held, decided)

    def latest(self, submission: Submission) -> Judgement | None:
        """Its latest finished judgement that stands, which decides."""
        finished = [judgement for judgement in submission.judgements if self._counts(judgement)]
        # ties go to the one that came later in the feed
        return max(finished, key=lambda judgement: (judgement.started_at or NEVER, judgement.change), default=None)

    def count_all(self) -> None:
        """Fills in what counting the whole contest finds."""
        self.report.judgements = self._contest.count("judgements")
        self.report.orphan_judgements = self._contest.orphan_judgements()

    @property
    def frozen_since(self) -> datetime | None:
        """Since when nothing is added or taken back, if that is so."""
        return self._schedule.frozen_since if self._reading.hold_frozen else None

    def _is_held(self, submission: Submission) -> bool:
        if not self._reading.hold_frozen:
            return False
        return self._schedule.is_frozen(submission.submitted_at, submission.since_start)

    def _waits(self, submission: Submission) -> bool:
        if submission.gone:
            return False
        unknown = [("teams", submission.team_id)] if submission.has_team is None else []
        unknown += [("problems", submission.problem_id)] if submission.has_problem is None else []
        unknown += [
            ("judgement-types", one.type_id) for one in submission.judgements if one.stands and one.solved is None
        ]
        found = {f"{kind} {name}" for kind, name in unknown if name is not None and kind in self._awaited}
        self.waited_for |= found
        return bool(found)

    def _solve_of(self, submission: Submission) -> WantedSolve | None:
        if submission.gone:
            return None
        latest = self.latest(submission)
        if not self._takes_part(submission) or latest is None or not latest.solved or latest.ended_at is None:
            return None
        return WantedSolve(
            self.named(str(submission.team_id)),
            self.named(str(submission.problem_id)),
            self.named(submission.id),
            latest.ended_at,
            submission.submitted_at or latest.ended_at,
            cleaned(submission.language_id or ""),
            self.report.contest_id,
        )

    def _takes_part(self, submission: Submission) -> bool:
        report = self.report
        report.submissions += 1
        if submission.submitted_at is None:
            report.add_unusable_time(f"submission {submission.id}", f"has a time that is {submission.unusable_time}")
        if submission.team_id is None or submission.problem_id is None:
            report.submissions_without_team += 1
            return False
        if not submission.has_team:
            report.submissions_of_unknown_teams += 1
            if submission.has_team is False or self._names_teams:
                return False
        if submission.has_problem is False or (submission.has_problem is None and self._names_problems):
            report.submissions_of_removed_problems += 1
            return False
        return self._is_in_time(submission)

    def _is_in_time(self, submission: Submission) -> bool:
        times = submission.submitted_at, submission.since_start
        before = self._schedule.is_before_start(*times)
        after = self._schedule.is_after_end(*times)
        self.report.submissions_before_start += before
        self.report.submissions_after_end += after
        return not (self._reading.contest_time_only and (before or after))

    def _counts(self, judgement: Judgement) -> bool:
        """Whether it is finished and stands; says why it is not."""
        report = self.report
        if not judgement.stands:
            report.judgements_that_do_not_stand += 1
            return False
        if judgement.type_id is None:
            report.unfinished_judgements += 1
            return False
        report.unknown_judgement_types += judgement.solved is None
        if judgement.ended_at is None:
            report.add_unusable_time(f"judgement {judgement.id}", f"has an end that is {judgement.unusable_end}")
        return judgement.ended_at is not None

    def named(self, object_id: str) -> str:
        """An object's id in events. Those of two contests never collide, nor two that are too long or unprintable."""
        shown = cleaned(object_id)
        named = f"{self.report.contest_id}:{shown}"
        if len(named) < TEXT_MAX_CHARS and shown == object_id:
            return named
        return named[: TEXT_MAX_CHARS - 33] + "~" + blake2b(object_id.encode(), digest_size=16).hexdigest()
