"""The errors of the projector. Those that reach a person end with what to do; the last four are handled within."""

from solve_runtime.errors import SolveCountsError


class ProjectorError(SolveCountsError):
    """Root of what the projector raises: the message says what happened, to what, and what to do."""


class SettingsError(ProjectorError):
    """A setting or an option cannot be used."""


class DatabaseUnavailable(ProjectorError):
    """PostgreSQL does not answer, or refuses the login."""


class PermissionMissing(ProjectorError):
    """The role of DATABASE_URL may not do what this needs."""


class PoolerUnsuitable(DatabaseUnavailable):
    """A connection pooler is in between on whose sessions our limits do not hold (I3)."""


class DatabaseRefused(ProjectorError):
    """PostgreSQL refuses a statement, and would refuse it again."""


class SchemaMismatch(ProjectorError):
    """The tables are missing, of another version, or somebody else's."""


class KafkaUnavailable(ProjectorError):
    """The brokers do not answer, or refuse the login."""


class TopicMissing(ProjectorError):
    """The topic does not exist."""


class TopicUnsafe(ProjectorError):
    """The topic's settings let it lose or reorder what it must prove (I10)."""


class LogHeadGone(ProjectorError):
    """The beginning of the log was deleted, so it cannot prove any count (I8, I10)."""


class LogRewritten(ProjectorError):
    """The topic is not the one that the offsets in PostgreSQL belong to (I10)."""


class OffsetOutOfRange(ProjectorError):
    """PostgreSQL's offset is outside the log: records are missing (I10)."""


class CopyRefused(ProjectorError):
    """A topic is no copy of the log, and none can be made of it."""


class RecordUnreadable(ProjectorError):
    """The Kafka client cannot read a record that the broker returns."""


class LeaderboardUnavailable(ProjectorError):
    """Redis does not answer; PostgreSQL is right all the same."""


class RebuildRunning(ProjectorError):
    """Another process is rebuilding the leaderboard."""


class ReplayRunning(ProjectorError):
    """Another replay is running."""


class ReplayInterrupted(ProjectorError):
    """A replay did not finish; nothing half done is visible, and running it again finishes the job."""


class UserUnknown(ProjectorError):
    """No user has this id."""


class DeadLetterUnknown(ProjectorError):
    """No dead letter has this id, or it belongs to another topic."""


class AlreadyDecided(ProjectorError):
    """The dead letter is discarded already, or the parked events are acknowledged already."""


class SelectorUnclear(ProjectorError):
    """A command does not say which dead letters it means."""


class NothingParked(ProjectorError):
    """No event is parked for this user."""


class WhoUnknown(ProjectorError):
    """A decision lacks who took it, or why."""


class DeadLettersChanged(Exception):
    """Another process retried or discarded some of these dead letters meanwhile; nothing was applied."""


class Overtaken(Exception):
    """A batch was built on offsets that PostgreSQL no longer has; nothing of it was applied (I3)."""

    def __init__(self, expected: dict[int, int], found: dict[int, int]) -> None:
        """Both map partitions to offsets: what the batch was built on, and what PostgreSQL has."""
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found


class RegistrationCrossed(Exception):
    """Another transaction created a user between our lock and our insert; nothing was applied."""


class ReadInterrupted(Exception):
    """The Kafka client reported an error; what it had already taken from its buffers may be lost to us."""
