"""Publishes event files, checked before anything is sent, and standard input, sent as it is read."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from solve_producer.cli.event_file import Line, open_events, read_lines
from solve_producer.client import SolveProducer
from solve_producer.errors import BadLine
from solve_runtime.console import Advance
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.event_source import DEFAULT_SOURCE
from solve_schemas.events import Event
from solve_schemas.rejection import Rejected

# Enough to see what is wrong; a file of another kind must not fill the memory with its lines.
BAD_LINES_KEPT = 1_000


@asynccontextmanager
async def connected_producer(
    connection: KafkaConnection | None = None, source: str = DEFAULT_SOURCE
) -> AsyncIterator[SolveProducer]:
    """A command's own client. Raises what SolveProducer.connect raises, after one attempt."""
    async with SolveProducer(connection or KafkaConnection.of_program(), source=source) as producer:
        await producer.connect()
        yield producer


@dataclass(slots=True)
class Published:
    """How many events the broker has, and which lines were not events."""

    published: int = 0
    invalid: int = 0
    bad_lines: list[str] = field(default_factory=list)

    def reject(self, name: str, line: Line) -> str:
        """Counts a bad line and returns it as shown to a person."""
        assert isinstance(line.said, Rejected)  # noqa: S101 - what callers asked first
        said = f"{name}:{line.number}: {line.said.reason.value}: {line.said.detail}"
        self.invalid += 1
        if len(self.bad_lines) < BAD_LINES_KEPT:
            self.bad_lines.append(said)
        return said


def check_files(files: list[str], now: datetime, bar: Advance) -> list[str]:
    """The bad lines of all files, as `file:line: reason` (at most 1,000). Raises UnreadableFile."""
    checked = Published()
    for _ in _events(files, now, bar, checked):
        pass
    return checked.bad_lines


async def publish_files(files: list[str], now: datetime, bar: Advance) -> Published:
    """Sends the good lines of all files. Raises what SolveProducer raises."""
    result = Published()
    async with connected_producer() as producer:
        result.published = await producer.publish(_events(files, now, bar, result))
    return result


def _events(files: list[str], now: datetime, bar: Advance, result: Published) -> Iterator[Event]:
    """The good lines of all files; bad ones are counted in the result."""
    for file in files:
        with open_events(file) as stream:
            for line in read_lines(stream, now):
                if isinstance(line.said, Rejected):
                    result.reject(file, line)
                else:
                    yield line.said
                bar(line.size)


async def publish_stream(stream: BinaryIO, now: datetime, *, skip_invalid: bool) -> Published:
    """Sends each line as soon as it is read; a bad one ends it, or is skipped.

    Raises BadLine once everything before the bad line was delivered, and what SolveProducer raises.
    """
    result = Published()
    refused: list[str] = []

    async def events() -> AsyncIterator[Event]:
        lines = read_lines(stream, now)
        # in a thread, because a pipe may wait for its next line, and what was sent must go out meanwhile
        while line := await asyncio.to_thread(next, lines, None):
            if not isinstance(line.said, Rejected):
                yield line.said
            elif skip_invalid:
                result.reject("-", line)
            else:
                refused.append(result.reject("-", line))
                return

    async with connected_producer() as producer:
        result.published = await producer.publish(events())
    if refused:
        raise BadLine(
            f"{refused[0]}; the {result.published} events before it were delivered. Fix it and send all again"
        )
    return result
