"""The errors of the gateway and its commands."""

from solve_producer.errors import ProducerError


class TokensUnusable(ProducerError):
    """The file of tokens cannot be read or written, or is none."""


class TokenRefused(ProducerError):
    """A token cannot be made, or is not there to be revoked."""


class CallbackUnsignable(ProducerError):
    """The URL of a callback cannot be made."""


class BadSignature(ProducerError):
    """The signed part of a callback's URL was not made with our key."""


class SweepFailed(ProducerError):
    """Judge0 could not be asked for its results; what was published before counts once."""


class GatewayMissing(ProducerError):
    """What the extra installs is not there."""


class BadResult(ProducerError):
    """What is said to be a result of Judge0 is none; the message names the field."""


class SpoolUnusable(ProducerError):
    """The folder for notifications of contest systems is not there, or may not be written."""


class SpoolFull(ProducerError):
    """No more notifications are kept until somebody removes files of contests that are over."""


class BadNotification(ProducerError):
    """What is said to be a callback of a contest system is none; the message names the field."""
