"""What do admins see of a dead letter, and what did they decide? For the API and for the page alike."""

from base64 import b64encode
from typing import Any

from fastapi import Request

from solve_api.http.rate_limits import Kind as RateKind
from solve_api.identity.audit import record
from solve_api.identity.authentication import Caller
from solve_api.models.operations import DeadLetter, DiscardRequest, Encoded, Header, RetryReport, RetryRequest
from solve_api.operations.repairs import entry_of
from solve_api.stores import stores_of
from solve_projector.errors import SelectorUnclear
from solve_projector.operations.retry_dead_letters import retry as retry_letters
from solve_projector.store import dead_letters
from solve_projector.store.dead_letters import Selection, StoredDeadLetter


def whole(letter: StoredDeadLetter) -> DeadLetter:
    """The record as the log gave it; bytes that are no UTF-8 as base64."""
    headers = [Header(name=name, value=_encoded(content)) for name, content in letter.headers]
    return DeadLetter(**letter.summary(), key=_encoded(letter.key), value=_encoded(letter.value), headers=headers)


async def retry(request: Request, caller: Caller, asked: RetryRequest) -> RetryReport:
    """Reads dead letters again and applies what can be applied. Raises SelectorUnclear, DeadLetterUnknown."""
    filtered = asked.all or any(one is not None for one in (asked.reason, asked.user_id, asked.partition))
    if bool(asked.ids) == filtered:
        raise SelectorUnclear("name either ids, or reason, user_id, partition or all")
    await request.app.state.rate_limits.spend(RateKind.COSTLY, caller.name)
    stores = stores_of(request)
    reason = asked.reason and asked.reason.value
    chosen = Selection(tuple(asked.ids) if asked.ids else None, reason, asked.user_id, asked.partition)
    async with stores.pool.acquire() as connection:
        found = await retry_letters(connection, stores.connection.topic, chosen)
        report = RetryReport(applied=found.applied, parked=found.parked, still_dead=dict(found.still_dead))
        said: dict[str, Any] = {"asked": asked.model_dump(exclude_none=True), **report.model_dump()}
        await record(connection, entry_of(request, caller, "retry-dead-letters", said, "done"))
    return report


async def discard(request: Request, caller: Caller, asked: DiscardRequest) -> int:
    """Gives them up, all or none. Raises DeadLetterUnknown, AlreadyDecided, WhoUnknown."""
    async with stores_of(request).pool.acquire() as connection, connection.transaction():
        number = await dead_letters.discard(connection, asked.ids, caller.name, asked.why)
        said = {"ids": asked.ids, "why": asked.why}
        await record(connection, entry_of(request, caller, "discard-dead-letters", said, "done"))
    return number


def _encoded(content: bytes | None) -> Encoded | None:
    if content is None:
        return None
    try:
        return Encoded(encoding="utf-8", data=content.decode())
    except UnicodeDecodeError:
        return Encoded(encoding="base64", data=b64encode(content).decode())
