"""The error of the local stack."""


class StackError(Exception):
    """A server cannot be started or stopped; the message says which, why, and what to do."""
