"""The reasons for which a record is no event: a word that operators filter by, and a sentence for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

Headers = Sequence[tuple[str, bytes | None]]

DETAIL_MAX_CHARS = 500
# Put before a record's own headers by whoever could not read it whole: the reason, a space, the sentence.
SET_ASIDE_HEADER = "solve-set-aside"


class Reason(StrEnum):
    """Why a record could not be applied; a stable word that operators filter by."""

    TOMBSTONE = "tombstone"
    UNKNOWN_TYPE = "unknown-type"
    TYPE_MISMATCH = "type-mismatch"
    FOREIGN_FORMAT = "foreign-format"
    NOT_JSON = "not-json"
    INVALID_EVENT = "invalid-event"
    TIME_OUT_OF_RANGE = "time-out-of-range"
    TOO_LARGE = "too-large"
    UNREADABLE = "unreadable"
    REFUSED_BY_DATABASE = "refused-by-database"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why some bytes are not an event: the reason in one word, and a sentence for a person."""

    reason: Reason
    detail: str


def clip(text: str, max_chars: int = DETAIL_MAX_CHARS) -> str:
    """Text that is short enough for a detail."""
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"


def set_aside(headers: Headers) -> Rejected | None:
    """Why whoever read the record from the log could not read it whole; None where it is whole."""
    for name, content in headers:
        if name == SET_ASIDE_HEADER:
            word, _, sentence = (content or b"").decode("utf-8", "backslashreplace").partition(" ")
            reason = Reason.TOO_LARGE if word == Reason.TOO_LARGE else Reason.UNREADABLE
            return Rejected(reason, clip(sentence or f"it has the header {SET_ASIDE_HEADER}"))
    return None
