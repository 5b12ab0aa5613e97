"""HTML pages, rendered on the server from what the API answers. Every page is complete without JavaScript."""

from fastapi import FastAPI

from solve_api.pages import (
    account,
    activity,
    assets,
    board,
    dead_letters,
    home,
    lag,
    login,
    panel,
    problem_facts,
    tokens,
    user,
    user_facts,
)
from solve_api.pages.errors import problem_page

__all__ = ["add_pages", "problem_page"]

PUBLIC = (assets, home, board, user, login)
PANEL = (panel, user_facts, problem_facts, dead_letters, lag, activity, tokens, account)


def add_pages(app: FastAPI) -> None:
    """Adds the routes of the pages and their static files."""
    for page in (*PUBLIC, *PANEL):
        app.include_router(page.router)
