"""Keeps the notifications of contest systems (CLICS 2026-01 webhooks) as lines of a file for each contest.

They are changes, and counting needs the contest's whole state: whoever has both, such as
`solve-producer import clics -`, reads the files. A notification is acknowledged once it is on the disk. What a crash
leaves of a line was not acknowledged; it is cut off before the next is written.
"""

import asyncio
import json
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from solve_gateway.errors import BadNotification

CONTEST_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,35}")  # as the specification has ids
TAIL_BYTES = 64 * 1024


class Spool:
    """The files in one folder; a contest's lines are written one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def add(self, name: str, said: Any) -> int:
        """Writes the notifications of a callback; returns how many. Raises BadNotification, OSError."""
        contest_id, notifications = _checked(said)
        path = self._folder / f"{name}~{contest_id}.ndjson"
        lines = "".join(json.dumps(one, ensure_ascii=True, separators=(",", ":")) + "\n" for one in notifications)
        async with self._locks[path]:
            await asyncio.to_thread(_append, path, lines.encode())
        return len(notifications)


def _checked(said: Any) -> tuple[str, list[dict[str, Any]]]:
    if not isinstance(said, dict):
        raise BadNotification("the body must be one JSON object with `contest_id` and `notifications`")
    contest_id, notifications = said.get("contest_id"), said.get("notifications")
    if not isinstance(contest_id, str) or not CONTEST_ID.fullmatch(contest_id):
        raise BadNotification("`contest_id` must be the id of a contest")
    if not isinstance(notifications, list):
        raise BadNotification("`notifications` must be a list")
    for number, one in enumerate(notifications):
        if not isinstance(one, dict) or not isinstance(one.get("type"), str) or "data" not in one:
            raise BadNotification(f"`notifications[{number}]` must be an object with `type`, `id` and `data`")
    return contest_id, notifications


def _append(path: Path, lines: bytes) -> None:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(file).st_size
        os.ftruncate(file, _end_of_lines(file, size))
        while lines:
            lines = lines[os.write(file, lines) :]
        os.fsync(file)
    finally:
        os.close(file)


def _end_of_lines(file: int, size: int) -> int:
    """Where the last whole line ends."""
    at = size
    while at:
        begin = max(0, at - TAIL_BYTES)
        found = os.pread(file, at - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0
