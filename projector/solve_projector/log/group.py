"""The consumer group as its coordinator describes it: members, their partitions, and committed offsets (I9)."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError, for_code

from solve_projector.errors import KafkaUnavailable


@dataclass(frozen=True, slots=True)
class Member:
    """A process in the group, named as `kafka-consumer-groups.sh --describe` does."""

    consumer_id: str
    host: str
    client_id: str
    partitions: frozenset[int]


@dataclass(frozen=True, slots=True)
class GroupState:
    """The members, and the committed offset of each partition that has one."""

    members: tuple[Member, ...]
    committed: Mapping[int, int]

    def owner_of(self, partition: int) -> Member | None:
        """The member that reads this partition; None during a rebalance or if there is none."""
        return next((member for member in self.members if partition in member.partitions), None)


async def read_group(admin: AIOKafkaAdminClient, group_id: str, topic: str) -> GroupState:
    """Empty for a group that nobody ever joined. Raises KafkaUnavailable and the client's errors."""
    (response,) = await admin.describe_consumer_groups([group_id])
    (group,) = response.groups
    code, members = group[0], group[5]
    if code:
        kind = for_code(code)
        if kind.retriable:
            raise kind
        raise KafkaUnavailable(
            f"cannot describe group {group_id}: {kind.__name__}; the reader needs DESCRIBE on the group"
        )
    committed = await admin.list_consumer_group_offsets(group_id)
    return GroupState(
        tuple(
            Member(member_id, host, client_id, _partitions(assignment, topic))
            for member_id, client_id, host, _, assignment in members
        ),
        {tp.partition: found.offset for tp, found in committed.items() if tp.topic == topic and found.offset >= 0},
    )


def _partitions(assignment: bytes, topic: str) -> frozenset[int]:
    """Empty during a rebalance, and for a member that another kind of client assigned."""
    if not assignment:
        return frozenset()
    try:
        decoded = ConsumerProtocolMemberAssignment.decode(assignment)
    except (KafkaError, ValueError):
        return frozenset()
    return frozenset(number for name, numbers in decoded.assignment for number in numbers if name == topic)
