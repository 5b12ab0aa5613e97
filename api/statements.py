"""Where is the API's SQL and Lua? Loads the texts of `sql/` and `lua/`, one a file, by name."""

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return files("api").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


@cache
def script(name: str) -> str:
    """The text of `lua/<name>.lua`."""
    return files("api").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
