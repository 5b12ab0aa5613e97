"""The settings of `solve-producer follow`, beside those of the contest system's login."""

from pydantic import Field

from solve_runtime.addresses import ListeningHost
from solve_runtime.settings import Settings


class FollowSettings(Settings):
    """Where a follower shows how it is."""

    follow_metrics_host: ListeningHost = Field(
        "127.0.0.1", description="Address that serves `/metrics`, `/livez` and `/readyz` of `solve-producer follow`."
    )
    follow_metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="Its port, 9467 by convention; 0 is any free port, unset turns it off."
    )
