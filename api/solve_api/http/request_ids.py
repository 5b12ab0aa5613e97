"""The id of a request, perhaps the client's: in its answer, in the activity and in each log line that it causes."""

import re
from collections.abc import Iterable
from uuid import uuid4

import structlog

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def is_request_id(text: str) -> bool:
    """Whether a client's request id is taken as it is."""
    return REQUEST_ID.fullmatch(text) is not None


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The request id that a client sent, or a new one."""
    sent = next((value.decode("latin-1") for name, value in headers if name == b"x-request-id"), "")
    return sent if is_request_id(sent) else uuid4().hex


def noted(request_id: str) -> str:
    """The same id, which each log line has from now on that this request causes, those of libraries too."""
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id
