"""What does the API say to admins? The bodies of its answers and requests, with examples."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, Strict, StrictBool

from solve_api.models.public import EXAMPLE_TIME, Answer
from solve_projector.store.dead_letters import GREATEST_ID
from solve_schemas.events import Text
from solve_schemas.record import Reason

# strict: JSON's false is not the partition 0
Id = Annotated[int, Strict(), Field(ge=1, le=GREATEST_ID)]
Partition = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]

EXAMPLE_JOB_ID = "7f9c24e8-3b12-4fef-91e0-5b1b5c6f9a11"
EXAMPLE_END = "2026-11-24T09:10:02Z"
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
    """A user whose number was not what the log says."""

    model_config = ConfigDict(extra="allow")

    username: str | None = Field(examples=["ada"])
    old_count: int = Field(examples=[0])
    new_count: int = Field(examples=[12])
    user_id: str = Field(examples=["u-1"])


class BackfillReport(BaseModel):
    """What a replay of the log found, and (unless dry_run) repaired. More keys may follow."""

    model_config = ConfigDict(extra="allow")

    success: bool = Field(examples=[True], description="False where PostgreSQL refused some users.")
    message: str = Field(examples=["Backfill complete: 15 users updated out of 50"])
    total_users: int = Field(examples=[50])
    users_updated: int = Field(examples=[15])
    users_unchanged: int = Field(examples=[35])
    updates: list[CountUpdate] = Field(description="The first ten thousand.")
    dry_run: bool = Field(examples=[False])
    drift: bool = Field(examples=[True], description="Whether anything was not what the log says.")


class SyncReport(BaseModel):
    """What the board in Redis had otherwise than PostgreSQL."""

    success: bool
    message: str = Field(examples=["Members that were added: 15, changed: 0, removed: 0"])
    dry_run: bool
    added: int = Field(examples=[15])
    changed: int = Field(examples=[0])
    removed: int = Field(examples=[0])


class Job(Answer):
    """Work that goes on beside requests."""

    job_id: UUID = Field(examples=[EXAMPLE_JOB_ID])
    kind: Literal["backfill", "sync-leaderboard"]
    dry_run: bool
    state: Literal["running", "done", "failed", "interrupted"] = Field(examples=["done"])
    started_by: str = Field(examples=["ada"])
    started_at: datetime = Field(examples=[EXAMPLE_TIME])
    finished_at: datetime | None = Field(None, examples=[EXAMPLE_END])
    progress: dict[str, Any] = Field(examples=[EXAMPLE_PROGRESS])
    report: dict[str, Any] | None = Field(
        None, examples=[EXAMPLE_REPORT], description="Of a job that is done: as it would have been answered."
    )
    error: str | None = Field(
        None, examples=[None, "PostgreSQL does not answer right now."], description="What went wrong, and what to do."
    )


JOB_BEGUN = Job(
    job_id=UUID(EXAMPLE_JOB_ID),
    kind="backfill",
    dry_run=False,
    state="running",
    started_by="ada",
    started_at=datetime.fromisoformat(EXAMPLE_TIME),
    progress={"phase": "starting", "done": 0, "total": 0},
)
JOB_READING = JOB_BEGUN.model_copy(update={"progress": {"phase": "reading", "done": 12_000, "total": 40_000}})
JOB_DONE = JOB_BEGUN.model_copy(
    update={
        "state": "done",
        "finished_at": datetime.fromisoformat(EXAMPLE_END),
        "progress": EXAMPLE_PROGRESS,
        "report": EXAMPLE_REPORT,
    }
)


class JobList(Answer):
    """The newest first; their reports without the list of updates."""

    jobs: list[Job]


class DeadLetterSummary(BaseModel):
    """A record that was not applied, without its bytes."""

    id: int = Field(examples=[12])
    topic: str = Field(examples=["judge-events"])
    partition: int = Field(examples=[0])
    offset: int = Field(examples=[47_020])
    broker_time: datetime | None = Field(examples=[EXAMPLE_TIME])
    reason: str = Field(examples=["unknown-type"])
    detail: str = Field(examples=["ce_type 'submission.shared.v1' is none of user.registered.v1, …"])
    user_id: str | None = Field(examples=["u-1"], description="Whom it is about, where that can be read.")
    created_at: datetime = Field(examples=["2026-11-24T09:09:51Z"])
    discarded: dict[str, Any] | None = Field(
        examples=[None, {"at": "2026-11-25T08:00:00Z", "by": "ada", "why": "a test of the new judge"}],
        description="Who gave it up, when and why.",
    )


class DeadLetterList(Answer):
    """The oldest first."""

    dead_letters: list[DeadLetterSummary]
    more: bool = Field(examples=[True])
    after_id: int | None = Field(examples=[12], description="For the page after this one; null on the last.")


class Encoded(Answer):
    """Bytes as text: UTF-8 where they are, else base64."""

    encoding: Literal["utf-8", "base64"]
    data: str = Field(examples=["submission.shared.v1"])


class Header(Answer):
    """One of the record's."""

    name: str = Field(examples=["ce_type"])
    value: Encoded | None


class DeadLetter(DeadLetterSummary):
    """A dead letter, whole."""

    key: Encoded | None = Field(examples=[{"encoding": "utf-8", "data": "u-1"}])
    value: Encoded | None = Field(examples=[{"encoding": "utf-8", "data": '{"submission_id":"s-1","user_id":"u-1"}'}])
    headers: list[Header]


class RetryRequest(BaseModel):
    """Which to read again: ids, or all open ones that the rest is true of. Nothing at all is refused."""

    # not all of it at once: ids, or what else is true of them
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "unknown-type"}]})

    ids: list[Id] | None = Field(None, min_length=1, max_length=1000, examples=[[12, 13]])
    reason: Reason | None = None
    user_id: Text | None = Field(None, examples=["u-1"])
    partition: Partition | None = Field(None, examples=[0])
    all: StrictBool = Field(False, description="All open dead letters.")


class RetryReport(Answer):
    """What became of them."""

    applied: int = Field(examples=[2])
    parked: int = Field(examples=[0])
    still_dead: dict[str, int] = Field(examples=[{"invalid-event": 1}], description="By today's reason.")


class DiscardRequest(BaseModel):
    """Which to give up, and why: for whoever asks later."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Id] = Field(min_length=1, max_length=1000, examples=[[12]])
    why: str = Field(min_length=1, max_length=500, examples=["a test of the new judge"])


class DiscardReport(Answer):
    """How many."""

    discarded: int = Field(examples=[1])


class LagReport(BaseModel):
    """How far each stage is behind the log; as `solve-projector lag --json`, with the past of the whole group."""

    model_config = ConfigDict(extra="allow")

    group: str = Field(examples=["solve-projector"])
    topic: str = Field(examples=["judge-events"])
    at: float = Field(examples=[1_795_511_390.0], description="Seconds since 1970.")
    status: str = Field(examples=["OK"])
    members: int = Field(examples=[1])
    lag: int | None = Field(examples=[0], description="Messages that PostgreSQL has not.")
    lag_seconds: float | None = Field(examples=[0.0], description="Age of the oldest of them.")
    partitions: list[dict[str, Any]] = Field(examples=[[EXAMPLE_PARTITION]])
    past: list[dict[str, float]] = Field(
        examples=[[{"at": 1_795_511_388.0, "postgresql": 2, "kafka_group": 2, "redis": 2}]]
    )
    problems: dict[str, str] = Field(
        examples=[{}, {"redis": "does not answer"}], description="Servers that did not answer."
    )
