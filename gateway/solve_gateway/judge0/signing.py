"""Signed URLs of callbacks: Judge0's callback has neither user nor problem, so its URL carries them.

The signed part is the JSON and its HMAC-SHA256, each in base64url. Whoever knows such a URL can report a result for
that one submission, and for no other.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from hmac import new as new_hmac
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from solve_gateway.errors import BadSignature, CallbackUnsignable
from solve_gateway.settings import KEY_MIN_CHARS
from solve_schemas.event_source import DEFAULT_SOURCE
from solve_schemas.events import Id, OptionalId, OptionalText, Revision, Text, Time
from solve_schemas.messages import message_of
from solve_schemas.record import time_out_of_range

PATH = "/v1/callbacks/judge0/"
PURPOSE = b"solve-counts judge0 callback v1\n"  # so that no other signature of this key is one of these


class Callback(BaseModel):
    """Whose result a callback brings. `asked_at` is when Judge0 was asked, and orders judgings of one submission."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    submission_id: Id
    user_id: Id
    problem_id: Id
    asked_at: Time
    submitted_at: Time | None = None
    contest_id: OptionalId | None = None
    language: OptionalText | None = None
    revision: Revision | None = None
    source: Text = DEFAULT_SOURCE


def judge0_callback_url(  # noqa: PLR0913 - what the URL carries, by name
    key: str,
    base_url: str,
    *,
    submission_id: str | int | UUID,
    user_id: str | int | UUID,
    problem_id: str | int | UUID,
    asked_at: datetime | None = None,
    submitted_at: datetime | None = None,
    contest_id: str | int | UUID | None = None,
    language: str | None = None,
    revision: int | None = None,
    source: str = DEFAULT_SOURCE,
) -> str:
    """The `callback_url` of one submission to Judge0; make it anew for each judging. Raises CallbackUnsignable.

    `key` is SOLVE_GATEWAY_CALLBACK_KEY, `base_url` the gateway's address; `asked_at` is now if not given. Give Judge0
    `expected_output` as well: without it *Accepted* says only that the program ran, and would count as a solve.
    """
    if len(key) < KEY_MIN_CHARS:
        raise CallbackUnsignable(f"the key has fewer than {KEY_MIN_CHARS} characters; take SOLVE_GATEWAY_CALLBACK_KEY")
    try:
        callback = Callback.model_validate(
            {
                "submission_id": submission_id, "user_id": user_id, "problem_id": problem_id,
                "asked_at": asked_at or datetime.now(UTC), "submitted_at": submitted_at, "contest_id": contest_id,
                "language": language, "revision": revision, "source": source,
            }
        )  # fmt: skip
    except ValidationError as error:
        raise CallbackUnsignable(message_of(error)) from None
    if refused := time_refused(callback):
        raise CallbackUnsignable(refused)
    return base_url.rstrip("/") + PATH + signed(key, callback)


def time_refused(callback: Callback) -> str | None:
    """Which of its times would make a dead letter of an event published now, in a sentence; None where none does."""
    times = {"asked_at": callback.asked_at, "submitted_at": callback.submitted_at}
    return time_out_of_range(times, int(datetime.now(UTC).timestamp() * 1000))


def signed(key: str, callback: Callback) -> str:
    """The last part of the URL."""
    said = callback.model_dump_json(exclude_none=True).encode()
    return f"{_encoded(said)}.{_encoded(_signature(key, said))}"


def read_signed(key: str, text: str) -> Callback:
    """What the last part of a URL says. Raises BadSignature."""
    said, _, signature = text.partition(".")
    try:
        content = _decoded(said)
        is_ours = compare_digest(_signature(key, content), _decoded(signature))
        if not is_ours or text != f"{_encoded(content)}.{_encoded(_decoded(signature))}":
            raise BadSignature("the callback's URL was not made with this key")
        return Callback.model_validate_json(content)
    except ValueError:  # base64's and pydantic's
        raise BadSignature("the callback's URL is not whole, or of another version") from None


def _signature(key: str, said: bytes) -> bytes:
    return new_hmac(key.encode(), PURPOSE + said, sha256).digest()


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
