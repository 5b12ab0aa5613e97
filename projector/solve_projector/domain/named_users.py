"""Finds the users whom a record names that is no event, whatever its bytes: an erasure must find it (I13).

From the value, every `user_id` in it, also of objects inside, of JSON in a text or in base64, and of a value that is
broken or cut; else from the key.
"""

import json
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from solve_schemas.events import NO_CONTROL_CHARS, TEXT_MAX_CHARS, id_text

MOST_USERS = 1_000  # of one record, so that it costs a batch little
LEVELS = 3  # a value, JSON in a text of it, and JSON in a text of that

_WIRE_PREFIX = 5  # Confluent's wire format: a zero byte and the id of a schema
_is_plain = re.compile(NO_CONTROL_CHARS).match
# the letters of `user_id` as JSON can spell them, also in JSON inside a text
_spelt_out = re.compile(r"\\{1,3}u00(75|73|65|72|5[fF]|69|64)")
# backslashes stand before the quotes of JSON inside a text; all repetitions are bounded, whoever wrote this
_in_pieces = re.compile(
    r"""user_id(?<=["']user_id)\\{0,3}["']\s*:\s*(?:(\\{0,3})(["'])(.{0,2400}?)(?<!\\)\1\2|(-?[0-9]{1,200})\b)""",
    re.DOTALL,
)


def named_users(key: bytes | None, value: bytes | None) -> list[str]:
    """Their ids, of the outermost object first, each once, at most MOST_USERS; not those that no event can have."""
    return _ids(_inside(value or b"")) or _ids(_of_key(key or b""))


def _ids(found: Iterable[Any]) -> list[str]:
    ids: dict[str, None] = {}
    for one in found:
        if _is_id(user_id := id_text(one)):
            ids[user_id] = None
            if len(ids) == MOST_USERS:
                break
    return list(ids)


def _inside(content: bytes | str, fields: tuple[str, ...] = ("user_id",), levels: int = LEVELS) -> Iterator[Any]:
    found: list[Any] = []
    texts: list[bytes | str] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        for name, one in pairs:
            if name in fields:
                found.append(one)
            elif name == "data_base64":
                texts.extend(_decoded(one))
            else:
                texts.extend(_texts(one))

    try:
        keep([("", json.loads(content, object_pairs_hook=keep))])
    except (ValueError, RecursionError):
        if content[:1] == b"\0" and levels > 1:
            yield from _inside(content[_WIRE_PREFIX:], fields, levels - 1)
        yield from _pieces(content)
        return
    yield from reversed(found)  # the parser ends the outermost object last
    for text in islice(texts, MOST_USERS) if levels > 1 else ():
        yield from _inside(text, fields, levels - 1)


def _texts(found: Any) -> Iterator[str]:
    """Those that may be JSON."""
    if isinstance(found, list):
        for one in found:
            yield from _texts(one)
    elif isinstance(found, str) and found.lstrip().startswith(("{", "[", '"')):
        yield found


def _decoded(found: Any) -> Iterator[bytes]:
    try:
        yield b64decode(found)
    except (ValueError, TypeError):
        return


def _pieces(content: bytes | str) -> Iterator[Any]:
    """What is no JSON, or not all of it."""
    if isinstance(content, str):
        texts = [content]
    else:
        encodings = dict.fromkeys(("utf-8", json.detect_encoding(content)))  # which takes zero bytes for UTF-16 or 32
        texts = [content.decode(one, "replace") for one in encodings]
    for text in texts:
        plain = _spelt_out.sub(lambda spelt: chr(int(spelt[1], 16)), text)
        for backslashes, quote, inside, number in islice(dict.fromkeys(_in_pieces.findall(plain)), MOST_USERS):
            yield number or _unescaped(inside, 1 + len(backslashes).bit_length(), quote)


def _unescaped(text: str, times: int, quote: str) -> str:
    """A text without the escapes of JSON, which stands in JSON and so on."""
    if quote == "'":
        text = text.replace("\\'", "'").replace('"', '\\"')
    for _ in range(times):
        try:
            text = json.loads(f'"{text}"')
        except ValueError:
            break
    return text


def _of_key(key: bytes) -> Iterable[Any]:
    """The key as it is, or as JSON, which Kafka Connect makes of it; a row's key has its `id`."""
    if key.startswith(b"\0"):
        key = key[_WIRE_PREFIX:]
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return ()
    if text.startswith('"'):
        return (_unescaped(text.removeprefix('"').removesuffix('"'), 1, '"'),)
    return _ids(_inside(text)) or _ids(_inside(text, ("id",))) or (text,)


def _is_id(found: Any) -> bool:
    if not isinstance(found, str) or not 0 < len(found) <= TEXT_MAX_CHARS or not _is_plain(found):
        return False
    return not any("\ud800" <= char <= "\udfff" for char in found)  # which PostgreSQL refuses
