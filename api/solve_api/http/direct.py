"""Public routes whose parameters are read in one pass, for what is asked most often.

FastAPI walks all kinds of parameters of every dependency for each request, which took as long as reading a profile.
Here pydantic is asked alone, as FastAPI would, for what was sent. Whatever it refuses is left to FastAPI, for the
answer.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from inspect import iscoroutinefunction
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

Answering = Callable[[Request], Coroutine[Any, Any, Response]]
# what a function may take here: nothing of it changes, so that a default can be handed out again and again
PLAIN = (str, int, type(None))
OTHER_KINDS = (
    *("header_params", "cookie_params", "body_params"),
    *("websocket_param_name", "http_connection_param_name", "response_param_name"),
    *("background_tasks_param_name", "security_scopes_param_name", "own_oauth_scopes", "parent_oauth_scopes"),
)


class DirectRoute(APIRoute):
    """A route that returns a response. It takes parameters of path and query alone, and so do its dependencies."""

    def get_route_handler(self) -> Answering:
        """The handler. Raises TypeError for a route that takes more."""
        general, reader, endpoint = super().get_route_handler(), _Reader(self.dependant), self.endpoint

        async def handle(request: Request) -> Response:
            values = await reader.read(request, _query_of(request))
            if values is None:
                return await general(request)
            response: Response = await endpoint(**values)
            return response

        return handle


class DirectRouter(APIRouter):
    """A router of direct routes."""

    def __init__(self, prefix: str, tag: str) -> None:
        super().__init__(prefix=prefix, tags=[tag], route_class=DirectRoute, generate_unique_id_function=operation_id)

    def add_to(self, app: FastAPI) -> None:
        """Adds the routes themselves: of an included router, FastAPI looks each route up twice for a request."""
        app.router.routes.extend(self.routes)


def operation_id(route: APIRoute) -> str:
    """The name of an operation in the OpenAPI document."""
    return f"{route.tags[0] if route.tags else 'page'}_{route.name}"


def _query_of(request: Request) -> dict[str, str]:
    """As `request.query_params`, of which the last of equal names counts."""
    sent: bytes = request.scope["query_string"]
    return dict(parse_qsl(sent.decode("latin-1"), keep_blank_values=True)) if sent else {}


class _Parameter:
    """One parameter, with a validator of it."""

    __slots__ = ("alias", "default", "name", "required", "validate")

    def __init__(self, name: str, info: FieldInfo) -> None:
        alias = info.validation_alias or name
        if not isinstance(alias, str):
            raise TypeError(f"a parameter of a direct route has one name: {name}")
        self.name, self.alias = name, alias
        self.required = info.is_required()
        self.default = None if self.required else info.get_default(call_default_factory=True)
        self.validate = TypeAdapter[Any](info.rebuild_annotation()).validate_python


class _Reader:
    """Reads what one function takes."""

    def __init__(self, function: Dependant) -> None:
        call = function.call
        if not iscoroutinefunction(call) or any(getattr(function, kind) for kind in OTHER_KINDS):
            raise TypeError(f"a direct route and its dependencies are async and take path and query alone: {call}")
        self._path = [_Parameter(one.name, one.field_info) for one in function.path_params]
        self._query = [_Parameter(one.name, one.field_info) for one in function.query_params]
        if not all(isinstance(one.default, PLAIN) for one in (*self._path, *self._query)):
            raise TypeError(f"a direct route takes single values: {call}")
        self.call: Callable[..., Awaitable[Any]] = call
        self._request_name = function.request_param_name
        self._needed = [(one.name, _Reader(one)) for one in function.dependencies]

    async def read(self, request: Request, query: Mapping[str, str]) -> dict[str, Any] | None:
        """The arguments; None if any is not valid. Raises what dependencies raise."""
        values: dict[str, Any] = {}
        for needed, reader in self._needed:
            found = await reader.read(request, query)
            if found is None:
                return None
            result = await reader.call(**found)
            if needed is not None:
                values[needed] = result
        sent_in_path: Mapping[str, str] = request.path_params
        for parameters, sent in ((self._path, sent_in_path), (self._query, query)):
            for one in parameters:
                text = sent.get(one.alias)
                if text is not None:
                    try:
                        values[one.name] = one.validate(text)
                    except ValidationError:
                        return None
                elif one.required:
                    return None
                else:
                    values[one.name] = one.default
        if self._request_name is not None:
            values[self._request_name] = request
        return values
