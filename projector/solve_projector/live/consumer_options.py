"""Options of the Kafka client that is a member of the consumer group, each with its reason."""

from aiokafka import AIOKafkaConsumer

from solve_projector.log.bounded_fetch import FETCH_OPTIONS
from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection

REBALANCE_TIMEOUT_MS = 30_000
# A batch that waits for PostgreSQL must not end the membership (aiokafka #848).
MAX_POLL_INTERVAL_MS = 30 * 60 * 1000


def new_consumer(connection: KafkaConnection, settings: ProjectorSettings) -> AIOKafkaConsumer:
    """A client, not started yet."""
    session = settings.group_session_timeout_ms
    return AIOKafkaConsumer(
        **connection.client_options(),
        client_id="solve-projector",
        group_id=settings.group_id,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        session_timeout_ms=session,
        heartbeat_interval_ms=max(100, session // 3),
        rebalance_timeout_ms=max(session, REBALANCE_TIMEOUT_MS),
        max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
        **FETCH_OPTIONS,
        metadata_max_age_ms=settings.metadata_max_age_ms,
    )
