"""The revisions of the tables that this version knows: one SQL file each, applied in order.

A file that begins with ADDITIVE only adds what older writers need not keep: they stay right beside it, and may start
again. Any other file fences them: from its commit on they are refused by `require_writer`, with what to do.
"""

from functools import cache
from importlib.resources import files

ADDITIVE = "-- Additive:"


@cache
def migrations() -> dict[str, str]:
    """The statements of each revision, oldest first. A file is named by its revision: `0001_initial.sql`."""
    folder = files("solve_projector.store").joinpath("migrations")
    named = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return {name.partition("_")[0]: folder.joinpath(name).read_text(encoding="utf-8") for name in named}


def is_additive(statements: str) -> bool:
    """Whether older writers stay right beside these statements."""
    return statements.startswith(ADDITIVE)
