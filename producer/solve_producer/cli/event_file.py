"""Reads event files (NDJSON) in bounded memory; each bad line is reported as `file:line`."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from solve_producer.errors import ProducerError
from solve_runtime.standard_streams import binary_input
from solve_schemas.events import Event
from solve_schemas.record import decode_line
from solve_schemas.rejection import Reason, Rejected

# An event's fields have at most 200 characters each; a line ten times as long is not an event.
LINE_MAX_BYTES = 64 * 1024
UTF8_BOM = b"\xef\xbb\xbf"
STANDARD_INPUT = "-"


class UnreadableFile(ProducerError):
    """An event file cannot be opened."""


class Line(NamedTuple):
    """One line: its number, what it says, and its size in bytes."""

    number: int
    said: Event | Rejected
    size: int


def read_lines(stream: BinaryIO, now: datetime) -> Iterator[Line]:
    """Every line that is not blank. A line longer than 64 KiB is a bad line, read past in pieces."""
    number = 0
    while line := stream.readline(LINE_MAX_BYTES + 1):
        number += 1
        size = len(line)
        if size > LINE_MAX_BYTES and not line.endswith(b"\n"):
            while piece := stream.readline(LINE_MAX_BYTES):
                size += len(piece)
                if piece.endswith(b"\n"):
                    break
            yield Line(number, Rejected(Reason.INVALID_EVENT, f"the line is longer than {LINE_MAX_BYTES} bytes"), size)
            continue
        text = line.removeprefix(UTF8_BOM) if number == 1 else line
        if text.strip():
            yield Line(number, decode_line(text, now), size)


def open_events(path: str) -> BinaryIO:
    """The file, or standard input for `-`. Raises UnreadableFile, InputUnusable."""
    if path == STANDARD_INPUT:
        return binary_input()
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise UnreadableFile(
            f"cannot read {path}: {error.strerror}; name an event file, or - for standard input"
        ) from error
