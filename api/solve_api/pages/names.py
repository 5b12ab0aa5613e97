"""Names, ids and quoted texts as every page shows them: isolated from their neighbours, and never invisible. Pure.

Judges and users choose these texts. The direction of one must not turn what stands beside it, and one without ink must
not pass for nothing. `<bdi>` alone does not hold: Chromium lets a text close the isolate, leave one open, or end the
paragraph.
"""

import re
from unicodedata import category

from markupsafe import Markup

from solve_runtime.text import NO_INK

ISOLATE, END_OF_ISOLATE = "\u2068", "\u2069"
_ISOLATES = "\u2066\u2067\u2068"
_LINE_ENDS = str.maketrans("\u2028\u2029", "  ")
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# What stands for something that cannot be seen: the object replacement character, and the control pictures.
_STAND_INS = frozenset(map(chr, (0xFFFC, *range(0x2400, 0x2440))))


def is_visible(text: str) -> bool:
    """Whether a letter, number, punctuation mark or symbol has ink; spaces, formats and lone marks do not count."""
    return any(category(one)[0] in "LNPS" and one not in _STAND_INS and not NO_INK.match(one) for one in text)


def shown_name(username: str | None, user_id: str) -> str:
    """What a user is called: the name, or the id where nobody could see the name."""
    return username if username and is_visible(username) else user_id


def isolated(text: str) -> str:
    """A text between isolates, for attributes and titles, which take no element."""
    return f"{ISOLATE}{_closed(text)}{END_OF_ISOLATE}" if text else ""


def bdi(text: str | None) -> Markup:
    """A text as an isolated element, or nothing for an empty one."""
    return Markup("<bdi>{}</bdi>").format(_closed(text)) if text else Markup("")


def quoting(text: str | None) -> Markup:
    """A sentence or a record with texts of others inside it: what would turn or split it is spelled, as in JSON."""
    return bdi(_spell(text)) if text else Markup("")


def naming(sentence: str, names: tuple[str, ...]) -> Markup:
    """As `quoting`, with each of these names in the sentence isolated."""
    parts = re.split(f"({'|'.join(map(re.escape, filter(None, names))) or '(?!)'})", sentence)
    return Markup("").join(bdi(part) if number % 2 else _spell(part) for number, part in enumerate(parts))


def _closed(text: str) -> str:
    """The text within its isolate: a paragraph of its own, with every isolate closed that it opens, and no other."""
    if not is_visible(text):
        return "".join(f"\\u{ord(one):04x}" if ord(one) < 2**16 else f"\\U{ord(one):08x}" for one in text)
    open_isolates, kept = 0, []
    for one in text.translate(_LINE_ENDS):
        if one == END_OF_ISOLATE:
            if not open_isolates:
                continue
            open_isolates -= 1
        open_isolates += one in _ISOLATES
        kept.append(one)
    return "".join(kept) + END_OF_ISOLATE * open_isolates


def _spell(text: str) -> str:
    return _DIRECTIONS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
