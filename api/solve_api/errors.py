"""Errors that the API raises; each message says what happened and what to do."""

from solve_runtime.errors import SolveCountsError


class ApiError(SolveCountsError):
    """Root of what the API raises itself."""


class TooManyRequests(ApiError):
    """A client exceeded one of the rate limits."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LoginRefused(ApiError):
    """A login failed; the message is the same whatever the reason."""


class PasswordNotConfirmed(ApiError):
    """An admin did not repeat their own password correctly."""


class PasswordRefused(ApiError):
    """A new password is too short, too long or too easy to guess."""


class PasswordsBusy(ApiError):
    """Too many passwords are being checked at the moment."""


class AdminExists(ApiError):
    """Another admin already has this name."""


class AdminUnknown(ApiError):
    """No admin has this name."""


class NameRefused(ApiError):
    """An admin cannot have this name."""


class AuditRefused(ApiError):
    """PostgreSQL refuses a row of the activity, so nothing is done."""


class CommitRefused(ApiError):
    """PostgreSQL refuses what was asked when it commits, so nothing is done."""


class ReasonMissing(ApiError):
    """An admin did not say why."""


class NameMissing(ApiError):
    """A registration needs a name, and none is kept of this user."""


class UserIsRemoved(ApiError):
    """What was asked would bring a removed user back."""


class NotPublished(ApiError):
    """An event did not get into the log for certain; each kind says what that means for whoever asked."""


class LogUnavailable(NotPublished):
    """No broker answers; nothing was published."""


class PublishRefused(NotPublished):
    """The brokers do not take the event; nothing was published."""


class PublishUncertain(NotPublished):
    """The event may be in the log or not."""


class TokenUnknown(ApiError):
    """No token has this id."""


class TokenRefused(ApiError):
    """A token cannot be created as requested."""


class ZoneUnknown(ApiError):
    """PostgreSQL does not know a time zone under this name."""


class CursorRefused(ApiError):
    """A cursor does not come from a page of the board."""


class BoardNotReady(ApiError):
    """A board is being computed for the first time."""

    retry_after_s = 2


class UserGone(ApiError):
    """A user was removed, and is shown nowhere."""


class JobLost(ApiError):
    """The process of a job was killed."""


class JobUnknown(ApiError):
    """No job has this id."""


class JobUnreadable(ApiError):
    """The row of a job is not one that this version writes."""
