"""Raises the limit of open files for connections: each is an open file, and the default is often 1,024."""

import resource
from contextlib import suppress
from typing import NamedTuple

from solve_api.settings import ApiSettings

OWN_FILES = 100  # beside the pool of PostgreSQL: Redis, Kafka, jobs, and connections about to be refused
OTHER_FILES = 200  # all that are not event streams: our own, and ordinary requests


class Fitting(NamedTuple):
    """How many fit."""

    connections: int
    streams: int


def fit_open_files(settings: ApiSettings) -> Fitting:
    """Raises the limit as far as needed and allowed; returns what fits of what is set."""
    own = OWN_FILES + settings.api_pool_size
    connections, streams = settings.api_connections_max, settings.api_streams_max
    files = _raised(max(own + connections, OTHER_FILES + streams))
    return Fitting(max(1, min(connections, files - own)), max(1, min(streams, files - OTHER_FILES)))


def _raised(wanted: int) -> int:
    """How many of the wanted files may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(ValueError, OSError):  # macOS has a second, lower limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
        soft = possible
    return soft
