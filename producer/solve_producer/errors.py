"""The errors of publishing, each named after what the judge must act on."""

from solve_runtime.errors import SolveCountsError


class ProducerError(SolveCountsError):
    """Root of what publishing raises."""


class BrokerUnreachable(ProducerError):
    """No broker answers; nothing was sent."""


class TopicMissing(ProducerError):
    """The log does not exist; nothing was sent."""


class NotAllowed(ProducerError):
    """The brokers refuse our credentials or our right to write; nothing was sent."""


class RecordTooLarge(ProducerError):
    """The broker takes no record of this size; it was not sent."""


class DeliveryUncertain(ProducerError):
    """The event may be in the log or not. Sending it again is harmless: the same event counts once."""


class InvalidEvent(ProducerError):
    """A field is missing or out of its limits; nothing was sent."""


class InvalidSettings(ProducerError):
    """An argument or a variable of the environment cannot be used."""


class ProducerMisused(ProducerError):
    """The producer is not usable here: not started, stopped, of another event loop or of another process."""


class BadLine(ProducerError):
    """A line of an event file is not an event; the message begins with `file:line`."""
