"""Turns the errors of a reading Kafka client into ours, which say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    GroupAuthorizationFailedError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
    TopicAuthorizationFailedError,
)

from solve_projector.errors import KafkaUnavailable, OffsetOutOfRange, ReadInterrupted, RecordUnreadable

UNREADABLE = (UnicodeDecodeError, CorruptRecordException)
LEFT_TO_CALLER = (NoOffsetForPartitionError, *UNREADABLE)


@contextmanager
def translated(topic: str) -> Iterator[None]:
    """Raises ReadInterrupted where reading again may help; LEFT_TO_CALLER is what it says."""
    try:
        yield
    except LEFT_TO_CALLER:
        raise
    except OffsetOutOfRangeError as error:
        (requested,) = error.args[:1] or ({},)
        missing = ", ".join(f"offset {offset} of partition {tp.partition}" for tp, offset in dict(requested).items())
        raise OffsetOutOfRange(
            f"topic {topic} no longer has {missing}: it was recreated, or records were deleted before they were "
            "applied; restore it, or project the new log into an empty database"
        ) from error
    except RecordTooLargeError as error:
        raise RecordUnreadable(f"topic {topic}: {error}; the broker does not return it whole") from error
    except (TopicAuthorizationFailedError, GroupAuthorizationFailedError) as error:
        raise KafkaUnavailable(
            f"not allowed to read topic {topic}: {error}; the projector needs READ on the topic and on the group"
        ) from error
    except (KafkaError, ConsumerStoppedError) as error:  # stopped: the reader has just replaced this client
        raise ReadInterrupted(str(error) or type(error).__name__) from error
