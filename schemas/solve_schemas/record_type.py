"""Finds which event a record says it is: in its headers, in its JSON, or nowhere, which makes it a solve.

Nothing may count with the wrong sign. So what names a type in a way that we do not know, or contradicts a solve, has no
event; it becomes a dead letter that says what was found. Names are compared without regard to case, `_` and `-`.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from solve_schemas.events import EVENT_MODELS, Event, SubmissionSolved
from solve_schemas.rejection import SET_ASIDE_HEADER, Headers, Reason, Rejected, clip

TYPE_HEADER = "ce_type"
NO_TYPE_HEADER = -1
TYPE_MAX_CHARS = 200  # of a type that nobody knows, within a detail
_NAMES_A_TYPE = frozenset(
    ("type", "cetype", "cloudeventstype", "eventtype", "eventname", "aggregatetype", "messagetype", "recordtype",
     "event", "kind", "action", "typeid")
)  # fmt: skip
_VERDICT_WORDS = frozenset(("verdict", "status", "result", "outcome", "judgement", "judgment", "state"))
_TRUE_OF_A_SOLVE = frozenset(("accepted", "solved", "passed", "correct", "success"))
_FALSE_OF_A_SOLVE = frozenset(("rejected", "revoked", "deleted", "removed", "disqualified", "failed", "invalid"))
_ACCEPTED = frozenset(
    ("accepted", "ac", "ok", "yes", "true", "correct", "solved", "passed", "pass", "success", "right")
)
_FAILED = re.compile(
    r"wrong|reject|failed|failure|incorrect|revoked|deleted|disqualif|limitexceeded"
    r"|(runtime|compil[a-z]*|presentation|output|security|system|judge|internal)error"
    r"|^(no|false|fail|wa|tle|mle|ole|ile|rte|re|ce|pe|ie|se)$"
)
_DELETED_ROW = frozenset(("op", "operation"))  # of change data capture, flattened beside the fields


def type_header_index(headers: Headers) -> int | None:
    """Where the header is that names the type; NO_TYPE_HEADER where none does, and None where that is in doubt."""
    return _type_header_index(tuple([name for name, _ in headers]))


@lru_cache(maxsize=256)  # a judge sends the same names with every record
def _type_header_index(names: tuple[str, ...]) -> int | None:
    naming = [index for index, name in enumerate(names) if _plain_name(name) in _NAMES_A_TYPE]
    if SET_ASIDE_HEADER in names:
        return None
    if not naming:
        return NO_TYPE_HEADER
    return naming[0] if len(naming) == 1 and names[naming[0]].lower() == TYPE_HEADER else None


def model_of(fields: Mapping[str, Any], headers: Headers) -> type[Event] | Rejected:
    """The event that a record of these fields and headers is, or why it is none."""
    named = sorted({content or b"" for name, content in headers if name.lower() == TYPE_HEADER})
    if len(named) > 1:
        return _mismatch(f"the record names two types, {_quoted(named[0])} and {_quoted(named[1])}; send one")
    if not named:
        return _model_without_header(fields, headers)
    model = EVENT_MODELS.get(_text(named[0]))
    if model is None:
        return unknown_type(TYPE_HEADER, named[0])
    inside = fields.get("type")
    if isinstance(inside, str) and inside in EVENT_MODELS and inside != model.type_name:
        return _mismatch(f"ce_type is {model.type_name}, but the value's `type` is {inside}; send one type")
    return _unless_contradicted(model, fields)


def model_inside(fields: Mapping[str, Any], *, headers: Headers = ()) -> type[Event] | Rejected:
    """The event that the JSON itself says it is: a solve where nothing names a type or contradicts one."""
    named = fields.get("type")
    if named is not None:
        model = EVENT_MODELS.get(named) if isinstance(named, str) else None
        return _unless_contradicted(model, fields) if model else unknown_type("`type`", named)
    for name, content in headers:
        if _plain_name(name) in _NAMES_A_TYPE:
            return Rejected(
                Reason.UNKNOWN_TYPE,
                f"header {_quoted(name)} is {_quoted(content)}, and there is no ce_type header; name the type there",
            )
    for name, content in fields.items():
        plain = _plain_name(name)
        if (plain in _NAMES_A_TYPE and content is not None) or (isinstance(content, str) and content in EVENT_MODELS):
            return Rejected(
                Reason.UNKNOWN_TYPE, f"`{clip(name, 50)}` is {_quoted(content)}; name the type in the header ce_type"
            )
        if plain == "reason" and content is not None:
            return _mismatch("a `reason` belongs to a revocation, and nothing names the type; send the header ce_type")
        if plain in _VERDICT_WORDS and not _is_accepted(content):
            return _contradiction(name, content)
    return _unless_contradicted(SubmissionSolved, fields)


def unknown_type(where: str, named: object) -> Rejected:
    """Why a type that nobody knows is no event."""
    known = ", ".join(EVENT_MODELS)
    quoted_twice = isinstance(named, bytes) and named[:1] == b'"'
    advice = "; Kafka Connect quotes headers unless header.converter is its StringConverter" if quoted_twice else ""
    return Rejected(Reason.UNKNOWN_TYPE, f"{where} is {_quoted(named)}, not one of {known}{advice}")


def _model_without_header(fields: Mapping[str, Any], headers: Headers) -> type[Event] | Rejected:
    model = model_inside(fields, headers=headers)
    if isinstance(model, Rejected) or model is SubmissionSolved:
        return model
    return _mismatch(f"the value's `type` is {model.type_name}, but there is no ce_type header; send the header")


def _unless_contradicted(model: type[Event], fields: Mapping[str, Any]) -> type[Event] | Rejected:
    """A solve, unless a field says plainly that the submission is not accepted."""
    if model is not SubmissionSolved:
        return model
    for name, content in fields.items():
        plain = _plain_name(name).removeprefix("is")
        if (
            (plain in _TRUE_OF_A_SOLVE and not _is_accepted(content))
            or (plain in _FALSE_OF_A_SOLVE and _is_true(content))
            or (plain.removesuffix("at") in _FALSE_OF_A_SOLVE - {plain} and content)  # such as deleted_at
            or (plain in _VERDICT_WORDS and isinstance(content, str) and _FAILED.search(_plain_name(content)))
            or (plain in _DELETED_ROW and content in ("d", "delete", "DELETE"))
        ):
            return _contradiction(name, content)
    return model


def _is_accepted(content: object) -> bool:
    return content == 1 or (isinstance(content, str) and _plain_name(content) in _ACCEPTED)


def _is_true(content: object) -> bool:
    return content == 1 or (isinstance(content, str) and content.lower() in {"true", "yes", "1"})


def _contradiction(name: str, content: object) -> Rejected:
    return _mismatch(
        f"`{clip(name, 50)}` is {_quoted(content)}, which is no solve; publish accepted submissions only, and take one "
        "back with submission.revoked.v1"
    )


def _mismatch(detail: str) -> Rejected:
    return Rejected(Reason.TYPE_MISMATCH, detail)


@lru_cache(maxsize=1024)
def _plain_name(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def _quoted(found: object) -> str:
    if isinstance(found, bytes):
        found = _text(found)
    return clip(json.dumps(found), TYPE_MAX_CHARS)
