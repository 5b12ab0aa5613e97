"""Bodies of requests and answers about logins, sessions, tokens and activity, with examples."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StrictInt

from solve_api.bodies import EXAMPLE_TIME, Body
from solve_api.identity.audit import Recorded
from solve_api.identity.sessions import OpenSession
from solve_api.identity.tokens import DAYS_DEFAULT, DAYS_MAX, DAYS_MIN, LABEL_MAX_CHARS, Scope, Token

PASSWORD_MAX_CHARS = 1_000  # longer texts are refused unread; passwords.py has the rule itself


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("may only contain printable characters")
    return text


Label = Annotated[
    str, AfterValidator(_printable), Field(min_length=1, max_length=LABEL_MAX_CHARS, examples=["nightly"])
]
Password = Annotated[SecretStr, Field(max_length=PASSWORD_MAX_CHARS, examples=["four random words of yours"])]

SessionId = Annotated[str, Field(pattern="^[0-9a-f]{16}$", examples=["5f1d7a84db0c2e99"])]


class LogInRequest(BaseModel):
    """Name and password of an admin."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, examples=["ada"])
    password: Password


class SessionState(Body):
    """Who is logged in and how, and what requests with side effects must send."""

    name: str = Field(examples=["ada"])
    via: str = Field(examples=["session"], description="`session`, or `token:` and the label.")
    scopes: list[Scope]
    csrf_token: str | None = Field(
        examples=["0d7e" * 16], description="For the header X-CSRF-Token; null for a token, which needs none."
    )

    @classmethod
    def of_browser(cls, name: str, csrf_token: str) -> "SessionState":
        """The state of a session, which has every scope."""
        return cls(name=name, via="session", scopes=list(Scope), csrf_token=csrf_token)


class OwnSession(Body):
    """A logged-in browser."""

    session_id: SessionId = Field(description="Names the session, and does not open it.")
    client: str = Field(examples=["Mozilla/5.0 (X11; Linux x86_64)"], description="The browser's User-Agent.")
    created_at: datetime = Field(examples=[EXAMPLE_TIME])
    last_seen_at: datetime = Field(examples=["2026-11-24T11:30:00Z"], description="Accurate to about a minute.")
    expires_at: datetime = Field(examples=["2026-11-24T21:09:50Z"], description="At the latest; sooner if unused.")
    current: bool = Field(description="Whether this request belongs to it.")

    @classmethod
    def of(cls, found: OpenSession, *, current: bool) -> "OwnSession":
        """From a stored session."""
        return cls(**asdict(found), current=current)


class SessionList(Body):
    """Open sessions, most recently used first."""

    sessions: list[OwnSession]


class EndSessionsRequest(BaseModel):
    """Which browsers to log out. The password keeps others from using an open browser for this."""

    model_config = ConfigDict(extra="forbid")

    session_ids: list[SessionId] = Field(min_length=1, max_length=1_000)
    password: Password


class LogOutEverywhereRequest(BaseModel):
    """Confirms logging out every browser."""

    model_config = ConfigDict(extra="forbid")

    password: Password


class PasswordRequest(BaseModel):
    """The new password, and the current one, so that nobody can take over the account from an open browser."""

    model_config = ConfigDict(extra="forbid")

    password: Password
    new_password: Password


class EndedSessions(Body):
    """The number of browsers that were logged out."""

    sessions_ended: int = Field(examples=[1])


class TokenRequest(BaseModel):
    """A token to create. The password confirms it, since a token outlives the session."""

    model_config = ConfigDict(extra="forbid")

    label: Label
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), examples=[["read"]])
    days: StrictInt = Field(DAYS_DEFAULT, ge=DAYS_MIN, le=DAYS_MAX, examples=[DAYS_DEFAULT])
    password: Password


class TokenState(Body):
    """A token, without its secret."""

    token_id: int = Field(examples=[3])
    admin: str = Field(examples=["ada"])
    label: str = Field(examples=["nightly"])
    scopes: list[Scope]
    created_at: datetime = Field(examples=[EXAMPLE_TIME])
    expires_at: datetime = Field(examples=["2027-02-22T09:09:50Z"])
    last_used_at: datetime | None = Field(examples=["2026-11-25T03:00:01Z"])
    revoked_at: datetime | None = Field(examples=[None])

    @classmethod
    def of(cls, token: Token) -> "TokenState":
        """From a stored token."""
        return cls.model_validate(token, from_attributes=True)


class CreatedToken(TokenState):
    """A new token with its secret, which is shown only once."""

    token: str = Field(examples=["sct_…"])


class TokenList(Body):
    """Tokens, valid or not, newest first."""

    tokens: list[TokenState]


class Activity(Body):
    """What one admin, script or operator did."""

    audit_id: int = Field(examples=[47])
    at: datetime = Field(examples=[EXAMPLE_TIME])
    who: str = Field(examples=["ada"])
    via: str = Field(examples=["session"])
    action: str = Field(examples=["backfill"])
    detail: dict[str, Any] = Field(examples=[{"dry_run": False, "users_updated": 15}])
    result: str = Field(examples=["done"])
    request_id: str = Field(examples=["8d2c5b1e9f7a4c3db0"])
    client: str = Field(examples=["192.0.2.7"])

    @classmethod
    def of(cls, row: Recorded) -> "Activity":
        """From a row of the audit trail."""
        return cls.model_validate(row, from_attributes=True)


class ActivityList(Body):
    """Newest first."""

    activities: list[Activity]
    before_id: int | None = Field(examples=[47], description="For the next page; null on the last one.")
