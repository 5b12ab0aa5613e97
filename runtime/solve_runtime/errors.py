"""The root of all our errors, so that a caller can catch them and a CLI can print them."""


class SolveCountsError(Exception):
    """Somebody must act; the message says what happened, to what, and what to do."""
