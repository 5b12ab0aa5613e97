"""Raises the limit of open files for event streams: each is an open file, and the default is often 1,024."""

import resource
from contextlib import suppress

OTHER_FILES = 200  # connections to servers, and ordinary requests


def raise_open_file_limit(streams_max: int) -> int:
    """Raises the limit as far as needed and allowed; returns how many streams fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams_max + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return streams_max
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    with suppress(ValueError, OSError):  # macOS has a second, lower limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(1, min(streams_max, soft - OTHER_FILES))
