"""Raises the limit of open files for connections and event streams, and says how many fit."""

from typing import NamedTuple

from solve_api.settings import ApiSettings
from solve_runtime.http.open_files import open_files_of

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
    files = open_files_of(max(own + connections, OTHER_FILES + streams))
    return Fitting(max(1, min(connections, files - own)), max(1, min(streams, files - OTHER_FILES)))
