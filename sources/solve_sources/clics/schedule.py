"""The times between which a contest runs and is frozen. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from solve_schemas.record import CLOCK_TOLERANCE, LATEST_TIME
from solve_sources.reconciliation.scratch import TICK, as_time
from solve_sources.times import parse_relative_time, parse_time

LONGEST_CONTEST = timedelta(days=36_500)  # what is longer is no time of a contest, and may be too large to keep


class Schedule(NamedTuple):
    """When the contest runs, and whether its scoreboard is frozen; None where the feed does not say.

    A contest that was interrupted ends later than its start and duration say; then its times since the start know.
    """

    start: datetime | None = None
    duration: timedelta | None = None
    frozen_since: datetime | None = None
    freezes_after: timedelta | None = None  # the start
    latest: datetime = LATEST_TIME

    @classmethod
    def of(cls, contest: dict[str, Any], state: dict[str, Any]) -> Self:
        """What a contest and its state say."""
        start = parse_time(contest.get("start_time"))
        if start is not None and start < as_time(0):  # other systems' zero
            start = None
        duration = parse_relative_time(contest.get("duration"))
        if duration is not None and abs(duration) > LONGEST_CONTEST:
            duration = None
        if start is not None and start > LATEST_TIME - LONGEST_CONTEST:  # nobody's contest, and no time to add to
            start = None
        schedule = cls(start, duration, latest=datetime.now(UTC) + CLOCK_TOLERANCE)
        frozen = parse_time(state.get("frozen"))
        if frozen is None or state.get("thawed") is not None:
            return schedule
        before_end = parse_relative_time(contest.get("scoreboard_freeze_duration"))
        if before_end is None or duration is None or not timedelta(0) <= before_end <= duration:
            return schedule._replace(frozen_since=frozen)
        planned = None if schedule.end is None else schedule.end - before_end
        if planned is not None and frozen < planned:  # by hand
            return schedule._replace(frozen_since=frozen)
        return schedule._replace(frozen_since=planned or frozen, freezes_after=duration - before_end)

    @property
    def end(self) -> datetime | None:
        """As start and duration say."""
        return None if self.start is None or self.duration is None else self.start + self.duration

    def is_before_start(self, time: datetime | None, since_start: timedelta | None) -> bool:
        """Whether something happened before the start."""
        if self.start is None or time is None:
            return since_start is not None and since_start < timedelta(0)
        return time < self.start

    def is_after_end(self, time: datetime | None, since_start: timedelta | None) -> bool:
        """Whether something happened at the end or later."""
        return _is_since(self.end, time, self.duration, since_start)

    def is_frozen(self, time: datetime | None, since_start: timedelta | None) -> bool:
        """Whether something happened since a freeze that lasts."""
        return self.frozen_since is not None and _is_since(self.frozen_since, time, self.freezes_after, since_start)

    def moment(self, absolute: int | None, relative: int | None) -> datetime | None:
        """A time that is given as such, or as one since the start; None where no event can have it."""
        time = self._said(absolute, relative)
        return time if time is not None and as_time(0) <= time <= self.latest else None

    def why_unusable(self, absolute: int | None, relative: int | None) -> str:
        """What is wrong with a time of which there is no `moment`."""
        time = self._said(absolute, relative)
        if time is None:
            return "missing, or none that can be read"
        return f"{time.isoformat()}, which is {'in the future' if time > self.latest else 'before 1970'}"

    def _said(self, absolute: int | None, relative: int | None) -> datetime | None:
        if absolute is not None:
            return as_time(absolute)
        if relative is None or self.start is None:
            return None
        try:
            return self.start + relative * TICK
        except OverflowError:
            return None


def _is_since(
    moment: datetime | None, time: datetime | None, after: timedelta | None, since_start: timedelta | None
) -> bool:
    """Whether a time is at a moment or later, and not said to be earlier since the start."""
    is_earlier = after is not None and since_start is not None and since_start < after
    if moment is None or time is None:
        return after is not None and since_start is not None and not is_earlier
    return time >= moment and not is_earlier
