"""Named SQL statements, loaded from the `sql/` folder beside the module that runs them."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

HEADER = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries(package: str, noun: str) -> Mapping[str, str]:
    """The statements of `sql/<noun>.sql` in a package, by the name that stands above each."""
    text = files(package).joinpath("sql", f"{noun}.sql").read_text(encoding="utf-8")
    _, *parts = HEADER.split(text)
    return dict(zip(parts[::2], parts[1::2], strict=True))
