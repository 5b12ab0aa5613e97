"""What can the API not do, and who must do what about it? Every message ends with what to do."""

from solve_runtime.errors import SolveCountsError


class ApiError(SolveCountsError):
    """Root of what the API raises itself."""


class AddressUnusable(ApiError):
    """The address for the pages cannot be had."""


class PasswordRefused(ApiError):
    """A password is too short, too long or too easy to guess."""


class PasswordsBusy(ApiError):
    """So many passwords wait to be checked that one more would wait for long."""


class AdminExists(ApiError):
    """Another admin has this name."""


class AdminUnknown(ApiError):
    """No admin has this name, or it was disabled."""


class NameRefused(ApiError):
    """A name that no admin can have."""


class TokenUnknown(ApiError):
    """No token has this id."""


class TokenRefused(ApiError):
    """A token that cannot be made: unknown scope, or a time to live out of range."""


class ZoneUnknown(ApiError):
    """A time zone that PostgreSQL does not know under this name."""


class JobUnknown(ApiError):
    """No job has this id."""
