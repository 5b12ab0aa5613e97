"""Where is the SQL? Loads the statements of `sql/`, one a file, by name."""

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return files("solve_projector").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
