"""What does a person see? Pages made on the server from what the API answers, whole without any script."""

from fastapi import FastAPI

from api.pages import account, assets, board, doors, home, letters, machinery, panel, user
from api.pages.errors import problem_page

__all__ = ["add_pages", "problem_page"]

ROOMS = (assets, home, board, user, doors, panel, letters, machinery, account)


def add_pages(app: FastAPI) -> None:
    """The routes of the pages and their static files."""
    for room in ROOMS:
        app.include_router(room.router)
