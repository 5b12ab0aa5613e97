"""What do log-ins and tokens look like over HTTP? Bodies of requests and answers, with examples."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StrictInt

from solve_api.identity.audit import Recorded
from solve_api.identity.sessions import OpenSession
from solve_api.identity.tokens import LABEL_MAX_CHARS, LEAST_DAYS, MOST_DAYS, USUAL_DAYS, Scope, Token
from solve_api.models.public import EXAMPLE_TIME, Answer

PASSWORD_MAX_CHARS = 1_000  # longer ones are refused unread; the rule itself is api.admin.passwords'


def _keepable(said: str) -> str:
    if not said.isprintable():
        raise ValueError("has characters that cannot be printed")
    return said


Label = Annotated[str, AfterValidator(_keepable), Field(min_length=1, max_length=LABEL_MAX_CHARS, examples=["nightly"])]
Password = Annotated[SecretStr, Field(max_length=PASSWORD_MAX_CHARS, examples=["four random words of yours"])]


SessionId = Annotated[str, Field(pattern="^[0-9a-f]{16}$", examples=["5f1d7a84db0c2e99"])]


class LogInRequest(BaseModel):
    """Who wants in."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, examples=["ada"])
    password: Password


class SessionState(Answer):
    """Who is logged in, how, and what requests that change something must send."""

    name: str = Field(examples=["ada"])
    via: str = Field(examples=["session"], description="`session`, or `token:` and its label.")
    scopes: list[Scope]
    csrf_token: str | None = Field(
        examples=["0d7e" * 16], description="For the header X-CSRF-Token; none for a token, which needs none."
    )

    @classmethod
    def of_browser(cls, name: str, csrf_token: str) -> "SessionState":
        """A log-in with a password, which may do everything."""
        return cls(name=name, via="session", scopes=list(Scope), csrf_token=csrf_token)


class OwnSession(Answer):
    """A browser that is logged in."""

    session_id: SessionId = Field(description="Names the session; nobody can log in with it.")
    client: str = Field(examples=["Mozilla/5.0 (X11; Linux x86_64)"], description="What the browser said it is.")
    created_at: datetime = Field(examples=[EXAMPLE_TIME])
    last_seen_at: datetime = Field(examples=["2026-11-24T11:30:00Z"], description="To about a minute.")
    expires_at: datetime = Field(
        examples=["2026-11-24T21:09:50Z"], description="At the latest; sooner where it is not used."
    )
    current: bool = Field(description="Whether it is the one that asks.")

    @classmethod
    def of(cls, found: OpenSession, *, current: bool) -> "OwnSession":
        """As the table has it."""
        return cls(**asdict(found), current=current)


class SessionList(Answer):
    """This admin's open sessions, the latest used first."""

    sessions: list[OwnSession]


class EndSessionsRequest(BaseModel):
    """Which browsers to log out; it asks for the password, so that who finds an open browser cannot."""

    model_config = ConfigDict(extra="forbid")

    session_ids: list[SessionId] = Field(min_length=1, max_length=1_000)
    password: Password


class LogOutEverywhereRequest(BaseModel):
    """It asks for the password, as ending each of them does."""

    model_config = ConfigDict(extra="forbid")

    password: Password


class PasswordRequest(BaseModel):
    """A new password, and the one until now: who finds an open browser cannot take the account."""

    model_config = ConfigDict(extra="forbid")

    password: Password
    new_password: Password


class EndedSessions(Answer):
    """How many browsers were logged out."""

    sessions_ended: int = Field(examples=[1])


class TokenRequest(BaseModel):
    """A token to be; it asks for the password once more, since a token outlives the session."""

    model_config = ConfigDict(extra="forbid")

    label: Label
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), examples=[["read"]])
    days: StrictInt = Field(USUAL_DAYS, ge=LEAST_DAYS, le=MOST_DAYS, examples=[USUAL_DAYS])
    password: Password


class TokenState(Answer):
    """A token without the secret."""

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
        """As the table has it."""
        return cls.model_validate(token, from_attributes=True)


class CreatedToken(TokenState):
    """With the secret, this once."""

    token: str = Field(examples=["sct_…"])


class TokenList(Answer):
    """This admin's, the newest first, also those that no longer work."""

    tokens: list[TokenState]


class AuditEntry(Answer):
    """One action."""

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
    def of(cls, entry: Recorded) -> "AuditEntry":
        """As the table has it."""
        return cls.model_validate(entry, from_attributes=True)


class AuditList(Answer):
    """The newest first."""

    entries: list[AuditEntry]
    before_id: int | None = Field(examples=[47], description="For the page after this one; null on the last.")
