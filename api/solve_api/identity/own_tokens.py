"""How does an admin look after their own tokens? Each is made or ended together with its row of the audit, or not."""

from fastapi import Request

from solve_api.errors import TokenUnknown
from solve_api.identity import audit, tokens
from solve_api.identity.authentication import Caller, now
from solve_api.identity.database import transaction
from solve_api.identity.tokens import NewToken, Token
from solve_api.operations.repairs import entry_of
from solve_api.stores import stores_of


async def make(request: Request, caller: Caller, wanted: NewToken) -> tuple[str, Token]:
    """The token, which nobody can see again, and its row. Raises TokenRefused."""
    async with transaction(stores_of(request).pool) as database:
        raw, made = await tokens.create_token(database, caller.admin_id, wanted, now())
        detail = {"token_id": made.token_id, "label": made.label, "scopes": list(made.scopes), "days": wanted.days}
        await audit.record(database, entry_of(request, caller, "create-token", detail, "done"))
    return raw, made


async def revoke(request: Request, caller: Caller, token_id: int) -> Token:
    """Ends one of theirs; safe to repeat. Raises TokenUnknown."""
    async with transaction(stores_of(request).pool) as database:
        try:
            ended = await tokens.revoke(database, token_id, now(), caller.admin_id)
        except TokenUnknown:  # which names a command, for who sits at the server
            raise TokenUnknown(f"there is no token {token_id} of yours; look at the list of them") from None
        detail = {"token_id": token_id, "label": ended.label}
        await audit.record(database, entry_of(request, caller, "revoke-token", detail, "done"))
    return ended
