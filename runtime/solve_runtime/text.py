"""Text of any origin, made harmless: for a terminal, for a line of JSON, and for a log line."""

import json
import re

NOT_ASCII = re.compile(r"[^\x00-\x7e]")
# Characters without ink, of which `str.isprintable` takes some for letters or marks. Default_Ignorable_Code_Point of
# https://www.unicode.org/Public/17.0.0/ucd/DerivedCoreProperties.txt ...
DEFAULT_IGNORABLE = (
    "\u00ad\u034f\u061c\u115f-\u1160\u17b4-\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# ... and what fonts draw as a blank: the Braille pattern without dots, blank hieroglyphs, the Khitan filler, the null
# notehead.
DRAWN_BLANK = "\u2800\U00013441-\U00013442\U00016fe4\U0001d159"
NO_INK = re.compile(f"[{DEFAULT_IGNORABLE}{DRAWN_BLANK}]")


def is_readable(text: str) -> bool:
    """Whether each character is drawn, or is a space, and none steers a terminal."""
    return text.isprintable() and not NO_INK.search(text)


def readable(content: bytes | str) -> str:
    r"""Text that is safe in a terminal: control and invisible characters escaped, bytes that are no UTF-8 as \xNN."""
    text = content.decode("utf-8", "backslashreplace") if isinstance(content, bytes) else content
    if is_readable(text):
        return text
    return "".join(one if is_readable(one) else one.encode("unicode_escape").decode() for one in text)


def ascii_json(line: str) -> str:
    r"""The same JSON with every character beyond ASCII as \uNNNN, as only strings can have them."""
    return NOT_ASCII.sub(lambda found: _escape(found[0]), line)


def _escape(character: str) -> str:
    return r"\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def cut(text: str, longest: int) -> str:
    """The text, or its beginning and how long it was."""
    return text if len(text) <= longest else f"{text[:longest]}… (cut; {len(text)} characters in all)"
