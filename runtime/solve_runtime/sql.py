"""Named SQL statements, loaded from the `sql/` folder beside the module that runs them.

`{package.noun.name}` in a statement stands for one of another file, so that what several share is written once.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

HEADER = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
PART = re.compile(r"\{([\w.]+)\.(\w+)\.(\w+)\}")


@cache
def queries(package: str, noun: str) -> Mapping[str, str]:
    """The statements of `sql/<noun>.sql` in a package, by the name that stands above each."""
    text = files(package).joinpath("sql", f"{noun}.sql").read_text(encoding="utf-8")
    _, *parts = HEADER.split(PART.sub(lambda part: queries(part[1], part[2])[part[3]].strip(), text))
    return dict(zip(parts[::2], parts[1::2], strict=True))
