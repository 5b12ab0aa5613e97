"""What does a person see? Pages made on the server from what the API answers, whole without any script."""

from fastapi import FastAPI

from solve_api.pages import account, assets, board, home, panel, user
from solve_api.pages import dead_letters as letters
from solve_api.pages import login as doors
from solve_api.pages import operations as machinery
from solve_api.pages.errors import problem_page

__all__ = ["add_pages", "problem_page"]

ROOMS = (assets, home, board, user, doors, panel, letters, machinery, account)


def add_pages(app: FastAPI) -> None:
    """The routes of the pages and their static files."""
    for room in ROOMS:
        app.include_router(room.router)
