"""Is a partition judged by Burrow's rules, in their order? From tables of what its consumer did."""

import pytest

from solve_projector.lag.history import History
from solve_projector.lag.snapshot import Look, PartitionLook, Stage, StageLag
from solve_projector.lag.status import Entry, Judgement, Status, Window, judge, worst
from solve_projector.log.group import Member

# Of each: commits (second, offset, lag then), the log's ends at the looks, and now. The last lag is that of now.
HISTORIES = {
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


def judged(history: tuple[list[tuple[float, int, int | None]], list[int], float, Status]) -> Judgement:
    commits, ends, now_s, _ = history
    entries = tuple(Entry(*commit) for commit in commits)
    offset = entries[-1].offset
    return judge(Window(entries, ends, 0, offset, ends[-1] - offset), now_s)


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_has_the_status_that_burrow_gives_it(name: str) -> None:
    judgement = judged(HISTORIES[name])
    assert judgement.status is HISTORIES[name][3], judgement.why
    assert judgement.why.isprintable()
    assert judgement.why


@pytest.mark.parametrize(("offset", "begin", "end"), [(101, 0, 100), (9, 10, 100)])
def test_an_offset_outside_of_the_log_is_an_error(offset: int, begin: int, end: int) -> None:
    judgement = judge(Window((Entry(0, offset, 0),), (end,), begin, offset, 0), 1)
    assert judgement.status is Status.ERR
    assert str(offset) in judgement.why


def test_events_that_nobody_ever_read_are_stopped() -> None:
    assert judge(Window((), (7,), 0, 0, 7), 1).status is Status.STOP
    assert judge(Window((), (0,), 0, 0, 0), 1).status is Status.OK


def test_a_group_is_as_bad_as_its_worst_partition() -> None:
    of = {status: Judgement(status, "") for status in Status}
    assert worst([of[Status.OK], of[Status.STALL], of[Status.WARN]]) is Status.STALL
    assert worst([]) is Status.OK
    assert sorted(Status) == [Status.OK, Status.WARN, Status.ERR, Status.STOP, Status.STALL, Status.REWIND]


MEMBER = Member("solve-projector-1", "/10.0.0.1", "solve-projector", frozenset({0}))


def look(at_s: float, offset: int, end: int, owner: Member | None = MEMBER, applied_at_s: float | None = None) -> Look:
    stages = {Stage.POSTGRESQL: StageLag(offset, end - offset, 0.0)}
    return Look(at_s, "g", "t", 1, (PartitionLook(0, 0, end, stages, owner, applied_at_s),))


def status_after(*looks: Look, size: int = 10) -> Status:
    history = History(size)
    for one in looks:
        judgements = history.add(one)
    return judgements[0].status


def test_a_member_that_does_not_move_stalls_and_one_that_is_gone_stops() -> None:
    frozen = [look(second, 10, 50) for second in range(5)]
    assert status_after(*frozen) is Status.STALL
    gone = [look(second, 10, 60, owner=None) for second in range(5, 10)]
    assert status_after(*frozen, *gone) is Status.STOP


def test_a_window_forgets_that_the_end_was_reached() -> None:
    frozen = [look(second, 10, 50) for second in range(1, 9)]
    assert status_after(look(0, 10, 10), *frozen) is Status.OK
    assert status_after(look(0, 10, 10), *frozen, size=5) is Status.STALL


def test_one_look_at_a_partition_without_a_member_goes_by_the_rows_own_time() -> None:
    assert status_after(look(100, 10, 50, owner=None, applied_at_s=40)) is Status.STOP
    assert status_after(look(100, 50, 50, owner=None, applied_at_s=40)) is Status.OK


def test_an_offset_moved_back_between_two_looks_is_a_rewind() -> None:
    before, after = look(100, 40, 50, owner=None, applied_at_s=40), look(101, 20, 50, owner=None, applied_at_s=101)
    assert status_after(before, after) is Status.REWIND


def test_a_partition_whose_truth_could_not_be_read_is_not_judged() -> None:
    unknown = Look(1, "g", "t", 1, (PartitionLook(0, 0, 9, {}, MEMBER, None),), problems={"postgresql": "away"})
    assert History(3).add(unknown) == {}
