"""The forms of standings that are known, and which of them a file has."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import BinaryIO

from msgspec import Raw

from solve_producer.cli.event_file import open_events
from solve_sources.errors import StandingsUnusable
from solve_sources.ranklists.codeforces import read_standings, read_status
from solve_sources.ranklists.scoreboard import read_scoreboard
from solve_sources.ranklists.srk import read_srk
from solve_sources.ranklists.standings import Reading, Standings, decoded
from solve_sources.text import input_name

MAX_BYTES = 256 * 2**20
GZIP = b"\x1f\x8b"
UTF8_BOM = b"\xef\xbb\xbf"

FORMS: dict[str, Callable[[Reading], Standings]] = {
    "srk": read_srk,
    "codeforces-standings": read_standings,
    "codeforces-status": read_status,
    "clics-scoreboard": read_scoreboard,
}


def read_file(
    file: str,
    form: str | None = None,
    *,
    contest_id: str | None = None,
    teams: str | None = None,
    default_time: datetime | None = None,
) -> Standings:
    """The contest of a file, or of standard input for `-`; `teams` is a file too, which a scoreboard needs beside it.

    Raises StandingsUnusable, UnreadableFile and InputUnusable.
    """
    said = None if teams is None else _content(teams)
    return read(Reading(_content(file), input_name(file), contest_id, default_time, said, datetime.now(UTC)), form)


def _content(file: str) -> bytes:
    with open_events(file) as stream:
        return content(stream, input_name(file))


def read(reading: Reading, form: str | None = None) -> Standings:
    """The contest of a file, in the form that is given, or that the file has. Raises StandingsUnusable."""
    return FORMS[form or form_of(reading)](reading)


def form_of(reading: Reading) -> str:
    """The form that the file's own names show. Raises StandingsUnusable."""
    unknown = f"it is of no form that is known ({', '.join(FORMS)}); an event feed is for `import clics`"
    if not reading.data.lstrip().startswith(b"{"):
        reading.refuse("$", unknown)
    parts = decoded(reading, reading.data, dict[str, Raw])
    if "status" in parts:  # every answer of the API, also one without a result
        is_list = bytes(parts.get("result", b"")).lstrip().startswith(b"[")
        return "codeforces-status" if is_list else "codeforces-standings"
    if {"contest", "problems", "rows"} <= parts.keys():
        return "srk"
    if "rows" in parts:
        return "clics-scoreboard"
    return reading.refuse("$", unknown)


def content(stream: BinaryIO, name: str, max_bytes: int = MAX_BYTES) -> bytes:
    """All of a file. Raises StandingsUnusable where it is too large for one of standings."""
    data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise StandingsUnusable(f"{name} has more than {max_bytes:,} bytes; a file of standings has fewer")
    if data.startswith(GZIP):
        raise StandingsUnusable(f"{name} is gzip; unpack it: gzip -dc FILE | solve-producer import standings -")
    return data.removeprefix(UTF8_BOM)
