"""Creates or upgrades the tables, then creates the topic or checks it; safe to repeat."""

from dataclasses import dataclass

from solve_projector.log.inspection import open_inspector
from solve_projector.settings import ProjectorSettings
from solve_projector.store.migrate import migrate
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.topic import PARTITIONS


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What `setup` created or found."""

    revision: str
    topic: str
    topic_created: bool
    partitions: int


async def provision(
    connection: KafkaConnection, settings: ProjectorSettings, partitions: int = PARTITIONS, replication_factor: int = -1
) -> Provisioned:
    """Migrates the tables and creates the topic; of an existing topic, checks that it can prove the counts.

    Raises DatabaseUnavailable, SchemaMismatch, KafkaUnavailable, TopicUnsafe, LogHeadGone.
    """
    revision = await migrate(settings)
    async with open_inspector(connection) as inspector:
        created = await inspector.create_topic(partitions, replication_factor)
        state = await (inspector.state_of_new_topic() if created else inspector.state())
        state.require_safe()
        return Provisioned(revision, connection.topic, created, len(state.ends))
