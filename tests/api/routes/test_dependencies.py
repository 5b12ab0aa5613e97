"""Routes and their dependencies are async: FastAPI runs others in threads, which is slow."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

import solve_api.pages
import solve_api.routes

MODULES = [
    f"{package.__name__}.{found.name}"
    for package in (solve_api.pages, solve_api.routes)
    for found in pkgutil.iter_modules(package.__path__)
]


@pytest.mark.parametrize("name", MODULES)
def test_routes_and_what_they_depend_on_are_async(name: str) -> None:
    router = getattr(import_module(name), "router", None)
    routes = [one for one in (router.routes if router else ()) if isinstance(one, APIRoute)]
    assert [call for route in routes for call in _calls(route.dependant) if not _is_async(call)] == []


def _calls(dependant: Dependant) -> Iterator[Any]:
    if dependant.call:
        yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)


def _is_async(call: Any) -> bool:
    called = call if inspect.isfunction(call) else type(call).__call__
    return inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)
