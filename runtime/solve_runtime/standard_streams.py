"""Standard input, output and error, also where whoever started the process has closed them."""

import os
import sys
from typing import BinaryIO, cast

from solve_runtime.errors import SolveCountsError


class InputUnusable(SolveCountsError):
    """What a command reads from standard input cannot be read."""


def open_closed_streams() -> None:
    """Leads what is closed nowhere. Else the next file or connection would take its number, and be written to."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def binary_input() -> BinaryIO:
    """Standard input as bytes. Raises InputUnusable."""
    if sys.stdin is None:
        raise InputUnusable("standard input is closed; give the command a file or a pipe")
    return cast("BinaryIO", sys.stdin.buffer)


def input_line(longest: int) -> str:
    """One line of standard input without its end, cut where it is longer. Raises InputUnusable."""
    try:
        return binary_input().readline(longest).decode().rstrip("\r\n")
    except UnicodeDecodeError:  # it holds the bytes, so it is no cause to be shown
        raise InputUnusable("standard input is not text in UTF-8; save it as such") from None
    except OSError as error:
        raise InputUnusable(f"standard input cannot be read: {error.strerror or error}") from error
