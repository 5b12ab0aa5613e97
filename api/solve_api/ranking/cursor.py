"""Where does the next page begin? A position of the board, as text that a link can carry.

A position, and no number of rows: who moves on the board between two pages shifts no other row out of both. A page that
everybody has left has no position; from there it goes on at the end of the board where they went.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from solve_api.http.problems import Problem
from solve_projector.domain.ranking import NOWHERE, BoardPage, Mode, PageRequest, RankKey

LETTERS = {Mode.AFTER: "n", Mode.BEFORE: "p"}
MODES = {letter: mode for mode, letter in LETTERS.items()}
GREATEST = 2**31 - 1
ABOVE_ALL, BELOW_ALL = RankKey(GREATEST, 0, ""), NOWHERE


def cursor_of(mode: Mode, position: RankKey) -> str:
    """The link's text: of the page after this position, or of the page before it."""
    text = f"{LETTERS[mode]}.{position.problems_solved}.{position.seconds}.{position.user_id}"
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def next_cursor(reading: BoardPage) -> str | None:
    """Of the page after these rows; None where nobody comes after them."""
    if reading.begin + len(reading.rows) >= reading.total:
        return None
    return cursor_of(Mode.AFTER, reading.rows[-1] if reading.rows else ABOVE_ALL)


def previous_cursor(reading: BoardPage) -> str | None:
    """Of the page before these rows; None where nobody comes before them."""
    if reading.begin == 0:
        return None
    return cursor_of(Mode.BEFORE, reading.rows[0] if reading.rows else BELOW_ALL)


def stretch_of(cursor: str, limit: int) -> PageRequest:
    """The page that a cursor stands for. Raises Problem where it is none of ours."""
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        letter, solved, seconds, user_id = text.split(".", 3)
        position = RankKey(int(solved), int(seconds), user_id)
        mode = MODES[letter]
    except (ValueError, KeyError):
        raise _refused() from None
    if not 0 <= position.problems_solved <= GREATEST or not 0 <= position.seconds < 2**32 or "\x00" in user_id:
        raise _refused()
    return PageRequest(limit, mode, position)


def _refused() -> Problem:
    return Problem(
        422,
        "cursor-refused",
        "This is no cursor",
        "The cursor was not made here; take next_cursor or previous_cursor of a page, or leave it out.",
    )
