"""Raises the limit of open files for connections: each is an open file, and the default is often 1,024."""

import resource
from contextlib import suppress


def open_files_of(wanted: int) -> int:
    """Raises the limit as far as needed and allowed; returns how many of the wanted files may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(ValueError, OSError):  # macOS has a second, lower limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
        soft = possible
    return soft
