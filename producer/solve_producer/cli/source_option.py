"""The check of `--source`, in every command that takes one."""

from solve_producer.errors import InvalidSettings
from solve_runtime.text import cut, readable
from solve_schemas.event_source import is_uri_reference
from solve_schemas.events import TEXT_MAX_CHARS


def checked_source(said: str | None) -> str | None:
    """The source as it was given, for typer's `callback`. Raises InvalidSettings."""
    if said is not None and not is_uri_reference(said):
        raise InvalidSettings(
            f'--source "{cut(readable(said), 100)}" is no URI-reference; write 1 to {TEXT_MAX_CHARS} characters '
            "without spaces, such as /judges/main"
        )
    return said


def checked_sources(said: list[str] | None) -> list[str] | None:
    """The same of an option that may be given several times."""
    for one in said or ():
        checked_source(one)
    return said
