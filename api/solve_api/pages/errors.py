"""How does an error look? A page with the status of the error, and what to do now."""

from fastapi import Request, Response

from solve_api.http.problems import Problem
from solve_api.http.public import request_id
from solve_api.pages.login import login_needed
from solve_api.pages.rendering import admin_page

ROOMS = ("/leaderboard", "/search", "/users", "/admin")


def problem_page(request: Request, problem: Problem) -> Response | None:
    """None where no page was asked for; the log-in where one is needed."""
    if not wants_page(request):
        return None
    if problem.kind == "log-in-needed":
        return login_needed(request)
    values = {
        "problem": problem,
        # the API's advice is for programs; a person gets a link
        "detail": problem.detail.partition(";")[0] + "." if problem.kind == "user-unknown" else problem.detail,
        "reference": request_id() if problem.status >= 500 else "",
        "again": problem.headers.get("Retry-After") if request.method == "GET" and problem.status == 503 else None,
    }
    response = admin_page(request, None, "problem.html", status=problem.status, **values)
    response.headers.update(problem.headers)
    return response


def wants_page(request: Request) -> bool:
    """Whether a person looks: at a page, or with a browser at nothing."""
    path = request.url.path
    if path == "/api" or path.startswith("/api/"):
        return False
    is_room = path == "/" or any(path == room or path.startswith(f"{room}/") for room in ROOMS)
    return is_room or "text/html" in request.headers.get("accept", "")
