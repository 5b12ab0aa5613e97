"""Asks Judge0 for results whose callbacks may have been lost, and publishes them.

Judge0 does not say which submissions it has, so the judge keeps a line for each: its token and its callback's URL. The
events are those of the callbacks, so a sweep over everything is harmless. A line that brings no verdict and never will
is named, and the rest goes on.
"""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from pydantic_core import from_json

from solve_gateway.errors import BadResult, BadSignature
from solve_gateway.judge0.asking import Judge0
from solve_gateway.judge0.signing import PATH, Callback, read_signed, time_refused
from solve_gateway.judge0.verdicts import INTERNAL_ERROR, WAITING, status_id_of, verdict_of
from solve_producer.client import SolveProducer
from solve_schemas.record import EncodedRecord, encode

TOKEN = re.compile(r"([A-Za-z0-9-]{1,100})")
PURGED = "Judge0 has no such submission (any more); judge it again, or decide by hand"
NOT_COMPARED = "it has no `expected_output`, so Judge0 says only whether it ran; send the verdict to /v1/events"


class Handed(NamedTuple):
    """A submission that was handed to Judge0, and the number of its line."""

    line: int
    token: str
    callback: Callback


@dataclass(slots=True)
class Swept:
    """What a sweep found. `named` has a sentence for each line that needs somebody."""

    published: int = 0
    waiting: int = 0
    failed_in_judge0: int = 0
    unknown: int = 0
    unknown_status: int = 0
    not_compared: int = 0
    bad_lines: int = 0
    named: list[str] = field(default_factory=list)

    def name(self, line: int, why: object) -> None:
        """Keeps why a line brings nothing."""
        self.named.append(f"{line}: {why}")


def handed_in(lines: Iterable[bytes], key: str, swept: Swept) -> Iterator[Handed]:
    """What each line says: `{"token": …, "callback_url": …}`; bad lines are named in `swept`."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            said = from_json(line)
            (token,) = TOKEN.fullmatch(said["token"]).groups()  # type: ignore[union-attr]  # caught below
            callback = read_signed(key, str(said["callback_url"]).rpartition(PATH)[2])
            refused: object = time_refused(callback)
        except BadSignature as error:
            refused = error
        except (ValueError, KeyError, TypeError, AttributeError):
            refused = 'must be {"token": …, "callback_url": …}, as Judge0 got it'
        if refused:
            swept.bad_lines += 1
            swept.name(number, refused)
        else:
            yield Handed(number, token, callback)


async def sweep(handed: Iterable[Handed], judge0: Judge0, producer: SolveProducer, swept: Swept, at_once: int) -> None:
    """Publishes what Judge0 has judged. Raises SweepFailed, and what the producer raises."""
    lines = iter(handed)
    while some := list(islice(lines, at_once)):
        results = await judge0.submissions([one.token for one in some])
        pairs = zip(some, results, strict=True)
        records = [record for one, result in pairs if (record := _record(one, result, swept)) is not None]
        swept.published += await producer.publish_records(_each(records))


def _record(one: Handed, result: dict[str, Any] | None, swept: Swept) -> EncodedRecord | None:
    if result is None:
        swept.unknown += 1
        swept.name(one.line, PURGED)
        return None
    try:
        status_id = status_id_of(result)
    except BadResult as error:
        swept.unknown_status += 1
        swept.name(one.line, error)
        return None
    if result.get("expected_output") is None:
        swept.not_compared += 1
        swept.name(one.line, NOT_COMPARED)
        return None
    swept.waiting += status_id in WAITING
    swept.failed_in_judge0 += status_id == INTERNAL_ERROR
    event = verdict_of(one.callback, status_id)
    return encode(event, one.callback.source) if event else None


async def _each(records: Iterable[EncodedRecord]) -> AsyncIterator[EncodedRecord]:
    for record in records:
        yield record
