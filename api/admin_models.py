"""What does the API say to admins? The bodies of its answers and requests, with examples."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, Strict, StrictBool

from api.models import EXAMPLE_TIME, Answer
from projector.dead_letters import GREATEST_ID
from schemas.events import Text
from schemas.record import Reason

# strict: JSON's false is not the partition 0
Id = Annotated[int, Strict(), Field(ge=1, le=GREATEST_ID)]
Partition = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]


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

    job_id: UUID
    kind: Literal["backfill", "sync-leaderboard"]
    dry_run: bool
    state: Literal["running", "done", "failed", "interrupted"]
    started_by: str = Field(examples=["ada"])
    started_at: datetime = Field(examples=[EXAMPLE_TIME])
    finished_at: datetime | None = None
    progress: dict[str, Any] = Field(examples=[{"phase": "reading", "done": 12_000, "total": 40_000}])
    report: dict[str, Any] | None = Field(None, description="Of a job that is done: as it would have been answered.")
    error: str | None = Field(None, description="What went wrong, and what to do.")


class JobList(Answer):
    """The newest first; their reports without the list of updates."""

    jobs: list[Job]


class DeadLetterSummary(BaseModel):
    """A record that was not applied, without its bytes."""

    id: int = Field(examples=[12])
    topic: str = Field(examples=["judge-events"])
    partition: int
    offset: int = Field(examples=[47_020])
    broker_time: datetime | None
    reason: str = Field(examples=["invalid-event"])
    detail: str
    user_id: str | None = Field(description="Whom it is about, where that can be read.")
    created_at: datetime
    discarded: dict[str, Any] | None = Field(description="Who gave it up, when and why.")


class DeadLetterList(Answer):
    """The oldest first."""

    dead_letters: list[DeadLetterSummary]
    more: bool
    after_id: int | None = Field(description="For the page after this one; null on the last.")


class Encoded(Answer):
    """Bytes as text: UTF-8 where they are, else base64."""

    encoding: Literal["utf-8", "base64"]
    data: str = Field(examples=['{"type": "submission.solved"}'])


class Header(Answer):
    """One of the record's."""

    name: str = Field(examples=["type"])
    value: Encoded | None


class DeadLetter(DeadLetterSummary):
    """A dead letter, whole."""

    key: Encoded | None
    value: Encoded | None
    headers: list[Header]


class RetryRequest(BaseModel):
    """Which to read again: ids, or all open ones that the rest is true of. Nothing at all is refused."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Id] | None = Field(None, min_length=1, max_length=1000, examples=[[12, 13]])
    reason: Reason | None = None
    user_id: Text | None = None
    partition: Partition | None = None
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
    at: float = Field(description="Seconds since 1970.")
    status: str = Field(examples=["OK"])
    members: int = Field(examples=[1])
    lag: int | None = Field(examples=[0], description="Messages that PostgreSQL has not.")
    lag_seconds: float | None = Field(examples=[0.0], description="Age of the oldest of them.")
    partitions: list[dict[str, Any]]
    past: list[dict[str, float]]
    problems: dict[str, str] = Field(description="Servers that did not answer.")
