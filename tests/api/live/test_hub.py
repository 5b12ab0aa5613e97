"""The hub of live updates: every reader ends with the newest standings, in whatever order changes and reads come."""

import asyncio
import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solve_api.live.entries import (
    BEGINNING,
    BOARD_CHANGES_MAX,
    MANY,
    BoardChange,
    StreamEntry,
    StreamId,
    UserChange,
    change_of,
    read_entry,
)
from solve_api.live.hub import BOARD_INTERVAL_S, Hub, Subscription
from tests.events import at


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object], /) -> None:
        self.calls.append((when, callback))

    def move(self, seconds: float) -> None:
        """Calls whoever is due."""
        self.now += seconds
        due = [call for call in self.calls if call[0] <= self.now]
        self.calls = [call for call in self.calls if call[0] > self.now]
        for _, callback in due:
            callback()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def hub(time: Time) -> Hub:
    made = Hub(100, time)
    made.begin(BEGINNING)
    made.see(1)
    time.move(1)
    time.move(1)
    return made


def change(user_id: str, version: int, epoch: int = 1) -> UserChange:
    return UserChange(user_id, version, at(version), version, epoch)


def entry(number: int, *changes: UserChange, epoch: int = 1) -> StreamEntry:
    return StreamEntry(StreamId(number, 0), epoch, BoardChange({one.user_id: one for one in changes}))


def versions(stream: Subscription) -> dict[str, int]:
    return {one.user_id: one.version for one in stream.take().changes}


def test_a_change_reaches_those_who_watch_the_user_and_nobody_else(hub: Hub) -> None:
    with hub.watching(["a"], board=False) as one, hub.watching(["b", "a"], board=False) as two:
        one.take(), two.take()
        hub.notify_entry(entry(1, change("a", 5)))
        hub.notify_entry(entry(2, change("b", 6)))
        assert versions(one) == {"a": 5}
        assert versions(two) == {"a": 5, "b": 6}
        assert versions(two) == {}
        assert one.take().stream_id == two.take().stream_id == (2, 0)


def test_a_slow_reader_keeps_only_the_newest_of_each(hub: Hub, time: Time) -> None:
    with hub.watching(["a"], board=True) as stream:
        for number in range(1, 10_000):
            hub.notify_entry(entry(number, change("a", number), change(f"u{number % 7}", number)))
            time.move(1)
        news = stream.take()
        assert [one.version for one in news.changes] == [9_999]
        assert news.board.changes.keys() == {"a", *(f"u{number}" for number in range(7))}
        assert {one.version for one in news.board.changes.values()} == {*range(9_993, 10_000)}


def test_board_changes_come_together_and_not_too_often(hub: Hub, time: Time) -> None:
    with hub.watching([], board=True) as stream:
        hub.notify_entry(entry(1, change("a", 1)))
        hub.notify_entry(entry(2, change("b", 2)))
        assert not stream.take().board
        time.move(0)
        assert stream.take().board.changes.keys() == {"a", "b"}
        hub.notify_entry(entry(3, change("a", 3)))
        time.move(BOARD_INTERVAL_S / 2)
        assert not stream.take().board
        time.move(BOARD_INTERVAL_S)
        assert stream.take().board.changes["a"].version == 3


def test_a_board_reader_gets_no_id_beyond_what_it_was_sent(hub: Hub, time: Time) -> None:
    with hub.watching(["a"], board=True) as stream:
        hub.notify_entry(entry(1, change("x", 1)))
        time.move(0)
        hub.notify_entry(entry(2, change("a", 2)))
        news = stream.take()
        assert ([one.version for one in news.changes], news.stream_id) == ([2], (1, 0))
        time.move(1)
        assert stream.take().stream_id == (2, 0)


def test_too_many_to_name_are_not_named(hub: Hub, time: Time) -> None:
    with hub.watching([], board=True) as stream:
        for number in range(BOARD_CHANGES_MAX):
            hub.notify_entry(entry(number + 1, change(f"u{number}", 1)))
        time.move(1)
        assert not stream.take().board.many
        for number in range(BOARD_CHANGES_MAX + 1):
            hub.notify_entry(entry(number + 500, change(f"u{number}", 2)))
        time.move(1)
        assert json.loads(stream.take().board.text) == {"changed": [], "many": True}
        hub.notify_board(MANY)
        time.move(1)
        assert stream.take().board == MANY


def test_a_new_epoch_resets_every_stream_and_accepts_lower_versions(hub: Hub, time: Time) -> None:
    with hub.watching(["a", "b"], board=True) as stream:
        hub.notify_entry(entry(1, change("a", 50), change("b", 50)))
        time.move(1)
        hub.notify_entry(entry(2, change("a", 7, epoch=2), epoch=2))
        hub.notify_entry(entry(3, change("b", 51)))
        time.move(1)
        news = stream.take()
        assert (news.reset, [one.order for one in news.changes], news.board.many) == (True, [(2, 7)], True)
        assert [hub.known("a"), hub.known("b")] == [7, -1]
        assert not stream.take().reset


