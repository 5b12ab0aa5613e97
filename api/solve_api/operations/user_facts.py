"""Finds users for admins, hidden ones too, and publishes that one is removed, or listed otherwise."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import asyncpg

from solve_api.errors import NameMissing, UserIsRemoved
from solve_api.identity.actors import Actor
from solve_api.operations.fact_bodies import PARKED_MAX, FoundUser, FoundUsers, Published, Removal, UserRecord
from solve_api.operations.facts import FactLog, event_at, later_than, reason_of
from solve_producer.deliveries import Place
from solve_projector.errors import UserUnknown
from solve_runtime.sql import queries
from solve_schemas.events import UserRegistered, UserRemoved

USER_RECORDS_SQL = queries("solve_api.operations", "user_records")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEFORE_REMOVAL = timedelta(seconds=1)  # room for a million registrations, each a tick later
REMOVE, UNLIST, LIST = "remove-user", "unlist-user", "list-user"


class _UnderWay(NamedTuple):
    """The times of the latest decisions of admins about a user, which may be applied or not."""

    registered: datetime | None
    removed: datetime | None


class UserFacts:
    """What admins see and decide of users."""

    def __init__(self, fact_log: FactLog, pool: asyncpg.Pool) -> None:
        self._log = fact_log
        self._pool = pool

    async def find(self, text: str, limit: int) -> FoundUsers:
        """Users whose name or id starts with a text, in any capitals."""
        rows = await self._pool.fetch(USER_RECORDS_SQL["find_users"], text, limit + 1)
        return FoundUsers(users=[FoundUser(**row) for row in rows[:limit]], more=len(rows) > limit)

    async def record(self, user_id: str, place: Place | None = None) -> UserRecord:
        """What is known of a user; with a place, also whether it is in there. Raises UserUnknown."""
        applied = await self._log.is_applied(place)  # before the record is read
        (row,) = await self._pool.fetch(USER_RECORDS_SQL["user_record"], user_id, PARKED_MAX)
        if row["origin"] is None and row["removed_at"] is None and not row["parked_events"]:
            raise UserUnknown(f"there is no user {user_id}; to find one, use /api/admin/users?q=").about(user_id)
        return _record(dict(row), applied)

    async def remove(self, actor: Actor, user_id: str, reason: str, *, erase: bool) -> Published:
        """Publishes that a user is shown nowhere. Raises UserUnknown, ReasonMissing and what `publish` raises."""
        why = reason_of(reason)
        record = await self.record(user_id)
        at = later_than(record.as_of, _latest(record), *await self._under_way(user_id))
        event = event_at(UserRemoved, at, user_id=user_id, reason=why, erase=erase or None)
        detail = {"user_id": user_id, "reason": why, "erase": erase}
        return await self._log.publish(actor, REMOVE, detail, event)

    async def unlist(self, actor: Actor, user_id: str, reason: str) -> Published:
        """Publishes that a user is on no leaderboard. As `remove`; also raises UserIsRemoved, NameMissing."""
        why = reason_of(reason)
        record = await self.record(user_id)
        if record.removed:
            raise UserIsRemoved(
                f"user {user_id} is removed, and on no leaderboard already; to list them would bring them back"
            ).about(user_id)
        event = _registration(record, await self._under_way(user_id), None, listed=False)
        return await self._log.publish(actor, UNLIST, {"user_id": user_id, "reason": why}, event)

    async def list_again(self, actor: Actor, user_id: str, reason: str, username: str | None) -> Published:
        """Publishes that a user is there, and on leaderboards. As `remove`; also raises NameMissing."""
        why = reason_of(reason)
        record = await self.record(user_id)
        event = _registration(record, await self._under_way(user_id), username, listed=True)
        return await self._log.publish(actor, LIST, {"user_id": user_id, "reason": why}, event)

    async def _under_way(self, user_id: str) -> _UnderWay:
        about = {"user_id": user_id}
        return _UnderWay(
            registered=await self._log.decided_at((UNLIST, LIST), about),
            removed=await self._log.decided_at((REMOVE,), about),
        )


def _registration(record: UserRecord, under_way: _UnderWay, username: str | None, *, listed: bool) -> UserRegistered:
    """The user's registration with another listing. A name that the log does not have stays out, unless it is given."""
    user_id = record.user_id
    name = username if username or record.nameless else record.username
    if name is None and not record.nameless:
        raise NameMissing(f"no name is kept of user {user_id}; enter the name to register them with").about(user_id)
    at = _registered_at(record, under_way)
    return event_at(UserRegistered, at, user_id=user_id, username=name, listed=listed)


def _registered_at(record: UserRecord, under_way: _UnderWay) -> datetime:
    """A time just later than the registration that stands, or is under way.

    So it undoes no removal that is in the log and not applied yet, and the day when the user joined stays; only who is
    known to be removed is registered as of now.
    """
    if record.removed:
        return later_than(record.as_of, _latest(record), *under_way)
    standing = record.registered_at
    if standing and EPOCH <= standing < later_than(record.as_of, _latest(record)):
        return later_than(EPOCH, standing, under_way.registered)
    # nobody knows when this user joined
    before = [under_way.removed - BEFORE_REMOVAL] if under_way.removed else []
    return later_than(min([record.as_of, *before]), under_way.registered)


def _latest(record: UserRecord) -> datetime | None:
    """The time of the latest fact that stands; what a site says of the time is no registration."""
    times = [record.registered_at] if record.registered_at and record.origin == "log" else []
    return max([*times, record.removal.at] if record.removal else times, default=None)


def _record(row: dict[str, Any], applied: bool | None) -> UserRecord:
    removed_at, reason = row.pop("removed_at"), row.pop("reason")
    removal = None if removed_at is None else Removal(at=removed_at, reason=reason)
    return UserRecord(**row, removal=removal, applied=applied)
