"""Reads a profile: one query to PostgreSQL, so that count, days and solves belong together, and the rank."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import asyncpg

from solve_api.batches import Batches
from solve_api.errors import UserGone, ZoneUnknown
from solve_api.http.time_zones import postgresql_name
from solve_api.profiles.bodies import Profile
from solve_api.profiles.kept_solves import KeptSolves, Row
from solve_api.profiles.streaks import streaks
from solve_projector.domain.ranking import RankKey
from solve_projector.errors import UserUnknown
from solve_runtime.sql import queries

PROFILE_SQL = queries("solve_api.profiles", "profile")

RECENT_SOLVES = 20
# several users' rows in one statement, each as `profile` gives it
PROFILES_SQL = f"""
    SELECT found.*
    FROM unnest($1::text[], $4::bigint[]) AS asked (user_id, kept_version)
    CROSS JOIN LATERAL (
        {PROFILE_SQL["profile"].replace("$1", "asked.user_id").replace("$4", "asked.kept_version")}
    ) AS found
"""  # noqa: S608 - our own text alone
ROWS_MAX, AT_ONCE = (
    8,
    4,
)  # few rows: a user with very many solves holds up those who are asked for in the same statement


class Rank(NamedTuple):
    """A user's rank, and the time before which every committed solve of others is in it."""

    rank: int
    as_of: datetime


RankOf = Callable[[RankKey], Awaitable[Rank | None]]


class Profiles:
    """Reads the profiles of concurrent requests together, those in one time zone by one statement."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._zones: dict[str, Batches[str, Row | None]] = {}  # by the names that PostgreSQL has for them
        self._kept = KeptSolves()

    async def row(self, user_id: str, zone: str) -> Row | None:
        """What PostgreSQL has of a user; None if the user is unknown. Raises asyncpg's errors."""
        if zone not in self._zones:
            self._zones[zone] = Batches(partial(self._read, zone), largest=ROWS_MAX, at_once=AT_ONCE)
        return await self._zones[zone].ask(user_id)

    async def _read(self, zone: str, user_ids: Sequence[str]) -> Sequence[Row | None]:
        asked = list(set(user_ids))
        kept = [self._kept.of(user_id, zone) for user_id in asked]
        versions = [one["version"] if one else None for one in kept]
        read = await self._pool.fetch(PROFILES_SQL, asked, zone, RECENT_SOLVES, versions)
        rows = {row["user_id"]: row for row in read}
        found = {
            user_id: self._kept.complete(dict(rows[user_id]), zone, one)
            for user_id, one in zip(asked, kept, strict=True)
            if user_id in rows
        }
        return [found.get(user_id) for user_id in user_ids]


async def profile(pool: asyncpg.Pool, rank_of: RankOf, user_id: str, zone: ZoneInfo) -> Profile:
    """One user's profile, for a page. As `profile_fields`."""
    return Profile.model_validate(await profile_fields(Profiles(pool), rank_of, user_id, zone))


async def profile_fields(profiles: Profiles, rank_of: RankOf, user_id: str, zone: ZoneInfo) -> dict[str, Any]:
    """The fields of a Profile in its order, with days in `zone`.

    Raises UserUnknown, UserGone, ZoneUnknown and asyncpg's errors.
    """
    now = datetime.now(UTC)  # taken before the read, which includes everything committed by then
    try:
        row = await profiles.row(user_id, postgresql_name(zone))
    except asyncpg.InvalidParameterValueError as error:
        # some systems package the old names of zones apart (Debian's tzdata-legacy)
        raise ZoneUnknown(f"PostgreSQL does not know the time zone {zone.key}; use its newer name") from error
    if row is None:
        raise unknown(user_id)
    if row["removed"]:
        raise gone(user_id)
    counted, last, days = row["problems_solved"], row["last_solved_at"], row["days"]
    rank = await rank_of(RankKey(counted, int(last.timestamp()), user_id)) if counted and row["listed"] else None
    streak = streaks(days, now.astimezone(zone).date())
    return {
        "user_id": row["user_id"],
        "username": row["username"],
        "problems_solved": counted,
        "last_solved_at": last,
        "registered_at": row["registered_at"],
        "listed": row["listed"],
        "rank": rank.rank if rank else None,
        "current_streak": streak.current,
        "longest_streak": streak.longest,
        "timezone": zone.key,
        "days": [{"day": day, "solved": n} for day, n in zip(days, row["solved_of_days"], strict=True)],
        "languages": [
            {"language": name, "solved": n}
            for name, n in zip(row["languages"], row["solved_of_languages"], strict=True)
        ],
        "recent_solves": [solve_fields(*one) for one in row["recent"]],
        "version": row["version"],
        "rank_as_of": rank.as_of if rank else None,
        "as_of": now,
    }


def solve_fields(
    problem_id: str, submission_id: str, at: datetime, language: str, contest_id: str, withdrawn: bool = False
) -> dict[str, Any]:
    """The fields of a Solve."""
    return {
        "problem_id": problem_id,
        "submission_id": submission_id,
        "submitted_at": at,
        "language": language or None,
        "contest_id": contest_id or None,
        "withdrawn": withdrawn,
    }


def gone(user_id: str) -> UserGone:
    """The error for a removed user."""
    return UserGone(f"user {user_id} was removed").about(user_id)


def unknown(user_id: str) -> UserUnknown:
    """The error for an unknown id."""
    message = f"there is no user {user_id}; to find a user by name, use /api/users?q="
    return UserUnknown(message).about(user_id)
