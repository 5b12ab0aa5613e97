"""Finds which event a record says it is: in its headers, in its JSON, or nowhere, which makes it a solve.

Nothing may count with the wrong sign. So what names a type in a way that we do not know, or contradicts a solve, has no
event; it becomes a dead letter that says what was found. The words are in `contradictions`.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from solve_schemas.contradictions import (
    NAMES_A_TYPE,
    VERDICT_NAMES,
    contradicts,
    is_accepted,
    is_suspect,
    plain,
    takes_back,
)
from solve_schemas.event_source import SOURCE_HEADER
from solve_schemas.events import EVENT_MODELS, Event, SubmissionSolved
from solve_schemas.rejection import SET_ASIDE_HEADER, Headers, Reason, Rejected, clip

TYPE_HEADER = "ce_type"
NO_HEADER = -1
TYPE_MAX_CHARS = 200  # of a type that nobody knows, within a detail
NAME_MAX_CHARS = 50
Pairs = Sequence[tuple[str, Any]]


class NamedHeaders(NamedTuple):
    """Where the headers are that we read; NO_HEADER of one that is not there."""

    type: int | None  # NO_HEADER where there are no headers at all, None where it is in doubt
    source: int  # the first one


def named_headers(headers: Headers) -> NamedHeaders:
    """Where the type and the source are named."""
    return _named_headers(tuple([name for name, _ in headers]))


@lru_cache(maxsize=256)  # a judge sends the same names with every record
def _named_headers(names: tuple[str, ...]) -> NamedHeaders:
    if not names:
        return NamedHeaders(NO_HEADER, NO_HEADER)
    suspect = [index for index, name in enumerate(names) if is_suspect(plain(name)) or name == SET_ASIDE_HEADER]
    is_clear = len(suspect) == 1 and names[suspect[0]].lower() == TYPE_HEADER
    sources = [index for index, name in enumerate(names) if name.lower() == SOURCE_HEADER]
    return NamedHeaders(suspect[0] if is_clear else None, sources[0] if sources else NO_HEADER)


def pairs_of(value: bytes, fields: Mapping[str, Any]) -> Pairs:
    """The fields with every occurrence of a name, also inside others; numbers as text.

    Of two fields of one name the parser keeps the last, and the first may say the opposite.
    """
    found: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.extend(pairs)
        return dict(pairs)

    try:
        json.loads(value, object_pairs_hook=keep, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return list(fields.items())
    return found


def model_of(fields: Mapping[str, Any], pairs: Pairs, headers: Headers) -> type[Event] | Rejected:
    """The event that a record of these fields and headers is, or why it is none."""
    named = sorted({content or b"" for name, content in headers if name.lower() == TYPE_HEADER})
    others = [(name, _text(content or b"")) for name, content in headers if name.lower() != TYPE_HEADER]
    if len(named) > 1:
        return _mismatch(f"the record names two types, {_quoted(named[0])} and {_quoted(named[1])}; send one")
    if not named:
        inside = model_inside(fields, pairs, others)
        if isinstance(inside, Rejected) or inside is SubmissionSolved:
            return inside
        return _mismatch(f"the value's `type` is {inside.type_name}, but there is no ce_type header; send the header")
    model = EVENT_MODELS.get(_text(named[0]))
    return unknown_type(TYPE_HEADER, named[0]) if model is None else _named(model, (*others, *pairs))


def model_inside(fields: Mapping[str, Any], pairs: Pairs, others: Pairs = ()) -> type[Event] | Rejected:
    """The event that the JSON itself says it is: a solve where nothing names a type or contradicts one.

    `others` are the headers.
    """
    types = {str(content) for name, content in pairs if name == "type" and _is_type(content)}
    named = fields.get("type")
    if named is None and not types:
        return _unnamed(fields, pairs, others)
    model = EVENT_MODELS.get(named) if isinstance(named, str) else None
    if model is None and named is not None:
        return unknown_type("`type`", named)
    if model is None or len(types) > 1:
        return _mismatch(f"the fields name more than one type, such as {_quoted(min(types))}; send one")
    return _named(model, (*others, *pairs))


def _named(model: type[Event], pairs: Pairs) -> type[Event] | Rejected:
    """The event that the record says it is, unless it names another one as well, or contradicts it."""
    for name, content in pairs:
        if plain(name) in NAMES_A_TYPE and _is_type(content) and content != model.type_name:
            return _mismatch(
                f"the record's type is {model.type_name}, but `{clip(name, NAME_MAX_CHARS)}` is {content}; send one"
            )
    return _unless_contradicted(model, pairs)


def _unnamed(fields: Mapping[str, Any], pairs: Pairs, others: Pairs) -> type[Event] | Rejected:
    """A solve, unless something names a type after all, or does not say plainly that it is accepted."""
    for name, content in others:
        if plain(name) in NAMES_A_TYPE or (is_suspect(plain(name)) and plain(name).endswith(("type", "types"))):
            return Rejected(
                Reason.UNKNOWN_TYPE,
                f"header {_quoted(name)} is {_quoted(content)}, and there is no ce_type header; name the type there",
            )
    for name, content in (*others, *pairs):
        is_own = name in fields
        if (is_own and plain(name) in NAMES_A_TYPE and content is not None) or _is_type(content):
            return Rejected(
                Reason.UNKNOWN_TYPE,
                f"`{clip(name, NAME_MAX_CHARS)}` is {_quoted(content)}; name the type in the header ce_type",
            )
        if is_own and plain(name) == "reason" and content:
            return _mismatch("a `reason` belongs to a revocation, and nothing names the type; send the header ce_type")
        if is_own and plain(name) in VERDICT_NAMES and not is_accepted(content):
            return _contradiction(name, content)
    return _unless_contradicted(SubmissionSolved, (*others, *pairs), typed=False)


def _is_type(content: object) -> bool:
    return isinstance(content, str) and content in EVENT_MODELS


def unknown_type(where: str, named: object) -> Rejected:
    """Why a type that nobody knows is no event."""
    known = ", ".join(EVENT_MODELS)
    quoted_twice = isinstance(named, bytes) and named[:1] == b'"'
    advice = "; Kafka Connect quotes headers unless header.converter is its StringConverter" if quoted_twice else ""
    return Rejected(Reason.UNKNOWN_TYPE, f"{where} is {_quoted(named)}, not one of {known}{advice}")


def _unless_contradicted(model: type[Event], pairs: Pairs, *, typed: bool = True) -> type[Event] | Rejected:
    """A solve, unless a field or a header says that the submission is not accepted."""
    if model is SubmissionSolved:
        for name, content in pairs:
            if contradicts(plain(name), content, typed=typed) or takes_back(plain(name), content):
                return _contradiction(name, content)
    return model


def _contradiction(name: str, content: object) -> Rejected:
    return _mismatch(
        f"`{clip(name, NAME_MAX_CHARS)}` is {_quoted(content)}, which is no solve; publish accepted submissions only, "
        "and take one back with submission.revoked.v1"
    )


def _mismatch(detail: str) -> Rejected:
    return Rejected(Reason.TYPE_MISMATCH, detail)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def _quoted(found: object) -> str:
    if isinstance(found, bytes):
        found = _text(found)
    return clip(json.dumps(found), TYPE_MAX_CHARS)
