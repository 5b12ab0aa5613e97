"""Our errors as problem details (RFC 9457) that reveal nothing of our internals.

No web framework is needed here; `error_handlers` turns a problem into a response.
"""

import asyncio

from solve_api import errors as ours
from solve_projector import errors as projector
from solve_projector.store.postgresql import DATABASE_ERRORS, Failure, classify, is_denied
from solve_runtime.errors import SolveCountsError
from solve_runtime.http.problem import RETRY_AFTER_S, RETRY_LATER, Problem, sentence

UNPROVABLE = (409, "log-incomplete", "The log cannot prove the counts")


def unavailable(server: str) -> Problem:
    """One of our servers does not answer; nothing more is said about it."""
    return Problem(
        503,
        f"{server.lower()}-unavailable",
        f"{server} is unavailable",
        f"{server} does not answer right now. Nothing is lost; try again in {RETRY_AFTER_S} seconds.",
        headers=RETRY_LATER,
    )


def permission_missing() -> Problem:
    """PostgreSQL refuses our role something; what it is is said to the log alone."""
    return Problem(
        503,
        "permission-missing",
        "A permission is missing",
        "The database role of this service lacks a permission; tell the operator: the log names it under the "
        "X-Request-ID of this answer.",
        headers=RETRY_LATER,
    )


# Errors whose message may be shown: status, kind, title.
SHOWN: dict[type[SolveCountsError], tuple[int, str, str]] = {
    projector.UserUnknown: (404, "user-unknown", "User not found"),
    ours.UserGone: (410, "user-removed", "User removed"),
    projector.DeadLetterUnknown: (404, "dead-letter-unknown", "Dead letter not found"),
    projector.NothingParked: (404, "nothing-parked", "No parked events"),
    ours.JobUnknown: (404, "job-unknown", "Job not found"),
    ours.TokenUnknown: (404, "token-unknown", "Token not found"),
    ours.AdminUnknown: (404, "admin-unknown", "Admin not found"),
    ours.LoginRefused: (401, "login-refused", "Login failed"),
    ours.PasswordNotConfirmed: (401, "login-refused", "Wrong password"),
    projector.AlreadyDecided: (409, "already-decided", "Already decided"),
    projector.ReplayRunning: (409, "replay-running", "Another replay is running"),
    projector.RebuildRunning: (409, "rebuild-running", "Another rebuild is running"),
    projector.LogHeadGone: UNPROVABLE,
    projector.TopicUnsafe: UNPROVABLE,
    projector.TopicMissing: UNPROVABLE,
    projector.LogRewritten: UNPROVABLE,
    projector.OffsetOutOfRange: UNPROVABLE,
    projector.SelectorUnclear: (422, "selector-unclear", "Nothing selected"),
    projector.WhoUnknown: (422, "reason-missing", "A reason is required"),
    ours.ZoneUnknown: (422, "timezone-unknown", "Unknown time zone"),
    ours.CursorRefused: (422, "cursor-refused", "Invalid cursor"),
    ours.PasswordRefused: (422, "password-refused", "Password not accepted"),
    ours.TokenRefused: (422, "token-refused", "Token not created"),
    ours.TooManyRequests: (429, "too-many-requests", "Too many requests"),
    ours.AuditRefused: (503, "activity-refused", "Not recorded, so not done"),
    ours.CommitRefused: (503, "commit-refused", "Not committed, so not done"),
    ours.ReasonMissing: (422, "reason-missing", "A reason is required"),
    ours.NameMissing: (422, "username-missing", "A name is required"),
    ours.UserIsRemoved: (409, "user-is-removed", "The user is removed"),
    ours.LogUnavailable: (503, "kafka-unavailable", "Kafka is unavailable"),
    ours.PublishRefused: (503, "publish-refused", "Not published, so not done"),
    ours.PublishUncertain: (503, "publish-uncertain", "Not confirmed"),
    ours.BoardNotReady: (503, "board-not-ready", "The leaderboard is being computed"),
    ours.JobUnreadable: (500, "job-unreadable", "Job not readable"),
    ours.JobLost: (503, "job-lost", "The job was interrupted"),
    ours.PasswordsBusy: (503, "busy", "Too many logins at once"),
}
# Errors whose message names servers and settings: it goes to the log alone.
HIDDEN: dict[type[SolveCountsError], str] = {
    projector.DatabaseUnavailable: "PostgreSQL",
    projector.SchemaMismatch: "PostgreSQL",
    projector.ReplayInterrupted: "PostgreSQL",
    projector.KafkaUnavailable: "Kafka",
    projector.LeaderboardUnavailable: "Redis",
}


def problem_of(error: BaseException) -> Problem:
    """The problem for an error; an unexpected error becomes a 500 that reveals nothing about it."""
    match error:
        case Problem():
            return error
        case asyncio.CancelledError():
            return Problem(
                503,
                "interrupted",
                "The server was stopped",
                "The server was stopped before this finished. No half-finished result is visible; run it again.",
                headers=RETRY_LATER,
            )
    for kind, (status, name, title) in SHOWN.items():
        if isinstance(error, kind):
            detail = sentence(str(error))
            return Problem(status, name, title, detail, headers=_headers(error, status), names=error.names)
    return _hidden(error) or Problem(
        500,
        "internal-error",
        "Something went wrong",
        "The error was logged under the X-Request-ID of this answer. Try again; if it persists, tell the operator.",
    )


def _hidden(error: BaseException) -> Problem | None:
    """The problem for an error of a server, whose message goes to the log alone."""
    if isinstance(error, projector.PermissionMissing) or is_denied(error) or is_denied(error.__cause__):
        return permission_missing()
    for kind, server in HIDDEN.items():
        if isinstance(error, kind):
            return unavailable(server)
    if isinstance(error, DATABASE_ERRORS) and classify(error) is Failure.TRANSIENT:
        return unavailable("PostgreSQL")
    return None


def _headers(error: BaseException, status: int) -> dict[str, str] | None:
    if isinstance(error, ours.TooManyRequests | ours.BoardNotReady):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, ours.LoginRefused):
        return {"WWW-Authenticate": "Bearer"}
    return RETRY_LATER if status == 503 else None
