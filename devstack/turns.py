"""Locks between the stacks of this machine, which share Kafka's jars and a system user."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from devstack.errors import StackError


def cache_folder() -> Path:
    """Where this user's stacks keep what they share. Raises StackError."""
    folder = user_cache_path("solve-counts")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(f"cannot make {folder}: {error.strerror}; set XDG_CACHE_HOME to a folder of yours") from error
    return folder


@contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Waits until no other process, or thread, does it; a process that ends gives it up. Raises StackError."""
    with (cache_folder() / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
