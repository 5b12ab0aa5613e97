"""Converts a CLICS event feed: teams become users, judgements become verdicts, in events that can be sent again.

A submission's verdict is that of its latest finished judgement. Each change of it over the feed becomes an event, and
events of one submission get `judged_at` at least a microsecond apart, in feed order: whatever order they arrive in,
the feed's last state stands. The same feed always gives the same events, and a longer one continues from there.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from solve_schemas.events import TEXT_MAX_CHARS, Event, SubmissionRevoked, SubmissionSolved, UserRegistered
from solve_sources.clics.feed import absolute_time, feed_changes, parse_time
from solve_sources.errors import FeedError
from solve_sources.text import CONTROL_CHARS

TICK = timedelta(microseconds=1)
# what a feed need not say: the spec's well-known judgement types
KNOWN_TYPES = {"AC": {"solved": True}}
REVOKE_REASON = "judgement changed in the contest's feed"


@dataclass(slots=True)
class Report:
    """What was found in the feed, and what was left out."""

    contest_id: str = ""
    lines: int = 0
    teams: int = 0
    submissions: int = 0
    judgements: int = 0
    solved_events: int = 0
    revocations: int = 0
    submissions_without_team: int = 0
    submissions_of_unknown_teams: int = 0
    orphan_judgements: int = 0
    unfinished_judgements: int = 0
    unknown_judgement_types: int = 0
    unusable_times: int = 0

    def people(self) -> list[str]:
        """One line a count; things left out only if there are any."""
        always = ("teams", "submissions", "judgements", "solved_events", "revocations")
        counts = {name: value for name, value in asdict(self).items() if isinstance(value, int) and name != "lines"}
        shown = {name: value for name, value in counts.items() if value or name in always}
        return [f"contest {self.contest_id}", *(f"{name.replace('_', ' ')}: {value}" for name, value in shown.items())]


@dataclass(frozen=True, slots=True)
class Conversion:
    """The events, in the order to publish them, and what was found."""

    events: list[Event]
    report: Report


class Verdict(NamedTuple):
    """What the feed says of a submission at some moment."""

    user_id: str
    problem_id: str
    solved: bool
    judged_at: datetime
    submitted_at: datetime | None
    language: str | None


@dataclass(slots=True)
class Submission:
    """A submission as the feed has it so far, and the events made of it."""

    state: dict[str, Any] | None = None
    seen: bool = False
    judgements: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[SubmissionSolved | SubmissionRevoked] = field(default_factory=list)


@dataclass(slots=True)
class Context:
    """What reading judgements needs, wherever in the feed it is."""

    contest_id: str
    start: datetime | None
    types: dict[str, dict[str, Any]]


def convert(
    lines: Iterable[bytes], name: str, contest_id: str | None = None, now: datetime | None = None
) -> Conversion:
    """The events of a feed. `name` is for messages; `contest_id` for feeds that do not name their contest.

    Raises FeedError on a line that is not of a feed, and where no contest is named.
    """
    feed = list(feed_changes(lines, name))
    report = Report(lines=len(feed))
    context = _context(feed, name, contest_id)
    report.contest_id = context.contest_id
    submissions: dict[str, Submission] = {}
    owners: dict[str, str] = {}  # judgement -> submission
    for change in feed:
        if change.type == "submissions":
            submission = submissions.setdefault(change.id, Submission())
            submission.state, submission.seen = change.state, submission.seen or change.state is not None
            _follow(change.id, submission, context)
        elif change.type == "judgements":
            owner = str((change.state or {}).get("submission_id") or owners.get(change.id))
            owners[change.id] = owner
            submission = submissions.setdefault(owner, Submission())
            if change.state is None:
                submission.judgements.pop(change.id, None)
            else:
                submission.judgements[change.id] = change.state
            _follow(owner, submission, context)
    registrations = _registrations(feed, context, now or datetime.now(UTC), report)
    verdicts = [event for submission in submissions.values() for event in submission.events]
    _count(report, submissions, context, {event.user_id for event in registrations}, verdicts)
    return Conversion([*registrations, *sorted(verdicts, key=lambda event: event.judged_at)], report)


def _context(feed: list[Any], name: str, contest_id: str | None) -> Context:
    found, start = contest_id, None
    types: dict[str, dict[str, Any]] = dict(KNOWN_TYPES)
    for kind, object_id, state in feed:
        if state is None:
            continue
        if kind == "contest":
            found = contest_id or str(state.get("id") or object_id)
            start = parse_time(state.get("start_time")) or start
        elif kind == "judgement-types":
            types[object_id] = state
    if not found or found == "None":
        raise FeedError(f"{name}: the feed does not name its contest; give its id with --contest-id")
    return Context(_clean(found), start, types)


def _follow(submission_id: str, submission: Submission, context: Context) -> None:
    """Adds the event of the latest change, or replaces the last event if it says the same again."""
    wanted = _verdict(submission, context)
    last = submission.events[-1] if submission.events else None
    if isinstance(last, SubmissionSolved):
        same_key = wanted is not None and (wanted.user_id, wanted.problem_id) == (last.user_id, last.problem_id)
        if wanted is None or not wanted.solved or not same_key:
            judged_at = wanted.judged_at if wanted is not None and same_key else None
            last = last.revoked(_after(judged_at, last.judged_at), REVOKE_REASON)
            submission.events.append(last)
    if wanted is None or not wanted.solved or (last and _says(last, wanted)):
        return
    solved = SubmissionSolved(
        submission_id=_named(context, submission_id),
        user_id=wanted.user_id,
        problem_id=wanted.problem_id,
        judged_at=_after(wanted.judged_at, last.judged_at) if last else wanted.judged_at,
        submitted_at=wanted.submitted_at,
        language=wanted.language,
        contest_id=context.contest_id,
    )
    if isinstance(last, SubmissionSolved):
        submission.events[-1] = solved
    else:
        submission.events.append(solved)


def _says(last: SubmissionSolved | SubmissionRevoked, wanted: Verdict) -> bool:
    """Whether the event says this already; its time may have been moved by microseconds."""
    return (
        isinstance(last, SubmissionSolved)
        and (last.submitted_at, last.language) == (wanted.submitted_at, wanted.language)
        and timedelta(0) <= last.judged_at - wanted.judged_at < timedelta(milliseconds=1)
    )


def _verdict(submission: Submission, context: Context) -> Verdict | None:
    """What the feed says of the submission now; None if nothing of it can count."""
    state = submission.state
    if state is None or state.get("team_id") is None or state.get("problem_id") is None:
        return None
    finished = [
        (judgement, judged_at)
        for judgement in submission.judgements.values()
        if judgement.get("current") is not False and (judged_at := _finished_at(judgement, context))
    ]
    if not finished:
        return None
    # ties go to the one that came later in the feed
    latest, judged_at = max(reversed(finished), key=lambda found: _started_at(found[0], context))
    ids = [_named(context, str(state[name])) for name in ("team_id", "problem_id")]
    language = state.get("language_id")
    return Verdict(
        ids[0],
        ids[1],
        context.types.get(str(latest["judgement_type_id"]), {}).get("solved") is True,
        judged_at,
        absolute_time(state, "time", context.start),
        _clean(str(language)) if language is not None else None,
    )


def _started_at(judgement: dict[str, Any], context: Context) -> datetime:
    return absolute_time(judgement, "start_time", context.start) or datetime.min.replace(tzinfo=UTC)


def _finished_at(judgement: dict[str, Any], context: Context) -> datetime | None:
    if judgement.get("judgement_type_id") is None:
        return None
    return absolute_time(judgement, "end_time", context.start)


def _after(time: datetime | None, before: datetime) -> datetime:
    return before + TICK if time is None or time <= before else time


def _registrations(feed: list[Any], context: Context, now: datetime, report: Report) -> list[UserRegistered]:
    """One a team, with its last name, later by a microsecond for each name it had before."""
    names: dict[str, list[str]] = {}
    for kind, object_id, state in feed:
        if kind == "teams" and state is not None:
            said = state.get("display_name") or state.get("name") or object_id
            username = _clean(str(said)) or _clean(object_id)
            history = names.setdefault(object_id, [])
            if not history or history[-1] != username:
                history.append(username)
    report.teams = len(names)
    # a feed read before its contest must not register teams in the future
    since = min(context.start, now) if context.start else _earliest(feed, now)
    return [
        UserRegistered(
            user_id=_named(context, team_id), username=history[-1], registered_at=since + TICK * (len(history) - 1)
        )
        for team_id, history in names.items()
    ]


def _earliest(feed: list[Any], now: datetime) -> datetime:
    times = [
        absolute_time(state, "time", None) for kind, _, state in feed if kind == "submissions" and state is not None
    ]
    return min((time for time in times if time is not None), default=now)


def _count(
    report: Report,
    submissions: dict[str, Submission],
    context: Context,
    known_users: set[str],
    verdicts: list[SubmissionSolved | SubmissionRevoked],
) -> None:
    for submission in submissions.values():
        report.judgements += len(submission.judgements)
        if not submission.seen:
            report.orphan_judgements += len(submission.judgements)
            continue
        report.submissions += 1
        state = submission.state
        if state is not None and state.get("team_id") is None:
            report.submissions_without_team += 1
        elif state is not None and _named(context, str(state["team_id"])) not in known_users:
            report.submissions_of_unknown_teams += 1
        if state is not None and absolute_time(state, "time", context.start) is None:
            report.unusable_times += 1
        for judgement in submission.judgements.values():
            kind = judgement.get("judgement_type_id")
            if kind is None:
                report.unfinished_judgements += 1
            elif _finished_at(judgement, context) is None:
                report.unusable_times += 1
            if kind is not None and str(kind) not in context.types:
                report.unknown_judgement_types += 1
    report.solved_events = sum(isinstance(event, SubmissionSolved) for event in verdicts)
    report.revocations = len(verdicts) - report.solved_events


def _named(context: Context, object_id: str) -> str:
    """Ids of two contests never collide."""
    return f"{context.contest_id}:{_clean(object_id)}"[:TEXT_MAX_CHARS]


def _clean(text: str) -> str:
    return CONTROL_CHARS.sub(" ", text)[:TEXT_MAX_CHARS]
