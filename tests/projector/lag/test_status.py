"""Burrow's rules, in their order, on windows of commits."""

import pytest

from solve_projector.lag.snapshot import PartitionSnapshot, Snapshot, Stage, StageLag
from solve_projector.lag.status import Assessment, Commit, CommitWindow, Status, assess, worst
from solve_projector.lag.windows import CommitWindows
from solve_projector.log.group import Member

# Of each: commits (second, offset, lag then), the log's ends at the snapshots, and now. The last lag is that of now.
WINDOWS = {
    "nothing waits": ([(0, 10, 0), (5, 10, 0)], [10, 10], 6, Status.OK),
    "it was at the end within the window": ([(0, 10, 0), (5, 10, 40), (10, 10, 60)], [10, 50, 70], 11, Status.OK),
    "it catches up": ([(0, 10, 90), (5, 40, 60), (10, 70, 30)], [100, 100, 100], 11, Status.OK),
    "it shrinks, then grows": ([(0, 10, 90), (5, 40, 60), (10, 50, 80)], [100, 100, 130], 11, Status.OK),
    "it is seen once": ([(10, 10, 90)], [100], 10, Status.OK),
    "the lag grows at every commit": ([(0, 10, 20), (5, 20, 30), (10, 30, 50)], [30, 50, 80], 11, Status.WARN),
    "the lag stays the same at every commit": ([(0, 10, 20), (5, 20, 20), (10, 30, 20)], [30, 40, 50], 11, Status.WARN),
    "at the end in the first commit": ([(0, 10, 0), (5, 20, 30), (10, 30, 50)], [10, 50, 80], 11, Status.OK),
    "no commit for longer than the window": ([(0, 10, 20), (5, 20, 30)], [30, 50, 90], 11, Status.STOP),
    "no commit for just as long as the window": ([(0, 10, 20), (5, 20, 30)], [30, 50, 90], 10, Status.WARN),
    "stopped although it once was at the end": ([(0, 10, 0), (5, 20, 0)], [90, 90, 90], 30, Status.STOP),
    "stopped, but the log has only just grown": ([(0, 10, 5), (5, 20, 0)], [20, 20, 90], 30, Status.OK),
    "an old commit and nobody since": ([(-9000, 10, None)], [90, 90], 0, Status.STOP),
    "one offset again and again": ([(0, 10, 20), (5, 10, 20), (10, 10, 60)], [30, 30, 70], 11, Status.STALL),
    "it stalls and nothing comes": ([(0, 10, 20), (5, 10, 20), (10, 10, 20)], [30, 30, 30], 11, Status.STALL),
    "the offset went back": ([(0, 50, 50), (5, 20, 80), (10, 60, 40)], [100, 100, 100], 11, Status.REWIND),
    "it went back and stopped": ([(0, 50, 50), (5, 20, 80)], [100, 100, 100], 30, Status.STOP),
    "it went back after a commit of unknown lag": ([(-900, 50, None), (5, 20, 80)], [100, 100], 6, Status.REWIND),
}  # fmt: skip


def assessed(history: tuple[list[tuple[float, int, int | None]], list[int], float, Status]) -> Assessment:
    commits, ends, now_s, _ = history
    commits = tuple(Commit(*commit) for commit in commits)
    offset = commits[-1].offset
    return assess(CommitWindow(commits, ends, 0, offset, ends[-1] - offset), now_s)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_has_the_status_that_burrow_gives_it(name: str) -> None:
    assessment = assessed(WINDOWS[name])
    assert assessment.status is WINDOWS[name][3], assessment.why
    assert assessment.why.isprintable()
    assert assessment.why


@pytest.mark.parametrize(("offset", "begin", "end"), [(101, 0, 100), (9, 10, 100)])
def test_an_offset_outside_of_the_log_is_an_error(offset: int, begin: int, end: int) -> None:
    assessment = assess(CommitWindow((Commit(0, offset, 0),), (end,), begin, offset, 0), 1)
    assert assessment.status is Status.ERR
    assert str(offset) in assessment.why


def test_events_that_nobody_ever_read_are_stopped() -> None:
    assert assess(CommitWindow((), (7,), 0, 0, 7), 1).status is Status.STOP
    assert assess(CommitWindow((), (0,), 0, 0, 0), 1).status is Status.OK


def test_a_group_is_as_bad_as_its_worst_partition() -> None:
    of = {status: Assessment(status, "") for status in Status}
    assert worst([of[Status.OK], of[Status.STALL], of[Status.WARN]]) is Status.STALL
    assert worst([]) is Status.OK
    assert sorted(Status) == [Status.OK, Status.WARN, Status.ERR, Status.STOP, Status.STALL, Status.REWIND]


MEMBER = Member("solve-projector-1", "/10.0.0.1", "solve-projector", frozenset({0}))


def taken(
    at_s: float, offset: int, end: int, owner: Member | None = MEMBER, applied_at_s: float | None = None
) -> Snapshot:
    stages = {Stage.POSTGRESQL: StageLag(offset, end - offset, 0.0)}
    return Snapshot(at_s, "g", "t", 1, (PartitionSnapshot(0, 0, end, stages, owner, applied_at_s),))


def status_after(*snapshots: Snapshot, size: int = 10) -> Status:
    windows = CommitWindows(size, 50)
    for one in snapshots:
        assessments = windows.add(one)
    return assessments[0].status


def test_a_member_that_does_not_move_stalls_and_one_that_is_gone_stops() -> None:
    frozen = [taken(second, 10, 50) for second in range(5)]
    assert status_after(*frozen) is Status.STALL
    gone = [taken(second, 10, 60, owner=None) for second in range(5, 10)]
    assert status_after(*frozen, *gone) is Status.STOP


def test_a_window_forgets_that_the_end_was_reached() -> None:
    frozen = [taken(second, 10, 50) for second in range(1, 9)]
    assert status_after(taken(0, 10, 10), *frozen) is Status.OK
    assert status_after(taken(0, 10, 10), *frozen, size=5) is Status.STALL


def test_one_snapshot_of_a_partition_without_a_member_goes_by_the_rows_own_time() -> None:
    assert status_after(taken(100, 10, 50, owner=None, applied_at_s=40)) is Status.STOP
    assert status_after(taken(100, 50, 50, owner=None, applied_at_s=40)) is Status.OK


def test_an_offset_moved_back_between_two_snapshots_is_a_rewind() -> None:
    before, after = (
        taken(100, 40, 50, owner=None, applied_at_s=40),
        taken(101, 20, 50, owner=None, applied_at_s=101),
    )
    assert status_after(before, after) is Status.REWIND


def test_a_partition_whose_offset_could_not_be_read_is_not_assessed() -> None:
    unknown = Snapshot(
        1, "g", "t", 1, (PartitionSnapshot(0, 0, 9, {}, MEMBER, None),), problems={"postgresql": "unavailable"}
    )
    assert CommitWindows(3, 50).add(unknown) == {}
