"""Text of any origin, made harmless: for a terminal, for a line of JSON, and for a log line."""

import json
import re
from collections.abc import Iterator
from unicodedata import category, combining

NOT_ASCII = re.compile(r"[^\x00-\x7e]")
# Characters without ink, of which `str.isprintable` takes some for letters or marks. Default_Ignorable_Code_Point of
# https://www.unicode.org/Public/17.0.0/ucd/DerivedCoreProperties.txt ...
DEFAULT_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f-\u1160\u17b4-\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# ... and what fonts draw as a blank, or as what it is not: the Braille pattern without dots, blank hieroglyphs, the
# Khitan filler, the null notehead, the object replacement character.
DRAWN_BLANK = "\u2800\U00013441-\U00013442\U00016fe4\U0001d159\ufffc"
NO_INK = re.compile(f"[{DEFAULT_IGNORABLE}{DRAWN_BLANK}]")
# A mark is drawn over the letter before it, and many over the lines above. Real writing has fewer.
MARKS_MAX = 6  # of all kinds, as in Burmese
ACCENTS_MAX = 4  # that are placed by their combining class
SPANNING = frozenset({233, 234})  # classes of marks that are drawn over the next letter too
KEYCAP = "\u20e3"
# Indic_Syllabic_Category=Invisible_Stacker: without ink, and the next letter is drawn below the one before
STACKERS = frozenset(
    "\u1039\u17d2\u1a60\u1bab\uaaf6\U00010a3f\U00011133\U000113d0\U0001193e\U00011a47\U00011a99\U00011f42"
)
STACKED_MAX = 2
SCRIPT_SHIFT = 7  # letters of one script have numbers that differ in the last bits
# letters and numbers that are written from right to left, and turn what stands beside them; with their marks
RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff]"
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff\u0300-\u036f]*"
)
ISOLATE, END_OF_ISOLATE = "\u2068", "\u2069"


def is_readable(text: str) -> bool:
    """Whether each character is drawn, or is a space, where it stands, and none steers a terminal."""
    return _is_plain(text) or all(shown for _, shown in _drawn(text))


def readable(content: bytes | str) -> str:
    r"""Text that is safe in a terminal: control and invisible characters escaped, bytes that are no UTF-8 as \xNN.

    Escaped are also marks without a letter before them, or with too many others.
    """
    text = content.decode("utf-8", "backslashreplace") if isinstance(content, bytes) else content
    if _is_plain(text):
        return text
    return "".join(one if shown else _spelled(one) for one, shown in _drawn(text))


def readable_cell(text: str) -> str:
    r"""As `readable`, for a text that ends where a column does: spaces at its end, which nobody sees, as \x20."""
    shown = readable(text)
    kept = shown.rstrip(" ")
    return kept + r"\x20" * (len(shown) - len(kept))


def isolated(line: str) -> str:
    """A readable line in which no word from right to left turns what stands beside it. Its width is the same."""
    return line if line.isascii() else RIGHT_TO_LEFT.sub(rf"{ISOLATE}\g<0>{END_OF_ISOLATE}", line)


def _is_plain(text: str) -> bool:
    """Whether it is readable at a glance, as most text is: without a mark."""
    return text.isprintable() and (text.isascii() or not (NO_INK.search(text) or any(map(_is_mark, text))))


def _is_mark(character: str) -> bool:
    return category(character)[0] == "M"


def _drawn(text: str) -> Iterator[tuple[str, bool]]:
    """Each character, and whether it is drawn as itself, and not over what it does not belong to."""
    base, marks, stacked, stacks = "", "", 0, False
    for one, following in zip(text, f"{text[1:]} ", strict=True):
        shown = one.isprintable() and not NO_INK.match(one)
        if shown and one in STACKERS:
            shown = bool(base) and stacked < STACKED_MAX and _is_letter_of(base, following)
            stacked, stacks, marks = stacked + 1, True, ""
        elif shown and _is_mark(one):
            shown = bool(base) and _is_mark_of(one, base, marks, following)
            marks += one
        else:
            stacked = stacked if stacks else 0
            base, marks, stacks = one if category(one)[0] in "LN" else "", "", False
        if not shown:
            base = ""
        yield one, shown


def _is_letter_of(base: str, following: str) -> bool:
    """Whether it is a letter of the same script, which is then drawn below."""
    same_script = ord(base) >> SCRIPT_SHIFT == ord(following) >> SCRIPT_SHIFT
    return same_script and category(following) == "Lo" and not NO_INK.match(following)


def _is_mark_of(mark: str, base: str, marks: str, following: str) -> bool:
    if category(mark) == "Me":  # encloses more than a letter, in many fonts
        return mark == KEYCAP and base.isdigit() and not marks
    if combining(mark) in SPANNING and not (following.isalpha() and is_readable(following)):
        return False
    accents = sum(map(bool, map(combining, marks))) + bool(combining(mark))
    return len(marks) < MARKS_MAX and accents <= ACCENTS_MAX and not marks.endswith(mark)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()


def ascii_json(line: str) -> str:
    r"""The same JSON with every character beyond ASCII as \uNNNN, as only strings can have them."""
    return NOT_ASCII.sub(lambda found: _escape(found[0]), line)


def _escape(character: str) -> str:
    return r"\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def cut(text: str, longest: int) -> str:
    """The text, or its beginning and how long it was."""
    return text if len(text) <= longest else f"{text[:longest]}… (cut; {len(text)} characters in all)"
