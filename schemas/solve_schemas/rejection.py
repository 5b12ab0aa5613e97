"""The reasons for which a record is no event: a word that operators filter by, and a sentence for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

Headers = Sequence[tuple[str, bytes | None]]

DETAIL_MAX_CHARS = 500


class Reason(StrEnum):
    """Why a record could not be applied; a stable word that operators filter by."""

    TOMBSTONE = "tombstone"
    UNKNOWN_TYPE = "unknown-type"
    TYPE_MISMATCH = "type-mismatch"
    FOREIGN_FORMAT = "foreign-format"
    NOT_JSON = "not-json"
    INVALID_EVENT = "invalid-event"
    TIME_OUT_OF_RANGE = "time-out-of-range"
    REFUSED_BY_DATABASE = "refused-by-database"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why some bytes are not an event: the reason in one word, and a sentence for a person."""

    reason: Reason
    detail: str


def clip(text: str, max_chars: int = DETAIL_MAX_CHARS) -> str:
    """Text that is short enough for a detail."""
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"
