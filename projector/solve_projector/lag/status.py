"""The status of a partition by Burrow's rules, over a sliding window of its commits; pure, without any I/O.

The rules and their order are those of Burrow's evaluator (its wiki, Consumer Lag Evaluation Rules, and
`calculatePartitionStatus` of its newest version):

1. no lag now: OK;
2. the last commit is longer ago than the window is long, and the lag was never zero lately: STOP;
3. the lag was zero at a commit of the window: OK;
4. the offset went back: REWIND;
5. the offset does not move: STALL;
6. the offset moves, but the lag never shrank: WARN;
7. otherwise OK.

Two rules of ours: before them, an offset outside the log is ERR; after them, a transaction that has held the partition
for longer than the window makes OK a WARN. Burrow's rules see only what can be read: nobody can apply what it hides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

from solve_projector.log.state import OpenTransaction


class Status(IntEnum):
    """From good to bad; a group has the worst of its partitions."""

    OK = 0
    WARN = 1
    ERR = 2
    STOP = 3
    STALL = 4
    REWIND = 5


@dataclass(frozen=True, slots=True)
class Commit:
    """When (seconds since 1970) which offset was committed, and the lag in messages at that time (None: unknown)."""

    at_s: float
    offset: int
    lag: int | None


@dataclass(frozen=True, slots=True)
class CommitWindow:
    """One partition's commits, oldest first, the log's end at each snapshot, and the current offset and lag.

    Ends and lags are those of what can be read; `transaction` holds what comes after, an alarm after `span_s`.
    """

    commits: Sequence[Commit]
    ends: Sequence[int]
    begin: int
    offset: int
    lag: int
    transaction: OpenTransaction | None = None
    span_s: float = 0.0

    @property
    def end(self) -> int:
        """The log's end at the newest snapshot."""
        return self.ends[-1]


@dataclass(frozen=True, slots=True)
class Assessment:
    """A status, and one sentence that says why."""

    status: Status
    why: str


def assess(window: CommitWindow, now_s: float) -> Assessment:
    """The status of one partition at `now_s` (seconds since 1970)."""
    found = _assess_readable(window, now_s)
    if window.transaction is None:
        return found
    if found.status is not Status.OK:
        return Assessment(found.status, f"{found.why}; and {window.transaction.said}")
    held_s = now_s - window.transaction.since_s
    return Assessment(Status.WARN if held_s > window.span_s else Status.OK, window.transaction.said)


def _assess_readable(window: CommitWindow, now_s: float) -> Assessment:
    if not window.begin <= window.offset <= window.end:
        return Assessment(
            Status.ERR,
            f"the next offset {window.offset} is outside the log, which goes from {window.begin} to {window.end}",
        )
    if window.lag == 0:
        return Assessment(Status.OK, "everything in the log is applied")
    commits = window.commits
    if not commits:
        return Assessment(Status.STOP, f"{_waiting(window)}, and none was ever applied: no projector reads it")
    if _stopped(commits, now_s) and not _recently_at_end(window):
        ago = now_s - commits[-1].at_s
        return Assessment(Status.STOP, f"{_waiting(window)}, and no projector has committed for {_duration(ago)}")
    if any(commit.lag == 0 for commit in commits):
        return Assessment(Status.OK, f"{_waiting(window)}, and the end was reached within the window")
    return _assess_movement(window, now_s)


def worst(assessments: Sequence[Assessment]) -> Status:
    """The group's status."""
    return max((assessment.status for assessment in assessments), default=Status.OK)


def _assess_movement(window: CommitWindow, now_s: float) -> Assessment:
    commits = window.commits
    spans = _duration(now_s - commits[0].at_s)
    if len(commits) == 1:
        return Assessment(Status.OK, f"{_waiting(window)}; only one commit seen, too few to see movement")
    if step := next((pair for pair in pairwise(commits) if pair[1].offset < pair[0].offset), None):
        return Assessment(Status.REWIND, f"the offset went back from {step[0].offset} to {step[1].offset}")
    if commits[-1].offset == commits[0].offset:
        return Assessment(
            Status.STALL, f"{_waiting(window)}, and the offset has not moved for {spans}, although a projector reads it"
        )
    lags = [commit.lag for commit in commits if commit.lag is not None]
    if len(lags) > 1 and all(later >= earlier for earlier, later in pairwise(lags)):
        return Assessment(Status.WARN, f"{_waiting(window)}: the offset moves, but the lag has not shrunk for {spans}")
    return Assessment(Status.OK, f"{_waiting(window)}, and it is catching up")


def _stopped(commits: Sequence[Commit], now_s: float) -> bool:
    return now_s - commits[-1].at_s > commits[-1].at_s - commits[0].at_s


def _recently_at_end(window: CommitWindow) -> bool:
    """Whether the last commit was the log's end at some snapshot: the consumer was up to date then."""
    return min(window.ends) <= window.commits[-1].offset


def _waiting(window: CommitWindow) -> str:
    return "1 event waits" if window.lag == 1 else f"{window.lag} events wait"


def _duration(seconds: float) -> str:
    """A rounded duration with its unit."""
    seconds = max(seconds, 0.0)
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
