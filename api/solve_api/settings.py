"""Settings of the API beside the projector's: read once, range-checked, secrets masked."""

import ipaddress
import re
from typing import Annotated, Self

from limits import parse_many
from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from solve_projector.settings import ProjectorSettings
from solve_runtime.addresses import ListeningHost

IPV4_IN_IPV6 = ipaddress.IPv6Network("::ffff:0:0/96")
# the largest networks that one site has; more would trust everybody else too
LARGEST_V4, LARGEST_V6 = 8, 20
PRIVATE_V6 = ipaddress.IPv6Network("fc00::/7")
YEAR_S = 366 * 86_400
NO_TIME = re.compile(r"(/|per)\s*0", re.IGNORECASE)
ORIGIN = re.compile(r"\*|https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")


def _proxies(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The server would compare what is no address with the client's text, and trust nobody, or everybody."""
    try:
        networks = [ipaddress.ip_network(text) for text in texts]
    except ValueError:
        raise ValueError(
            "must be addresses or networks, such as 10.1.2.3 or 10.1.2.0/24, with commas between"
        ) from None
    v4 = ipaddress.collapse_addresses(one for one in networks if isinstance(one, ipaddress.IPv4Network))
    v6 = list(ipaddress.collapse_addresses(one for one in networks if isinstance(one, ipaddress.IPv6Network)))
    if any(one.prefixlen < LARGEST_V4 for one in v4) or any(
        one.prefixlen < LARGEST_V6 and not one.subnet_of(PRIVATE_V6) for one in v6
    ):
        raise ValueError("must be of proxies alone: of a larger network anybody could claim to be anybody")
    if any(one.subnet_of(IPV4_IN_IPV6) for one in v6):
        raise ValueError("must name an IPv4 address as such: 10.1.2.3, not ::ffff:10.1.2.3")
    return texts


def _origins(texts: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(ORIGIN.fullmatch, texts)):
        raise ValueError("must be origins as browsers send them, such as https://judge.example, without a path; or *")
    return texts


def _rate(text: str) -> str:
    try:
        # of none, nobody could log in; limits takes no time for one of the unit
        if NO_TIME.search(text) or any(rate.amount < 1 or rate.get_expiry() > YEAR_S for rate in parse_many(text)):
            raise ValueError  # noqa: TRY301
    except ValueError:
        raise ValueError("is not a rate; write one such as 10/minute, or 5/second;100/minute") from None
    return text


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Rate = Annotated[str, AfterValidator(_rate)]
Proxies = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_proxies)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_origins)]


class ApiSettings(ProjectorSettings):
    """Read from the environment, `.env` and `/run/secrets`; docs/settings.md lists them."""

    api_host: ListeningHost = Field("127.0.0.1", description="Address that serves pages and API.")
    api_port: int = Field(8000, ge=0, le=65_535, description="Its port; 0 is any free port.")
    api_trusted_proxies: Proxies = Field(
        (), description="Addresses or networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted."
    )
    api_cors_origins: Origins = Field((), description="Sites whose scripts may read the public API.")
    api_pool_size: int = Field(8, ge=1, le=100, description="Connections to PostgreSQL per process.")
    api_streams_max: int = Field(2_000, ge=1, le=100_000, description="Open event streams per process.")
    api_streams_address_max: int = Field(
        1_000, ge=1, le=100_000, description="Open event streams per client address and process."
    )
    api_connections_max: int = Field(
        3_000, ge=2, le=200_000, description="Open connections per process; more than its event streams."
    )
    api_connections_address_max: int = Field(
        1_500,
        ge=1,
        le=200_000,
        description="Open connections per client address (an IPv6 /64 is one) and process; not for trusted proxies.",
    )
    api_head_timeout_s: float = Field(
        20, gt=0, le=600, description="Seconds in which the head of a request has to arrive."
    )
    api_body_timeout_s: float = Field(30, gt=0, le=3_600, description="Seconds in which its body has to arrive.")
    api_answer_timeout_s: float = Field(
        60, gt=0, le=3_600, description="Seconds until a client that does not take its answer is disconnected."
    )
    api_body_max_bytes: int = Field(64 * 1024, ge=1024, le=16 * 1024 * 1024, description="Largest request body.")

    api_read_rate: Rate = Field("3000/minute", description="Requests per client address, whatever the answer.")
    api_costly_rate: Rate = Field("20/minute", description="Replays, rebuilds, retries and published facts per admin.")
    api_login_rate: Rate = Field("20/minute", description="Login attempts per client address.")

    api_repair_workers: int = Field(
        1, ge=1, le=64, description="Processes that read the log for a check or repair of the counts from the API."
    )

    api_session_idle_s: int = Field(1_800, ge=60, le=86_400, description="Seconds until an unused session ends.")
    api_session_max_s: int = Field(43_200, ge=60, le=604_800, description="Seconds until any session ends.")
    api_lockout_failures: int = Field(5, ge=1, le=100, description="Wrong passwords in a row that lock a name.")
    api_lockout_s: int = Field(900, ge=1, le=86_400, description="Seconds that a locked name stays locked.")

    @model_validator(mode="after")
    def _connections_are_for_several(self) -> Self:
        for name in ("api_streams_max", "api_connections_address_max"):
            if getattr(self, name) >= self.api_connections_max:
                raise ValueError(f"SOLVE_{name.upper()} must be less than SOLVE_API_CONNECTIONS_MAX")
        return self

    @model_validator(mode="after")
    def _idle_ends_before_the_end(self) -> Self:
        if self.api_session_idle_s > self.api_session_max_s:
            raise ValueError("SOLVE_API_SESSION_IDLE_S must not be greater than SOLVE_API_SESSION_MAX_S")
        return self
