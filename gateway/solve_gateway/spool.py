"""Keeps the notifications of contest systems (CLICS 2026-01 webhooks) as lines of a file for each contest.

They are changes, and counting needs the contest's whole state: whoever has both, such as
`solve-producer import clics -`, reads the files. A notification is acknowledged once it is on the disk. What a crash
leaves of a line was not acknowledged; it is cut off before the next is written.
"""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

from solve_gateway.errors import BadNotification, SpoolFull, SpoolUnusable

CONTEST_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,35}")  # as the specification has ids
TAIL_BYTES = 64 * 1024
SUFFIX = ".ndjson"
ADVICE = "remove those of contests that are over"


class Spool:
    """The files in one folder, bounded in number and in all; callbacks are written one after the other."""

    def __init__(self, folder: Path, max_bytes: int, files_max: int) -> None:
        """Raises SpoolUnusable."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._files_max = files_max
        self._lock = asyncio.Lock()
        if problem := self.problem():
            raise SpoolUnusable(f"{problem}: {folder}; make it, or check SOLVE_GATEWAY_SPOOL_FOLDER")

    def problem(self) -> str:
        """Why nothing can be kept; empty where it can."""
        usable = self._folder.is_dir() and os.access(self._folder, os.R_OK | os.W_OK | os.X_OK)
        return "" if usable else "the folder for notifications is not there, or may not be written"

    async def add(self, name: str, said: Any) -> int:
        """Writes the notifications of a callback; returns how many. Raises BadNotification, SpoolFull, OSError."""
        contest_id, notifications = _checked(said)
        path = self._folder / f"{name}~{contest_id}{SUFFIX}"
        lines = "".join(json.dumps(one, ensure_ascii=True, separators=(",", ":")) + "\n" for one in notifications)
        async with self._lock:
            await asyncio.to_thread(self._append, path, lines.encode())
        return len(notifications)

    def _append(self, path: Path, lines: bytes) -> None:
        sizes = {one.name: one.stat().st_size for one in os.scandir(self._folder) if one.name.endswith(SUFFIX)}
        if path.name not in sizes and len(sizes) >= self._files_max:
            raise SpoolFull(f"there are {len(sizes)} files in {self._folder} (SOLVE_GATEWAY_SPOOL_FILES_MAX); {ADVICE}")
        if sum(sizes.values()) + len(lines) > self._max_bytes:
            raise SpoolFull(f"{self._folder} is as large as it may be (SOLVE_GATEWAY_SPOOL_MAX_BYTES); {ADVICE}")
        _append(path, lines)


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
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # else a new file may not outlive a crash
    finally:
        os.close(folder)


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
