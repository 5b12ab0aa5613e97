"""What can stop a projector, and who must do what about it?"""

from solve_runtime.errors import SolveCountsError


class ProjectorError(SolveCountsError):
    """Root of what the projector raises; every message ends with what to do."""


class SettingsError(ProjectorError):
    """The environment says something that cannot be."""


class DatabaseUnavailable(ProjectorError):
    """PostgreSQL does not answer or refuses us."""


class DatabaseRefused(ProjectorError):
    """PostgreSQL refuses our statements for a reason that trying again does not change."""


class SchemaMismatch(ProjectorError):
    """The tables are missing, older or newer than this version needs, or somebody else's."""


class KafkaUnavailable(ProjectorError):
    """The brokers do not answer or refuse us."""


class TopicMissing(ProjectorError):
    """The log does not exist."""


class TopicUnsafe(ProjectorError):
    """The log's settings let it lose or reorder what it must prove (I10)."""


class LogHeadGone(ProjectorError):
    """The beginning of the log was deleted, so it cannot prove any count (I8, I10)."""


class LogRewritten(ProjectorError):
    """The topic is not the one that the offsets in PostgreSQL belong to (I10)."""


class OffsetOutOfRange(ProjectorError):
    """PostgreSQL's offset is not within the log: records are missing (I10)."""


class RecordUnreadable(ProjectorError):
    """The Kafka client cannot read a record that the broker returns."""


class LeaderboardUnavailable(ProjectorError):
    """Redis does not answer; PostgreSQL is right all the same."""


class RebuildRunning(ProjectorError):
    """Somebody else builds the leaderboard anew."""


class ReplayRunning(ProjectorError):
    """Another replay holds the lock."""


class ReplayInterrupted(ProjectorError):
    """A replay could not come to its end; nothing half done is visible, and running it again finishes the job."""


class MetricsUnservable(ProjectorError):
    """The address for metrics cannot be used."""


class UserUnknown(ProjectorError):
    """Nobody has this id."""


class DeadLetterUnknown(ProjectorError):
    """No dead letter has this id, or it belongs to another log."""


class AlreadyDecided(ProjectorError):
    """Somebody discarded this dead letter, or acknowledged these parked events, before."""


class SelectorUnclear(ProjectorError):
    """A command does not say which dead letters it means."""


class NothingParked(ProjectorError):
    """No event is parked for this user."""


class WhoUnknown(ProjectorError):
    """A decision needs the name of who took it, and why."""


class LettersMoved(Exception):
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
