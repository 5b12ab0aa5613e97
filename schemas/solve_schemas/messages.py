"""Says in plain words why an event is refused: one sentence a field, never pydantic's own words or a pattern.

The words for settings are in `solve_runtime.settings`.
"""

from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from solve_schemas.events import A_TIME, IN_WORDS

NEEDS_ZONE = f"needs a time zone, such as {A_TIME}"
_WORDS = {
    "missing": "is missing",
    "timezone_aware": NEEDS_ZONE,
    "datetime_type": "must be a datetime with a time zone",
    "model_type": "must be one JSON object",
}


def message_of(error: ValidationError) -> str:
    """Every problem of an event, separated by semicolons."""
    return "; ".join(_sentence(problem) for problem in error.errors(include_url=False))


def _sentence(problem: ErrorDetails) -> str:
    what = f"`{'.'.join(map(str, problem['loc']))}`" if problem["loc"] else "the value"
    return f"{what} {_predicate(problem)}"


def _predicate(problem: ErrorDetails) -> str:
    if problem["type"] == IN_WORDS:  # one of our own, in words already
        return NEEDS_ZONE if "a zone" in problem["msg"] and _is_naive(problem["input"]) else problem["msg"]
    if problem["type"] == "json_invalid":
        return f"is not JSON; the first error is at {problem['ctx']['error'].rpartition(' at ')[2]}"
    return _WORDS.get(problem["type"]) or problem["msg"].replace("Input should", "must")


def _is_naive(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is None and "T" in value.upper()
    except ValueError:
        return False
