"""Which one class do all our errors share, so that a caller can catch them and a CLI can print them?"""


class SolveCountsError(Exception):
    """Something that a person must act on; the message says what happened and what to do."""
