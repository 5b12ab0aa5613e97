"""Does a partition keep up? Burrow's rules over a sliding window of what its consumer did; pure, without any I/O.

An entry is a commit: an offset, when it was committed, and the lag seen then. The rules and their order are those of
Burrow's evaluator (its wiki, Consumer Lag Evaluation Rules, and `calculatePartitionStatus` of its newest version):

1. no lag now: OK;
2. the last commit is longer ago than the window of commits is long, and the lag was never zero lately: STOP;
3. the lag was zero at a commit of the window: OK;
4. the offset went back: REWIND;
5. the offset does not move: STALL;
6. the offset moves, but the lag never shrank: WARN;
7. otherwise OK.

Ours comes before them: an offset that is not within the log at all is ERR.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise


class Status(IntEnum):
    """From good to bad; a group has the worst of its partitions."""

    OK = 0
    WARN = 1
    ERR = 2
    STOP = 3
    STALL = 4
    REWIND = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """A commit: seconds since 1970, the offset, and the lag in messages then (None: not known)."""

    at_s: float
    offset: int
    lag: int | None


@dataclass(frozen=True, slots=True)
class Window:
    """What is known of one partition: its commits, oldest first, and where the log began and ended at each look."""

    entries: Sequence[Entry]
    ends: Sequence[int]
    begin: int
    offset: int
    lag: int

    @property
    def end(self) -> int:
        """Of the log, at the newest look."""
        return self.ends[-1]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A status, and one sentence for people that says why."""

    status: Status
    why: str


def judge(window: Window, now_s: float) -> Judgement:
    """The status of one partition at `now_s` (seconds since 1970)."""
    if not window.begin <= window.offset <= window.end:
        return Judgement(
            Status.ERR,
            f"the next offset {window.offset} is not within the log, which has {window.begin} to {window.end}",
        )
    if window.lag == 0:
        return Judgement(Status.OK, "everything in the log is applied")
    entries = window.entries
    if not entries:
        return Judgement(Status.STOP, f"{_waiting(window)}, and nothing was ever applied: no projector reads it")
    if _stopped(entries, now_s) and not _recently_at_end(window):
        ago = now_s - entries[-1].at_s
        return Judgement(Status.STOP, f"{_waiting(window)}, and nobody has committed for {_duration(ago)}")
    if any(entry.lag == 0 for entry in entries):
        return Judgement(Status.OK, f"{_waiting(window)}, and the end was reached within the window")
    return _judge_movement(window, now_s)


def worst(judgements: Sequence[Judgement]) -> Status:
    """The group's status."""
    return max((judgement.status for judgement in judgements), default=Status.OK)


def _judge_movement(window: Window, now_s: float) -> Judgement:
    entries = window.entries
    spans = _duration(now_s - entries[0].at_s)
    if len(entries) == 1:
        return Judgement(Status.OK, f"{_waiting(window)}; seen once, so nothing can be said of its movement yet")
    if step := next((pair for pair in pairwise(entries) if pair[1].offset < pair[0].offset), None):
        return Judgement(Status.REWIND, f"the offset went back from {step[0].offset} to {step[1].offset}")
    if entries[-1].offset == entries[0].offset:
        return Judgement(
            Status.STALL, f"{_waiting(window)}, and the offset has not moved for {spans} though a projector was there"
        )
    lags = [entry.lag for entry in entries if entry.lag is not None]
    if len(lags) > 1 and all(later >= earlier for earlier, later in pairwise(lags)):
        return Judgement(Status.WARN, f"{_waiting(window)}: it moves, but has not caught up at all for {spans}")
    return Judgement(Status.OK, f"{_waiting(window)}, and it is catching up")


def _stopped(entries: Sequence[Entry], now_s: float) -> bool:
    return now_s - entries[-1].at_s > entries[-1].at_s - entries[0].at_s


def _recently_at_end(window: Window) -> bool:
    """Whether the log ended where the last commit is at some look: the consumer was up to date then."""
    return min(window.ends) <= window.entries[-1].offset


def _waiting(window: Window) -> str:
    return "1 event waits" if window.lag == 1 else f"{window.lag} events wait"


def _duration(seconds: float) -> str:
    """Rounded as people say it."""
    seconds = max(seconds, 0.0)
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
