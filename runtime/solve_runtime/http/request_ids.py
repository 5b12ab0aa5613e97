"""The id of a request, perhaps the client's: in its answer, in the activity and in each log line that it causes."""

import re
from collections.abc import Iterable
from uuid import uuid4

import structlog

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The request id that a client sent, or a new one."""
    sent = next((value.decode("latin-1") for name, value in headers if name == b"x-request-id"), "")
    return _taken(sent)


def noted(sent: str) -> str:
    """The id of a request that sent this one; each log line has it from now on that it causes, a library's too.

    What is no id is replaced without a word: the rate of whoever sends it is counted later.
    """
    request_id = _taken(sent)
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id


def _taken(sent: str) -> str:
    return sent if REQUEST_ID.fullmatch(sent) else uuid4().hex
