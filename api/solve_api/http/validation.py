"""Explains invalid parameters and bodies in plain English, without patterns, types or other internals."""

from collections.abc import Mapping, Sequence
from typing import Any

from solve_runtime.http.problem import Problem
from solve_schemas.events import IN_WORDS, NO_CONTROL_CHARS

ERRORS_MAX = 20
MAY_NOT_CONTAIN_CONTROL = "may not contain control characters"
# by pydantic's type of error; {…} are members of its context
MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field; remove it",
    "json_invalid": "is not valid JSON",
    "json_type": "is not valid JSON",
    "string_type": "must be text",
    "string_unicode": "must be valid UTF-8 text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "uuid_parsing": "must be a UUID such as 7f9c24e8-3b12-4fef-91e0-5b1b5c6f9a11",
    "uuid_type": "must be a UUID such as 7f9c24e8-3b12-4fef-91e0-5b1b5c6f9a11",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "value_error": "{error}",
}
# lengths: singular and plural of the limit
SIZES = {
    "string_too_short": ("min_length", "must have at least {} character", "must have at least {} characters"),
    "string_too_long": ("max_length", "must have at most {} character", "must have at most {} characters"),
    "too_short": ("min_length", "must have at least {} item", "must have at least {} items"),
    "too_long": ("max_length", "must have at most {} item", "must have at most {} items"),
}
PLACES = {"body", "query", "path", "header", "cookie"}


def invalid_request(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """The problem for what FastAPI found wrong with a request."""
    found = [{"where": _where(one["loc"]), "what": _message(one)} for one in errors[:ERRORS_MAX]]
    first = found[0] if found else {"where": "the request", "what": "cannot be read"}
    return Problem(
        422,
        "invalid-request",
        "The request is not valid",
        f"{first['where']} {first['what']}.",
        errors=found,
    )


def _where(location: Sequence[str | int]) -> str:
    """The name of the field as its sender wrote it: `ids[3]`, or "the body"."""
    place, *names = location if location and location[0] in PLACES else ("body", *location)
    fields = [name for name in names if name != "function-after"]
    if place == "body" and fields and isinstance(fields[0], int):  # the position in a text that is not JSON
        fields = []
    if not fields:
        return f"the {place}"
    text = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in fields)
    return text.lstrip(".")


def _message(error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == IN_WORDS:  # in words already
        return str(error["msg"])
    if kind == "string_pattern_mismatch":
        return MAY_NOT_CONTAIN_CONTROL if context.get("pattern") == NO_CONTROL_CHARS else "does not have the right form"
    if kind in SIZES:
        limit, one, several = SIZES[kind]
        # pydantic names the limit of a list by the same key
        return (one if context[limit] == 1 else several).format(context[limit])
    message = MESSAGES.get(kind, "is not valid")
    return message.format(**context).replace("'", "")  # pydantic quotes the expected values
