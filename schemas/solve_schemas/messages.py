"""Says in plain words what pydantic refuses: one sentence a field, never the value, never a regular expression.

The value is left out because it may be a password.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from solve_schemas.events import A_TIME

NEEDS_ZONE = f"needs a time zone, such as {A_TIME}"
_LIMIT: dict[str, tuple[str, str]] = {
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("must be at most", "le"),
    "literal_error": ("must be", "expected"),
    "enum": ("must be", "expected"),
}
_FIXED = {
    "missing": "is missing",
    "timezone_aware": NEEDS_ZONE,
    "datetime_type": "must be a datetime with a time zone",
    "string_type": "must be text",
    "string_pattern_mismatch": "is not in the right form",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "model_type": "must be one JSON object",
}


def message_of(error: ValidationError, named: Callable[[str], str] = str) -> str:
    """Every problem of an error, separated by semicolons; `named` gives a field the name that the reader knows."""
    return "; ".join(_sentence(problem, named) for problem in error.errors(include_url=False))


def _sentence(problem: ErrorDetails, named: Callable[[str], str]) -> str:
    said = _predicate(problem)
    if problem["loc"]:
        return f"`{'.'.join([named(str(problem['loc'][0])), *map(str, problem['loc'][1:])])}` {said}"
    return said if problem["type"] == "value_error" else f"the value {said}"


def _predicate(problem: ErrorDetails) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "solve_counts":
        return NEEDS_ZONE if "a zone" in problem["msg"] and _is_naive(problem["input"]) else problem["msg"]
    if kind in _LIMIT:
        words, name = _LIMIT[kind]
        return f"{words} {str(context[name]).replace(chr(39), '')}"
    if kind in {"string_too_short", "string_too_long"}:
        least, most = context.get("min_length"), context.get("max_length")
        return (
            "may not be empty"
            if least == 1
            else f"must have at {'most' if most else 'least'} {most or least} characters"
        )
    if kind == "json_invalid":
        return f"is not JSON; the first error is at {str(context['error']).rpartition(' at ')[2]}"
    if kind == "value_error":
        return str(context["error"])
    return _FIXED.get(kind) or problem["msg"].replace("Input should", "must")


def _is_naive(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is None and "T" in value.upper()
    except ValueError:
        return False
