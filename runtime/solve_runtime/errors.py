"""The root of all our errors, so that a caller can catch them and a CLI can print them."""

from typing import Self


class SolveCountsError(Exception):
    """Somebody must act; the message says what happened, to what, and what to do.

    `names` are texts of users and admins that the message quotes: a page isolates them.
    """

    names: tuple[str, ...] = ()

    def about(self, *names: str) -> Self:
        """This error, with what its message quotes."""
        self.names = names
        return self


class AddressUnusable(SolveCountsError):
    """A server cannot listen on its address."""


class MetricsUnservable(SolveCountsError):
    """The address for metrics cannot be used."""


class SettingsRefused(SolveCountsError):
    """Settings cannot be used; the message names each, and never its value (I12)."""
