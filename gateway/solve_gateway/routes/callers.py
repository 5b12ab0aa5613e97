"""Dependencies of routes: the gateway, and the owner of the token.

They are coroutines, since others are called in threads, where two of them would read the file of tokens at once.
"""

from typing import Annotated

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from solve_gateway.errors import TokensUnusable
from solve_gateway.gateway import Gateway
from solve_gateway.tokens import Token, Use
from solve_runtime.http.problem import RETRY_LATER, Problem

bearer = HTTPBearer(auto_error=False, description="A token made by `solve-producer tokens add NAME`.")

log = structlog.get_logger()


async def gateway_of(request: Request) -> Gateway:
    """The gateway of this process."""
    found: Gateway = request.app.state.gateway
    return found


CurrentGateway = Annotated[Gateway, Depends(gateway_of)]


async def owner_of(
    gateway: CurrentGateway, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Token:
    """Whose token the request carries. Raises Problem."""
    return owner_by(gateway, credentials.credentials if credentials else None, Use.EVENTS)


def owner_by(gateway: Gateway, raw: str | None, use: Use) -> Token:
    """Whose token this is, which has to be for this use. Raises Problem."""
    try:
        owner = gateway.tokens.owner_of(raw) if raw else None
    except TokensUnusable:
        raise Problem(
            503,
            "tokens-unusable",
            "Tokens cannot be checked",
            "The gateway cannot read its tokens; its log says why. Nothing was published; send it again.",
            headers=RETRY_LATER,
        ) from None
    if owner is None:
        raise Problem(
            401,
            "token-unknown",
            "A token is needed",
            "Send a token of this gateway as `Authorization: Bearer …`; it may have been revoked.",
            headers={"WWW-Authenticate": 'Bearer realm="solve-counts"'},
        )
    if owner.use is not use:
        raise Problem(
            403,
            "token-for-other-use",
            "The token may not do this",
            f"This token is for {owner.use}; make one with: solve-producer tokens add NAME --for {use}.",
        )
    return owner


Owner = Annotated[Token, Depends(owner_of)]
