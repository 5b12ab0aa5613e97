"""Keeps a forked child away from its parent's connections.

A child inherits the sockets and, on Linux, the very epoll that its parent waits on. If the child only collected an
inherited client, that would remove the parent's sockets from this epoll, and over TLS end the parent's session. So in
a child nothing of it is ever collected.
"""

import ctypes
import os
from typing import Protocol
from weakref import WeakSet


class Inherited(Protocol):
    """What a child must leave alone."""

    def after_fork(self) -> None:
        """Called in the child, where no other thread runs."""


_inherited: WeakSet[Inherited] = WeakSet()


def keep_from_children(thing: Inherited) -> None:
    """From now on a forked child neither uses nor collects this."""
    _inherited.add(thing)


def leave_to_parent() -> None:
    """In a child: takes whatever was inherited out of use. For forks that run no hooks of Python, too."""
    for thing in list(_inherited):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))  # never given back, so no destructor runs
        thing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=leave_to_parent)
