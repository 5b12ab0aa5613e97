"""The errors of reading a judge's own data."""

from solve_producer.errors import ProducerError


class FeedError(ProducerError):
    """The file is not an event feed, or says too little; nothing was published."""


class StandingsUnusable(ProducerError):
    """A file of standings is of no form that is known, or says too little; nothing was published."""


class SourceUnusable(ProducerError):
    """A judge's database does not answer, or lacks what was named."""


class BadRow(ProducerError):
    """A row to import is not an event; the message names its key."""


class ImportStopped(ProducerError):
    """An import ended early; the message names the key to continue after."""


class TooMuchTakenBack(ProducerError):
    """More than a tenth of what a source counted would be taken back; nothing of it was."""


class SourceBusy(ProducerError):
    """Another import of the same source is running; nothing was published."""


class KeepsChanging(ProducerError):
    """Another program publishes as the same source; what was published counts once."""


class OutboxBusy(ProducerError):
    """Another relay publishes the outbox; nothing was published by this one."""
