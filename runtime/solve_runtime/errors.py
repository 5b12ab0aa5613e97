"""The root of all our errors, so that a caller can catch them and a CLI can print them."""


class SolveCountsError(Exception):
    """Somebody must act; the message says what happened, to what, and what to do."""


class SettingsRefused(SolveCountsError):
    """Settings cannot be used; the message names each, and never its value (I12)."""
