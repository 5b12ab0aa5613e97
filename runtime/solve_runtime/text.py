"""Text of any origin, made harmless: for a terminal, for a line of JSON, and for a log line."""

import json
import re

NOT_ASCII = re.compile(r"[^\x00-\x7e]")


def readable(content: bytes | str) -> str:
    r"""Text that is safe in a terminal: control and invisible characters escaped, bytes that are no UTF-8 as \xNN."""
    text = content.decode("utf-8", "backslashreplace") if isinstance(content, bytes) else content
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def ascii_json(line: str) -> str:
    r"""The same JSON with every character beyond ASCII as \uNNNN, as only strings can have them."""
    return NOT_ASCII.sub(lambda found: _escape(found[0]), line)


def _escape(character: str) -> str:
    return r"\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def cut(text: str, longest: int) -> str:
    """The text, or its beginning and how long it was."""
    return text if len(text) <= longest else f"{text[:longest]}… (cut; {len(text)} characters in all)"