def test_a_user_nobody_watches_is_forgotten(hub: Hub) -> None:
    with hub.watching(["a"], board=False):
        hub.notify(1, [change("a", 9)])
        assert (hub.watched(), hub.known("a")) == (["a"], 9)
    assert (hub.watched(), hub.known("a"), hub.streams) == ([], -1, 0)


async def test_news_are_waited_for_and_a_closed_hub_ends_every_wait() -> None:
    hub = Hub(2)
    with hub.watching(["a"], board=False) as one, hub.watching(["b"], board=False) as two:
        assert hub.full
        first = await one.next(60), await two.next(60)
        assert [news and news.stream_id for news in first] == [None, None]
        waiting = [asyncio.create_task(stream.next(60)) for stream in (one, two)]
        await asyncio.sleep(0)
        hub.notify(1, [change("a", 1)])
        news = await waiting[0]
        assert news is not None
        assert [found.version for found in news.changes] == [1]
        assert not waiting[1].done()
        nothing = await one.next(0)
        assert nothing is not None
        assert not nothing.changes
        hub.close()
        assert await waiting[1] is None
        assert await one.next(60) is None
    assert hub.full


def test_an_entry_is_read_as_it_was_written_and_like_a_row() -> None:
    users = b'[["\xc3\xa9\\/\\u007f",3,1767225607,1767225600123456],["b",0,null,6]]'
    read = read_entry(b"12-3", {b"epoch": b"4", b"users": users})
    row = change_of(("é/\x7f", 3, at(7.9), 1_767_225_600_123_456), 4)
    assert read == StreamEntry(StreamId(12, 3), 4, BoardChange({"é/\x7f": row, "b": UserChange("b", 0, None, 6, 4)}))
    assert json.loads(row.text) == {
        "user_id": "é/\x7f",
        "problems_solved": 3,
        "last_solved_at": "2026-01-01T00:00:07Z",
        "version": 1_767_225_600_123_456,
    }
    assert read_entry(b"1-0", {b"epoch": b"4", b"many": b"1"}).board == MANY


@pytest.mark.parametrize(
    "fields", [{}, {b"epoch": b"x"}, {b"epoch": b"1", b"users": b"[1]"}, {b"epoch": b"1", b"users": b"{"}]
)
def test_what_somebody_else_wrote_is_refused(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_entry(b"1-0", fields)


@pytest.mark.parametrize("said", ["", "1", "1-", "-1", "x-0", "1-0 ", "1-0\n", "٣-0", "9" * 30 + "-0"])
def test_a_text_that_is_no_stream_id_is_none(said: str) -> None:
    assert StreamId.parse(said) is None


ids = st.sampled_from("abc")
notified = st.tuples(st.just("entry") | st.just("asked"), ids, st.integers(0, 9), st.integers(1, 2))
read = st.tuples(st.just("read"), st.integers(0, 2), st.just(0), st.just(0))
passed = st.tuples(st.just("time"), st.sampled_from([0.0, 0.05, 1.0]), st.just(0), st.just(0))
WATCHED = (["a"], ["a", "b"], ["b", "c"])


class Reader:
    """What a page does with a stream, and what must not happen to it."""

    def __init__(self, stream: Subscription) -> None:
        self.stream = stream
        self.seen: dict[str, tuple[int, int]] = {}

    def read(self) -> None:
        news = self.stream.take()
        if news.reset:
            self.seen.clear()
        for one in news.changes:
            assert one.user_id in self.stream.user_ids
            assert one.order > self.seen.get(one.user_id, (0, -1))
            self.seen[one.user_id] = one.order


def newest_of(changes: list[UserChange]) -> dict[str, tuple[int, int]]:
    """By user, of the last epoch that was heard of."""
    newest: dict[str, tuple[int, int]] = {}
    for one in changes:
        if newest and one.epoch > max(epoch for epoch, _ in newest.values()):
            newest.clear()
        if not newest or one.epoch == max(epoch for epoch, _ in newest.values()):
            newest[one.user_id] = max(one.order, newest.get(one.user_id, one.order))
    return newest


@given(st.lists(notified | read | passed, max_size=60))
def test_a_reader_ends_with_the_newest_and_never_sees_one_go_back(steps: list[tuple[str, Any, int, int]]) -> None:
    time, changes = Time(), []
    hub = Hub(10, time)
    hub.begin(BEGINNING)
    with ExitStack() as streams:
        readers = [Reader(streams.enter_context(hub.watching(user_ids, board=True))) for user_ids in WATCHED]
        for number, (step, what, version, epoch) in enumerate(steps, 1):
            if step == "read":
                readers[what].read()
            elif step == "time":
                time.move(what)
            else:
                changes.append(change(what, version, epoch))
                if step == "entry":
                    hub.notify_entry(entry(number, changes[-1], epoch=epoch))
                else:
                    hub.notify(epoch, changes[-1:])
        newest = newest_of(changes)
        for reader in readers:
            reader.read()
            assert reader.seen == {one: newest[one] for one in reader.stream.user_ids & newest.keys()}
