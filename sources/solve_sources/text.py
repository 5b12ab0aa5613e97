"""Text of other systems, made fit for an event."""

import re

from solve_schemas.events import TEXT_MAX_CHARS

CONTROL_CHARS = re.compile(r"[\x00-\x1f\x7f-\x9f]|[\ud800-\udfff]")


def input_name(file: str) -> str:
    """What messages call a file, or standard input."""
    return "standard input" if file == "-" else file


def cleaned(text: str) -> str:
    """Without control characters and lone surrogates, which become spaces, and not too long."""
    return CONTROL_CHARS.sub(" ", text)[:TEXT_MAX_CHARS]
