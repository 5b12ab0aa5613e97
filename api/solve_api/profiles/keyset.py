"""Cursors of lists: the place of a page's last row in the list's order, a number and then a text, encoded for a link.

A place rather than a number of rows: what comes or goes between two requests neither repeats nor hides anything else.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from solve_api.errors import CursorRefused


def cursor_of(number: int, text: str) -> str:
    """The cursor of the rows after this place."""
    return urlsafe_b64encode(f"{number}.{text}".encode()).decode().rstrip("=")


def place_of(cursor: str, least: int, most: int) -> tuple[int, str]:
    """The place that a cursor stands for. Raises CursorRefused if it is not ours."""
    try:
        number, text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(".", 1)
        place = int(number), text
    except ValueError:
        raise _refused() from None
    if not least <= place[0] <= most or "\x00" in text:
        raise _refused()
    return place


def _refused() -> CursorRefused:
    return CursorRefused("this cursor is not valid; use next_cursor of a page, or leave it out")
