"""What may be asked? The parameters that several routes take, each limited in size."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Path, Query

from solve_api.http.problems import Problem
from solve_api.http.time_zones import known_zones
from solve_schemas.events import NO_CONTROL_CHARS, TEXT_MAX_CHARS

# schemathesis and people alike: what PostgreSQL cannot store is refused before it is asked
PLAIN = NO_CONTROL_CHARS
UserId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=TEXT_MAX_CHARS,
        pattern=PLAIN,
        description="The judge's stable id of the user.",
        examples=["u-1"],
    ),
]
Username = Annotated[str, Query(min_length=1, max_length=TEXT_MAX_CHARS, pattern=PLAIN, examples=["ada"])]
OptionalUserId = Annotated[str | None, Query(min_length=1, max_length=TEXT_MAX_CHARS, pattern=PLAIN)]


async def zone_of(
    tz: Annotated[
        str, Query(max_length=64, description="An IANA time zone, in which days begin.", examples=["Europe/Berlin"])
    ] = "UTC",
) -> ZoneInfo:
    """The time zone of a request. Raises Problem where nobody knows it."""
    if tz not in known_zones():
        raise Problem(
            422,
            "timezone-unknown",
            "There is no such time zone",
            f"tz {tz!r} is no time zone of the IANA database; write one such as UTC or Europe/Berlin.",
        )
    return ZoneInfo(tz)


Zone = Annotated[ZoneInfo, Depends(zone_of)]
