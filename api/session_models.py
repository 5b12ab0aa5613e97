"""What do log-ins and tokens look like over HTTP? Bodies of requests and answers, with examples."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StrictInt

from api.admin.audit import Recorded
from api.admin.tokens import LABEL_MAX_CHARS, LEAST_DAYS, MOST_DAYS, USUAL_DAYS, Scope, Token
from api.models import EXAMPLE_TIME, Answer

PASSWORD_MAX_CHARS = 1_000  # longer ones are refused unread; the rule itself is api.admin.passwords'


def _keepable(said: str) -> str:
    if not said.isprintable():
        raise ValueError("has characters that cannot be printed")
    return said


Label = Annotated[str, AfterValidator(_keepable), Field(min_length=1, max_length=LABEL_MAX_CHARS, examples=["nightly"])]
Password = Annotated[SecretStr, Field(max_length=PASSWORD_MAX_CHARS, examples=["correct horse battery staple"])]


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
    csrf_token: str | None = Field(description="For the header X-CSRF-Token; none for a token, which needs none.")


class EndedSessions(Answer):
    """How many browsers were logged out, this one among them."""

    sessions_ended: int = Field(examples=[3])


class TokenRequest(BaseModel):
    """A token to be; it asks for the password once more, since a token outlives the session."""

    model_config = ConfigDict(extra="forbid")

    label: Label
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), examples=[["read"]])
    days: StrictInt = Field(USUAL_DAYS, ge=LEAST_DAYS, le=MOST_DAYS)
    password: Password


class TokenState(Answer):
    """A token without the secret."""

    token_id: int
    admin: str = Field(examples=["ada"])
    label: str = Field(examples=["nightly"])
    scopes: list[Scope]
    created_at: datetime = Field(examples=[EXAMPLE_TIME])
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

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

    audit_id: int
    at: datetime = Field(examples=[EXAMPLE_TIME])
    who: str = Field(examples=["ada"])
    via: str = Field(examples=["session"])
    action: str = Field(examples=["backfill"])
    detail: dict[str, Any]
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
    before_id: int | None = Field(description="For the page after this one; null on the last.")
