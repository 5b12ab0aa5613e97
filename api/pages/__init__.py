"""What does a person see? Pages made on the server from what the API answers."""

from fastapi import FastAPI, Request, Response

from api.problems import Problem


def add_pages(app: FastAPI) -> None:
    """The routes of the pages and their static files."""


def problem_page(_request: Request, problem: Problem) -> Response:
    """An error as a page."""
    return problem.response()
