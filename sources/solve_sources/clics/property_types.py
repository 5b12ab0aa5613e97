"""The JSON types of the properties that counts depend on, as all versions of the Contest API have them.

Anything else there is refused, with its place: taken for false or for nothing it would decide counts unseen. What is
null or missing is the property's default.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """A type, and how a message calls it."""

    holds: Callable[[Any], bool]
    called: str


def is_id(value: Any) -> bool:
    """Text, as the specification has it, or a whole number, as some systems write it."""
    return isinstance(value, str | int) and not isinstance(value, bool)


ID = Kind(is_id, "a text")
IDS = Kind(lambda value: isinstance(value, list) and all(map(is_id, value)), "a list of texts")
YES_OR_NO = Kind(lambda value: isinstance(value, bool), "true or false")
TIME = Kind(lambda value: isinstance(value, str), "a time as text")

OF: Mapping[str, Mapping[str, Kind]] = {
    "contest": {"start_time": TIME, "duration": TIME, "scoreboard_freeze_duration": TIME},
    "state": {"frozen": TIME, "thawed": TIME},
    "teams": {"hidden": YES_OR_NO, "group_ids": IDS},
    "groups": {"hidden": YES_OR_NO},
    "judgement-types": {"solved": YES_OR_NO},
    "submissions": {"team_id": ID, "problem_id": ID, "time": TIME, "contest_time": TIME},
    "judgements": {
        "submission_id": ID,
        "judgement_type_id": ID,
        "simplified_judgement_type_id": ID,
        "current": YES_OR_NO,
        "valid": YES_OR_NO,
        **dict.fromkeys(("start_time", "end_time", "start_contest_time", "end_contest_time"), TIME),
    },
}


def problem_of(collection: str, data: Any) -> str | None:
    """What is wrong with a property of an object or of the objects of a list; None where nothing is."""
    for one in data if isinstance(data, list) else [data]:
        if not isinstance(one, dict):
            continue
        for name, kind in OF.get(collection, {}).items():
            value = one.get(name)
            if value is not None and not kind.holds(value):
                return f'"{name}" of {collection} {one.get("id", "")}'.rstrip() + f" is not {kind.called}"
    return None
