"""Actors, visitors and callers as plain values: for the audit trail, and for what a request may do."""

from dataclasses import dataclass, field

from solve_api.identity.tokens import Scope

SESSION = "session"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, how we know ("session", "token:label", "password" or "cli"), from where, in which request."""

    name: str
    via: str
    client: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a request comes from, before we know who sent it. `session_id` is the cookie's, valid or not."""

    client: str
    request_id: str
    session_id: str = field(default="", repr=False)
    user_agent: str = ""

    def acting_as(self, name: str, via: str) -> Actor:
        """This visitor under a name."""
        return Actor(name, via, self.client, self.request_id)


@dataclass(frozen=True, slots=True)
class Caller:
    """An admin, or a script of theirs. Only a session has a CSRF token, and only a script a token's id."""

    admin_id: int
    actor: Actor
    scopes: frozenset[Scope]
    visitor: Visitor
    csrf_token: str | None = field(default=None, repr=False)
    token_id: int | None = None

    @property
    def name(self) -> str:
        """The admin's name."""
        return self.actor.name

    @property
    def via(self) -> str:
        """How the caller logged in."""
        return self.actor.via
