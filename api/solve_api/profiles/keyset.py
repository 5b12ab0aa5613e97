"""Cursors of lists: the place of a page's last row in the list's order, a number and then a text, encoded for a link.

A place rather than a number of rows: what comes or goes between two requests neither repeats nor hides anything else.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from solve_api.errors import CursorRefused


def cursor_of(number: int, text: str) -> str:
    """The cursor of the rows after this place."""
    return as_link(f"{number}.{text}")


def place_of(cursor: str, least: int, most: int) -> tuple[int, str]:
    """The place that a cursor stands for. Raises CursorRefused if it is not ours."""
    try:
        number, text = from_link(cursor).split(".", 1)
        place = int(number), text
    except ValueError:
        raise _refused() from None
    if not least <= place[0] <= most or "\x00" in text:
        raise _refused()
    return place


def as_link(text: str) -> str:
    """A cursor's text, of letters that a link can hold (RFC 4648, section 5)."""
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_link(cursor: str) -> str:
    """The text of a cursor. Raises ValueError if it is not ours."""
    return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()


def _refused() -> CursorRefused:
    return CursorRefused("this cursor is not valid; use next_cursor of a page, or leave it out")
