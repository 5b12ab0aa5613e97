"""Error pages: what went wrong, and what to do."""

from fastapi import Request, Response

from solve_api.http.paths import path_of
from solve_api.pages.login import login_required
from solve_api.pages.rendering import admin_page
from solve_api.routes.callers import visitor_of
from solve_runtime.http.problem import Problem

PAGE_PATHS = ("/leaderboard", "/search", "/users", "/user", "/admin")


def problem_page(request: Request, problem: Problem) -> Response | None:
    """The page of a problem, the login if one is required, or None if the client wants no page."""
    if not wants_page(request):
        return None
    if problem.kind == "login-required":
        return login_required(request)
    values = {
        "detail": _without_advice(problem) if problem.kind == "user-unknown" else problem.detail,
        "reference": visitor_of(request).request_id if problem.status >= 500 else "",
        "again": problem.headers.get("Retry-After") if request.method == "GET" and problem.status == 503 else None,
    }
    return admin_page(request, None, "problem.html", problem=problem, **values)


def _without_advice(problem: Problem) -> str:
    """What comes after the last semicolon is for programs; a person gets a button. An id may have semicolons too."""
    return problem.detail.rpartition(";")[0] + "."


def wants_page(request: Request) -> bool:
    """Whether a person asks: for a page, or for an unknown address with a browser."""
    path = path_of(request)
    if path == "/api" or path.startswith("/api/"):
        return False
    is_page = path == "/" or any(path == one or path.startswith(f"{one}/") for one in PAGE_PATHS)
    return is_page or "text/html" in request.headers.get("accept", "")
