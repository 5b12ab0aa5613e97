"""Bodies of requests and answers about jobs, dead letters and the lag, with examples."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, Strict, StrictBool

from solve_api.bodies import EXAMPLE_TIME, Asked, Body
from solve_projector.store.dead_letters import GREATEST_ID
from solve_schemas.events import Text
from solve_schemas.rejection import Reason

# strict: JSON's false is not the partition 0
Id = Annotated[int, Strict(), Field(ge=1, le=GREATEST_ID)]
Partition = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]

REPORT_ROWS_MAX = 1_000  # of each list in a report, for a table, a page and a browser

EXAMPLE_JOB_ID = "7f9c24e8-3b12-4fef-91e0-5b1b5c6f9a11"
EXAMPLE_END = "2026-11-24T09:10:02Z"
EXAMPLE_READING = {"phase": "reading", "done": 12_000, "total": 40_000}
EXAMPLE_PROGRESS = {"phase": "repairing", "done": 15, "total": 15}
EXAMPLE_REPORT = {
    "success": True,
    "message": "Backfill complete: 15 users updated out of 50",
    "total_users": 50,
    "users_updated": 15,
    "users_unchanged": 35,
    "dry_run": False,
    "drift": True,
}
EXAMPLE_PARTITION = {
    "partition": 0,
    "current_offset": 47_021,
    "log_start_offset": 0,
    "log_end_offset": 47_021,
    "last_stable_offset": 47_021,
    "open_transaction": None,
    "lag": 0,
    "lag_seconds": 0.0,
    "status": "OK",
    "why": "everything in the log is applied",
    "consumer_id": "solve-projector-5d1c7f9c",
    "host": "/192.0.2.7",
    "client_id": "solve-projector",
    "stages": {
        stage: {"offset": 47_021, "lag": 0, "lag_seconds": 0.0} for stage in ("postgresql", "kafka_group", "redis")
    },
}


class CountUpdate(BaseModel):
    """A user whose count differed from the log."""

    model_config = ConfigDict(extra="allow")

    username: str | None = Field(examples=["ada"])
    old_count: int = Field(examples=[0])
    new_count: int = Field(examples=[12])
    user_id: str = Field(examples=["u-1"])


class BackfillReport(BaseModel):
    """What a replay of the log found and, unless dry_run, repaired. More members may follow."""

    model_config = ConfigDict(extra="allow")

    success: bool = Field(examples=[True], description="False if PostgreSQL refused some users.")
    message: str = Field(examples=["Backfill complete: 15 users updated out of 50"])
    total_users: int = Field(examples=[50])
    users_updated: int = Field(examples=[15])
    users_unchanged: int = Field(examples=[35])
    updates: list[CountUpdate] = Field(description=f"The first {REPORT_ROWS_MAX:,}.")
    dry_run: bool = Field(examples=[False])
    drift: bool = Field(examples=[True], description="Whether anything differed from the log.")


class SyncReport(BaseModel):
    """How the board in Redis differed from PostgreSQL."""

    success: bool
    message: str = Field(examples=["Leaderboard rebuilt: 15 added, 0 corrected, 0 removed"])
    dry_run: bool
    added: int = Field(examples=[15])
    changed: int = Field(examples=[0])
    removed: int = Field(examples=[0])


JobKind = Literal["backfill", "sync-leaderboard"]
JobOutcome = Literal["running", "done", "failed", "interrupted"]


class Job(Body):
    """A replay or rebuild that runs in the background."""

    job_id: UUID = Field(examples=[EXAMPLE_JOB_ID])
    kind: JobKind
    dry_run: bool
    state: JobOutcome = Field(examples=["done"])
    started_by: str = Field(examples=["ada"])
    started_at: datetime = Field(examples=[EXAMPLE_TIME])
    finished_at: datetime | None = Field(None, examples=[EXAMPLE_END])
    progress: dict[str, Any] = Field(examples=[EXAMPLE_PROGRESS])
    report: dict[str, Any] | None = Field(
        None,
        examples=[EXAMPLE_REPORT],
        description="Of a finished job: the answer of the synchronous call; of older jobs without its lists.",
    )
    error: str | None = Field(
        None,
        examples=[None, "PostgreSQL does not answer right now. Nothing is lost; try again in 5 seconds."],
        description="What went wrong, and what to do.",
    )


JOB_DONE = Job(
    job_id=UUID(EXAMPLE_JOB_ID),
    kind="backfill",
    dry_run=False,
    state="done",
    started_by="ada",
    started_at=datetime.fromisoformat(EXAMPLE_TIME),
    finished_at=datetime.fromisoformat(EXAMPLE_END),
    progress=EXAMPLE_PROGRESS,
    report=EXAMPLE_REPORT,
)
JOB_RUNNING = JOB_DONE.model_copy(
    update={"state": "running", "finished_at": None, "progress": EXAMPLE_READING, "report": None}
)


class JobList(Body):
    """Newest first; reports without their lists."""

    jobs: list[Job]


class DeadLetterSummary(BaseModel):
    """A record that could not be applied, without its bytes."""

    id: int = Field(examples=[12])
    topic: str = Field(examples=["judge-events"])
    partition: int = Field(examples=[0])
    offset: int = Field(examples=[47_020])
    broker_time: datetime | None = Field(examples=[EXAMPLE_TIME])
    reason: str = Field(examples=["unknown-type"])
    detail: str = Field(examples=["unknown type submission.shared.v1"])
    user_id: str | None = Field(examples=["u-1"], description="The user it is about, if that can be read.")
    created_at: datetime = Field(examples=["2026-11-24T09:09:51Z"])
    discarded: dict[str, Any] | None = Field(
        examples=[None, {"at": "2026-11-25T08:00:00Z", "by": "ada", "why": "a test of the new judge"}],
        description="Who discarded it, when and why.",
    )


class DeadLetterList(Body):
    """Oldest first."""

    dead_letters: list[DeadLetterSummary]
    more: bool = Field(examples=[True])
    after_id: int | None = Field(examples=[12], description="For the next page; null on the last one.")


class Encoded(Body):
    """Bytes as text: UTF-8 if they are valid UTF-8, else base64."""

    encoding: Literal["utf-8", "base64"]
    data: str = Field(examples=["submission.shared.v1"])


class Header(Body):
    """A header of the record."""

    name: str = Field(examples=["ce_type"])
    value: Encoded | None


class DeadLetter(DeadLetterSummary):
    """A dead letter with key, value and headers."""

    key: Encoded | None = Field(examples=[{"encoding": "utf-8", "data": "u-1"}])
    value: Encoded | None = Field(examples=[{"encoding": "utf-8", "data": '{"submission_id":"s-1","user_id":"u-1"}'}])
    headers: list[Header]


class RetryRequest(Asked):
    """Which to retry: ids, or all open dead letters that match the filters. An empty request is refused."""

    # either ids or filters
    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "unknown-type"}]})

    ids: list[Id] | None = Field(None, min_length=1, max_length=1000, examples=[[12, 13]])
    reason: Reason | None = None
    user_id: Text | None = Field(None, examples=["u-1"])
    partition: Partition | None = Field(None, examples=[0])
    all: StrictBool = Field(False, description="All open dead letters.")


class RetryReport(Body):
    """The result of a retry."""

    applied: int = Field(examples=[2])
    parked: int = Field(examples=[0])
    still_dead: dict[str, int] = Field(examples=[{"invalid-event": 1}], description="By current reason.")


class DiscardRequest(Asked):
    """Which to discard, and why."""

    ids: list[Id] = Field(min_length=1, max_length=1000, examples=[[12]])
    why: str = Field(min_length=1, max_length=500, examples=["a test of the new judge"])


class DiscardReport(Body):
    """The number of discarded dead letters."""

    discarded: int = Field(examples=[1])


class LagReport(BaseModel):
    """The lag of each stage, as in `solve-projector lag --json`, with the history of the group."""

    model_config = ConfigDict(extra="allow")

    group: str = Field(examples=["solve-projector"])
    topic: str = Field(examples=["judge-events"])
    at: float = Field(examples=[1_795_511_390.0], description="Seconds since 1970.")
    status: str = Field(examples=["OK"])
    members: int = Field(examples=[1])
    lag: int | None = Field(examples=[0], description="Events not yet in PostgreSQL.")
    lag_seconds: float | None = Field(examples=[0.0], description="Age of the oldest of these.")
    partitions: list[dict[str, Any]] = Field(examples=[[EXAMPLE_PARTITION]])
    past: list[dict[str, float]] = Field(
        examples=[[{"at": 1_795_511_388.0, "postgresql": 2, "kafka_group": 2, "redis": 2}]]
    )
    problems: dict[str, str] = Field(
        examples=[{}, {"redis": "does not answer"}], description="Servers that did not answer."
    )
