"""What does a running API hold? Its connections and the parts that outlive a request, opened and closed in order."""

from dataclasses import dataclass

import asyncpg
from fastapi import Request

from api.live.changes import Changes
from api.settings import ApiSettings
from projector.leaderboard import Leaderboard
from schemas.connection import KafkaConnection


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything a route needs."""

    connection: KafkaConnection
    settings: ApiSettings
    pool: asyncpg.Pool
    board: Leaderboard
    changes: Changes


def stores_of(request: Request) -> Stores:
    """The process's stores, for a route."""
    found: Stores = request.app.state.stores
    return found
