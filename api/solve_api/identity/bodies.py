"""Bodies of requests and answers about logins, sessions, tokens and activity, with examples."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StrictInt

from solve_api.bodies import Asked, Body
from solve_api.identity.audit import Activity
from solve_api.identity.sessions import OwnSession, SessionId
from solve_api.identity.tokens import DAYS_DEFAULT, DAYS_MAX, DAYS_MIN, LABEL_MAX_CHARS, Scope, TokenState

PASSWORD_MAX_CHARS = 1_000  # longer texts are refused unread; passwords.py has the rule itself


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("may only contain printable characters")
    return text


Label = Annotated[
    str, AfterValidator(_printable), Field(min_length=1, max_length=LABEL_MAX_CHARS, examples=["nightly"])
]
Password = Annotated[SecretStr, Field(max_length=PASSWORD_MAX_CHARS, examples=["four random words of yours"])]


class LogInRequest(Asked):
    """Name and password of an admin."""

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


class SessionList(Body):
    """Open sessions, most recently used first."""

    sessions: list[OwnSession]


class EndSessionsRequest(Asked):
    """Which browsers to log out. The password keeps others from using an open browser for this."""

    session_ids: list[SessionId] = Field(min_length=1, max_length=1_000)
    password: Password


class LogOutEverywhereRequest(Asked):
    """Confirms logging out every browser."""

    password: Password


class PasswordRequest(Asked):
    """The new password, and the current one, so that nobody can take over the account from an open browser."""

    password: Password
    new_password: Password


class EndedSessions(Body):
    """The number of browsers that were logged out."""

    sessions_ended: int = Field(examples=[1])


class TokenRequest(Asked):
    """A token to create. The password confirms it, since a token outlives the session."""

    label: Label
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), examples=[["read"]])
    days: StrictInt = Field(DAYS_DEFAULT, ge=DAYS_MIN, le=DAYS_MAX, examples=[DAYS_DEFAULT])
    password: Password


class CreatedToken(TokenState):
    """A new token with its secret, which is shown only once."""

    token: str = Field(examples=["sct_…"])


class TokenList(Body):
    """Tokens, valid or not, newest first."""

    tokens: list[TokenState]


class ActivityList(Body):
    """Newest first."""

    activities: list[Activity]
    before_id: int | None = Field(examples=[47], description="For the next page; null on the last one.")
