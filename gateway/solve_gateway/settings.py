"""The settings of the gateway and of the commands beside it."""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from solve_runtime.addresses import ListeningHost
from solve_runtime.settings import HeaderSecret, LogLevel, Settings, matching

KEY_MIN_CHARS = 32
URL = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]+)?(/[!-~]*)?", re.IGNORECASE)
NOT_IN_A_BASE = re.compile(r"[?#@\\]")


def _long(key: SecretStr | None) -> SecretStr | None:
    if key is not None and len(key.get_secret_value()) < KEY_MIN_CHARS:
        raise ValueError(f"must have at least {KEY_MIN_CHARS} characters; make one with: openssl rand -hex 32")
    return key


def _url(text: str | None) -> str | None:
    try:
        usable = text is None or (URL.fullmatch(text) and not NOT_IN_A_BASE.search(text) and urlsplit(text).port != 0)
    except ValueError:  # of the port
        usable = False
    if not usable:
        raise ValueError("must be http:// or https:// with a host, without user or query")
    return text


class TokenSettings(Settings):
    """Where the tokens of the gateway are."""

    gateway_tokens_file: Path = Field(description="File of the tokens' hashes; `solve-producer tokens add` makes it.")


class CallbackSettings(Settings):
    """How URLs of callbacks are signed."""

    gateway_callback_key: Annotated[SecretStr | None, AfterValidator(_long)] = Field(
        None, description="Key that signs callback URLs, at least 32 characters; without it there are no callbacks."
    )
    gateway_url: Annotated[str | None, AfterValidator(_url)] = Field(
        None, description="URL of the gateway as a judge reaches it, for callback URLs: https://events.judge.example"
    )


class GatewaySettings(TokenSettings, CallbackSettings):
    """Read from the environment, `.env` and `/run/secrets`; docs/settings.md lists them."""

    gateway_host: ListeningHost = Field("127.0.0.1", description="Address that takes events.")
    gateway_port: int = Field(8100, ge=0, le=65_535, description="Its port; 0 is any free port.")
    gateway_metrics_host: ListeningHost = Field("127.0.0.1", description="Address that serves `/metrics`.")
    gateway_metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="Its port, 9466 by convention; 0 is any free port, unset turns it off."
    )
    gateway_body_max_bytes: int = Field(
        8 * 1024 * 1024, ge=64 * 1024, le=256 * 1024 * 1024, description="Largest request body."
    )
    gateway_events_max: int = Field(10_000, ge=1, le=100_000, description="Most events in one request.")
    gateway_events_per_s: int = Field(
        5_000, ge=1, le=1_000_000, description="Events a second that one token may send for long."
    )
    gateway_in_flight_bytes: int = Field(
        64 * 1024 * 1024, ge=1024 * 1024, le=8 * 1024**3, description="Bytes of requests that are held at once."
    )
    gateway_delivery_timeout_s: float = Field(
        10, gt=0, le=600, description="Seconds in which the broker has to confirm an event."
    )
    gateway_spool_folder: Path | None = Field(
        None, description="Folder for notifications of contest systems (CLICS webhooks); without it none are taken."
    )
    gateway_spool_max_bytes: int = Field(
        1024**3, ge=1024 * 1024, le=1024**4, description="Bytes of notifications that are kept in it; then 503."
    )
    gateway_spool_files_max: int = Field(
        1_000, ge=1, le=10_000, description="Files in it, one for each contest and token; then a new contest gets 503."
    )
    gateway_connections_max: int = Field(500, ge=2, le=100_000, description="Open connections per process.")
    gateway_head_timeout_s: float = Field(
        20, gt=0, le=600, description="Seconds in which the head of a request has to arrive."
    )
    gateway_body_timeout_s: float = Field(60, gt=0, le=3_600, description="Seconds in which its body has to arrive.")
    gateway_answer_timeout_s: float = Field(
        60, gt=0, le=3_600, description="Seconds until a client that does not take its answer is disconnected."
    )
    log_level: LogLevel = Field("INFO", description="Least severe level that is logged; in either case.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="`auto` is `console` in a terminal and `json` elsewhere."
    )


class Judge0Settings(Settings):
    """Where Judge0 is, for the sweep."""

    judge0_url: Annotated[str, AfterValidator(_url)] = Field(description="Address of Judge0's API.")
    judge0_token: HeaderSecret = Field(None, description="Its authentication token, where it asks for one.")
    judge0_token_header: Annotated[
        str, matching(r"[A-Za-z0-9-]{1,100}", "must be the name of a header, such as X-Auth-Token")
    ] = Field("X-Auth-Token", description="Header that carries the token; Judge0's own AUTHN_HEADER.")
