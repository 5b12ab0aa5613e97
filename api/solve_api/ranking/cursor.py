"""Cursors of board pages: a position on the board, encoded as text for a link.

A position rather than a number of rows: a user who moves between two requests pushes nobody else off both pages. A page
that everybody has left has no position; it links to the end of the board where they went.
"""

from solve_api.errors import CursorRefused
from solve_api.profiles.keyset import as_link, from_link
from solve_projector.domain.ranking import NOWHERE, BoardPage, Mode, PageRequest, RankKey

LETTERS = {Mode.AFTER: "n", Mode.BEFORE: "p"}
MODES = {letter: mode for mode, letter in LETTERS.items()}
GREATEST = 2**31 - 1
ABOVE_ALL, BELOW_ALL = RankKey(GREATEST, 0, ""), NOWHERE


def cursor_of(mode: Mode, position: RankKey) -> str:
    """The cursor of the page after this position, or before it."""
    return as_link(f"{LETTERS[mode]}.{position.problems_solved}.{position.seconds}.{position.user_id}")


def next_cursor(reading: BoardPage) -> str | None:
    """The cursor of the next page, or None if this is the last."""
    if reading.begin + len(reading.rows) >= reading.total:
        return None
    return cursor_of(Mode.AFTER, reading.rows[-1] if reading.rows else ABOVE_ALL)


def previous_cursor(reading: BoardPage) -> str | None:
    """The cursor of the previous page, or None if this is the first."""
    if reading.begin == 0:
        return None
    return cursor_of(Mode.BEFORE, reading.rows[0] if reading.rows else BELOW_ALL)


def page_request_of(cursor: str, limit: int) -> PageRequest:
    """The page that a cursor stands for. Raises CursorRefused if it is not ours."""
    try:
        letter, solved, seconds, user_id = from_link(cursor).split(".", 3)
        position = RankKey(int(solved), int(seconds), user_id)
        mode = MODES[letter]
    except (ValueError, KeyError):
        raise _refused() from None
    if not 0 <= position.problems_solved <= GREATEST or not 0 <= position.seconds < 2**32 or "\x00" in user_id:
        raise _refused()
    return PageRequest(limit, mode, position)


def _refused() -> CursorRefused:
    return CursorRefused("this cursor is not valid; use next_cursor or previous_cursor of a page, or leave it out")
