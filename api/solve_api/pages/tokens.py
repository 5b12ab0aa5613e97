"""The tokens page: an admin's tokens for scripts."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse

from solve_api.identity import own_account, tokens
from solve_api.identity.sessions import now
from solve_api.pages.rendering import admin_page
from solve_api.routes.callers import InSession, OpenStores
from solve_projector.store.dead_letters import GREATEST_ID

TOKENS_PATH = "/admin/tokens"

router = APIRouter(include_in_schema=False)


@router.api_route(TOKENS_PATH, methods=["GET", "HEAD"])
async def token_list(request: Request, caller: InSession, stores: OpenStores) -> Response:
    """The admin's tokens, valid or not."""
    found = await tokens.tokens(stores.pool, caller.admin_id)
    return admin_page(request, caller, "tokens.html", tokens=found, now=now())


@router.post(TOKENS_PATH + "/{token_id:int}/revoke")
async def revoke(
    caller: InSession, stores: OpenStores, token_id: Annotated[int, Path(ge=1, le=GREATEST_ID)]
) -> Response:
    """Revokes one of them."""
    await own_account.revoke_own_token(stores.identity, caller, token_id)
    return RedirectResponse(TOKENS_PATH, 303)
