"""Asks Judge0 for results whose callbacks may have been lost, and publishes them.

Judge0 does not say which submissions it has, so the judge keeps a line for each: its token and its callback's URL. The
events are those of the callbacks, so a sweep over everything is harmless.
"""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import httpx
from pydantic_core import from_json

from solve_gateway.errors import BadResult, BadSignature, SweepFailed
from solve_gateway.judge0.signing import PATH, Callback, read_signed, time_refused
from solve_gateway.judge0.verdicts import INTERNAL_ERROR, WAITING, status_id_of, verdict_of
from solve_gateway.settings import Judge0Settings
from solve_producer.client import SolveProducer
from solve_schemas.record import EncodedRecord, encode

AT_ONCE = 20  # Judge0's MAX_SUBMISSION_BATCH_SIZE, by default
TIMEOUT_S = 30.0
TOKEN = re.compile(r"([A-Za-z0-9-]{1,100})")


class Handed(NamedTuple):
    """A submission that was handed to Judge0."""

    token: str
    callback: Callback


@dataclass(slots=True)
class Swept:
    """What a sweep found."""

    published: int = 0
    waiting: int = 0
    failed_in_judge0: int = 0
    unknown: int = 0
    bad_lines: list[str] = field(default_factory=list)


def handed_in(lines: Iterable[bytes], key: str, swept: Swept) -> Iterator[Handed]:
    """What each line says: `{"token": …, "callback_url": …}`; bad lines are kept in `swept`."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            said = from_json(line)
            (token,) = TOKEN.fullmatch(said["token"]).groups()  # type: ignore[union-attr]  # caught below
            callback = read_signed(key, str(said["callback_url"]).rpartition(PATH)[2])
            if refused := time_refused(callback):
                swept.bad_lines.append(f"{number}: {refused}")
            else:
                yield Handed(token, callback)
        except BadSignature as error:
            swept.bad_lines.append(f"{number}: {error}")
        except (ValueError, KeyError, TypeError, AttributeError):
            swept.bad_lines.append(f'{number}: must be {{"token": …, "callback_url": …}}, as Judge0 got it')


async def sweep(handed: Iterable[Handed], settings: Judge0Settings, producer: SolveProducer, swept: Swept) -> None:
    """Publishes what Judge0 has judged. Raises SweepFailed, and what the producer raises."""
    token = settings.judge0_token
    headers = {settings.judge0_token_header: token.get_secret_value()} if token else {}
    async with httpx.AsyncClient(base_url=settings.judge0_url, headers=headers, timeout=TIMEOUT_S) as client:
        lines = iter(handed)
        while some := list(islice(lines, AT_ONCE)):
            results = await _results(client, [one.token for one in some])
            records = [
                record
                for one, result in zip(some, results, strict=True)
                if (record := _record(one, result, swept)) is not None
            ]
            swept.published += await producer.publish_records(_each(records))


def _record(one: Handed, result: Any, swept: Swept) -> EncodedRecord | None:
    if result is None:
        swept.unknown += 1
        return None
    try:
        status_id = status_id_of(result)
    except BadResult as error:
        raise SweepFailed(f"what answers at JUDGE0_URL is not Judge0: {error}") from None
    swept.waiting += status_id in WAITING
    swept.failed_in_judge0 += status_id == INTERNAL_ERROR
    event = verdict_of(one.callback, status_id)
    return encode(event, one.callback.source) if event else None


async def _results(client: httpx.AsyncClient, tokens: list[str]) -> list[Any]:
    parameters = {"tokens": ",".join(tokens), "base64_encoded": "true", "fields": "token,status"}
    try:
        answer = await client.get("submissions/batch", params=parameters)
        answer.raise_for_status()
        found = answer.json()["submissions"]
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        raise SweepFailed(f"Judge0 answers {status}; check JUDGE0_URL and JUDGE0_TOKEN, then sweep again") from None
    except httpx.HTTPError as error:
        said = str(error) or type(error).__name__
        raise SweepFailed(f"Judge0 does not answer ({said}); check JUDGE0_URL, then sweep again") from None
    except (ValueError, KeyError, TypeError):
        raise SweepFailed("what answers at JUDGE0_URL is not Judge0; check it, then sweep again") from None
    if not isinstance(found, list) or len(found) != len(tokens):
        raise SweepFailed("Judge0 answers for other submissions than it was asked for; check JUDGE0_URL")
    return found


async def _each(records: Iterable[EncodedRecord]) -> AsyncIterator[EncodedRecord]:
    for record in records:
        yield record
