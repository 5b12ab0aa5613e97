"""The source of an event, CloudEvents' `source`, as it is kept beside a verdict. It decides and refuses nothing.

The empty string stands for none, for the client's own default and for what cannot be kept.
"""

import re
from functools import lru_cache

from solve_schemas.events import NO_CONTROL_CHARS, TEXT_MAX_CHARS

DEFAULT_SOURCE = "solve-counts"
SOURCE_HEADER = "ce_source"
_MAX_BYTES = 4 * TEXT_MAX_CHARS  # of UTF-8, so that no large header is remembered below
_is_plain = re.compile(NO_CONTROL_CHARS).fullmatch
# RFC 3986's characters, and those beyond ASCII that RFC 3987 adds
_has_uri_characters = re.compile(r"""(?:[^\s\x00-\x20\x7f-\x9f\ud800-\udfff<>"{}|\\^`%]|%[0-9A-Fa-f]{2})+""").fullmatch


def is_uri_reference(said: str) -> bool:
    """Whether it may be a `source`, as CloudEvents has it; asked of people, not of what is in the log."""
    return len(said) <= TEXT_MAX_CHARS and _has_uri_characters(said) is not None


def kept_source(said: bytes | None) -> str:
    """The source as it is kept, of the bytes of a header."""
    return _kept(said) if said and len(said) <= _MAX_BYTES else ""


@lru_cache(maxsize=256)  # a log has few
def _kept(said: bytes) -> str:
    try:
        source = said.decode()
    except UnicodeDecodeError:
        return ""
    unkept = source == DEFAULT_SOURCE or len(source) > TEXT_MAX_CHARS or _is_plain(source) is None
    return "" if unkept else source
