"""Query and path parameters that several routes share, each limited in size."""

import re
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Depends, Path, Query

from solve_api.http.time_zones import known_zones
from solve_runtime.http.problem import Problem
from solve_schemas.events import NO_CONTROL_CHARS, TEXT_MAX_CHARS

FRIENDS_MAX = 200
FRIENDS_MAX_CHARS = FRIENDS_MAX * 40
LIMITS: dict[str, Any] = {"max_length": TEXT_MAX_CHARS, "pattern": NO_CONTROL_CHARS}

UserId = Annotated[
    str, Path(min_length=1, **LIMITS, description="The judge's stable id of the user.", examples=["u-1"])
]
# by parameter, for ids such as `..` that browsers and proxies would resolve in a path
AskedUserId = Annotated[
    str,
    Query(alias="id", min_length=1, **LIMITS, description="The judge's stable id of the user.", examples=["u-1"]),
]
AskedProblemId = Annotated[
    str,
    Query(
        alias="id", min_length=1, **LIMITS, description="The judge's stable id of the problem.", examples=["two-sum"]
    ),
]
OptionalUsername = Annotated[
    str | None, Query(min_length=1, **LIMITS, description="Finds who has exactly this name.", examples=["ada"])
]
OptionalStart = Annotated[
    str | None,
    Query(
        min_length=1,
        **LIMITS,
        description="Finds whose name or id starts with this, in any capitals.",
        examples=["ad"],
    ),
]
ListCursor = Annotated[str | None, Query(min_length=1, max_length=1500, description="From another page.")]
OptionalUserId = Annotated[str | None, Query(min_length=1, **LIMITS)]
OptionalPartition = Annotated[
    int | None, Query(ge=0, le=2**31 - 1, description="With `offset`, a place in the log to ask for.")
]
OptionalOffset = Annotated[int | None, Query(ge=0, le=2**63 - 1)]
SearchText = Annotated[str, Query(**LIMITS)]


async def zone_of(
    tz: Annotated[
        str, Query(max_length=64, description="The IANA time zone to count days in.", examples=["Europe/Berlin"])
    ] = "UTC",
) -> ZoneInfo:
    """The time zone of a request. Raises Problem 422 if it does not exist."""
    if tz not in known_zones():
        raise Problem(
            422,
            "timezone-unknown",
            "Unknown time zone",
            "tz must be a time zone of the IANA database, such as UTC or Europe/Berlin.",
        )
    return ZoneInfo(tz)


Zone = Annotated[ZoneInfo, Depends(zone_of)]


def as_typed(text: str) -> list[str]:
    """What a typed text may mean: exactly that, since spaces may be part of an id, or without spaces around it."""
    return [one for one in dict.fromkeys((text, text.strip())) if one.strip(" ")]


def friend_ids(text: str | None) -> tuple[str, ...]:
    """The ids in a comma-separated list, each once and in order. Raises Problem 422 on too many or impossible ids."""
    if text is None:
        return ()
    # only plain spaces are trimmed: any other space may be part of an id
    ids = tuple(dict.fromkeys(one for part in text.split(",") if (one := part.strip(" "))))
    if (
        not ids
        or len(ids) > FRIENDS_MAX
        or any(len(one) > TEXT_MAX_CHARS or not re.fullmatch(NO_CONTROL_CHARS, one) for one in ids)
    ):
        raise Problem(
            422,
            "friends-unclear",
            "Invalid list of friends",
            f"friends takes 1 to {FRIENDS_MAX} user ids separated by commas, each with up to {TEXT_MAX_CHARS} "
            "characters and no control characters.",
        )
    return ids
