"""Finds the users whom a record names that is no event, whatever its bytes: an erasure must find it (I13).

From the value, every `user_id` in it, also of objects inside and of a value that is broken or cut; else from the key.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from solve_schemas.events import NO_CONTROL_CHARS, TEXT_MAX_CHARS, id_text

_is_plain = re.compile(NO_CONTROL_CHARS).match
_in_pieces = re.compile(r'"user_id"\s*:\s*("(?:[^"\\]|\\.)*"|[0-9]{1,200})')


def named_users(key: bytes | None, value: bytes | None) -> list[str]:
    """Their ids, of the outermost object first, each once; those that no event can have are left out."""
    return _ids(_inside(value or b"")) or _ids(_of_key(key or b""))


def _ids(found: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(user_id for one in found if _is_id(user_id := id_text(one))))


def _inside(content: bytes) -> list[Any]:
    found: list[Any] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        found.extend(one for name, one in pairs if name == "user_id")

    try:
        json.loads(content, object_pairs_hook=keep)
    except (ValueError, RecursionError):
        text = content.decode(json.detect_encoding(content), "replace")
        return [_unquoted(one) for one in _in_pieces.findall(text)]
    return found[::-1]  # the parser ends the outermost object last


def _of_key(key: bytes) -> list[Any]:
    """The key as it is, or as JSON, which Kafka Connect makes of it."""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return []
    return [_unquoted(text)] if text.startswith('"') else _inside(key) or [text]


def _unquoted(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_id(found: Any) -> bool:
    if not isinstance(found, str) or not 0 < len(found) <= TEXT_MAX_CHARS or not _is_plain(found):
        return False
    return not any("\ud800" <= char <= "\udfff" for char in found)  # which PostgreSQL refuses
