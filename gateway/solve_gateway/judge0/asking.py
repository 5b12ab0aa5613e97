"""Asks Judge0 for submissions by their tokens, some at a time, and asks again where it is busy or slow."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential

from solve_gateway.errors import SweepFailed
from solve_gateway.settings import Judge0Settings

TIMEOUT_S = 30.0
TRIES = 5
PAUSE = wait_exponential(multiplier=0.5, max=30)
RETRY_AFTER_MAX_S = 60.0
FIELDS = "token,status,expected_output"
NOT_JUDGE0 = "what answers at JUDGE0_URL is not Judge0; check it, then sweep again"


class Judge0:
    """Judge0's API. Made by `connected_to`."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def submissions(self, tokens: Sequence[str]) -> list[dict[str, Any] | None]:
        """What it has under each token, in order; None where it has nothing. Raises SweepFailed."""
        parameters = {"tokens": ",".join(tokens), "base64_encoded": "true", "fields": FIELDS}
        try:
            found = (await self._answer(parameters)).json()["submissions"]
        except httpx.HTTPStatusError as error:
            raise SweepFailed(_advice(error.response.status_code)) from None
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise SweepFailed(f"Judge0 does not answer ({said}); check JUDGE0_URL, then sweep again") from None
        except (ValueError, KeyError, TypeError):
            raise SweepFailed(NOT_JUDGE0) from None
        if not isinstance(found, list) or len(found) != len(tokens):
            raise SweepFailed(NOT_JUDGE0)
        for token, one in zip(tokens, found, strict=True):
            if one is not None and (not isinstance(one, dict) or one.get("token") != token):
                raise SweepFailed("Judge0 answers for other submissions than it was asked for; check JUDGE0_URL")
        return found

    async def _answer(self, parameters: dict[str, str]) -> httpx.Response:
        again = retry_if_exception(_may_pass)
        async for attempt in AsyncRetrying(retry=again, wait=_pause_s, stop=stop_after_attempt(TRIES), reraise=True):
            with attempt:
                answer = await self._client.get("submissions/batch", params=parameters)
                answer.raise_for_status()
        return answer


@asynccontextmanager
async def connected_to(settings: Judge0Settings) -> AsyncIterator[Judge0]:
    """Judge0, with its token where it wants one."""
    token = settings.judge0_token
    headers = {settings.judge0_token_header: token.get_secret_value()} if token else {}
    async with httpx.AsyncClient(base_url=settings.judge0_url, headers=headers, timeout=TIMEOUT_S) as client:
        yield Judge0(client)


def _advice(status: int) -> str:
    if status == httpx.codes.BAD_REQUEST:
        return "Judge0 answers 400; if its MAX_SUBMISSION_BATCH_SIZE is lower than 20, give it with --batch"
    return f"Judge0 answers {status}; check JUDGE0_URL and JUDGE0_TOKEN, then sweep again"


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == httpx.codes.TOO_MANY_REQUESTS or error.response.is_server_error
    return isinstance(error, httpx.TimeoutException | httpx.ReadError | httpx.RemoteProtocolError)


def _pause_s(state: RetryCallState) -> float:
    """As long as it asks for, else longer each time."""
    error = state.outcome.exception() if state.outcome else None
    said = error.response.headers.get("retry-after", "") if isinstance(error, httpx.HTTPStatusError) else ""
    return min(float(said), RETRY_AFTER_MAX_S) if said.isascii() and said.isdigit() else PAUSE(state)
