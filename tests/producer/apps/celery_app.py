"""A Celery judge whose broker is a folder; the producer is made, and used once, before the workers are forked."""

import os
from datetime import UTC, datetime
from pathlib import Path

from celery import Celery

from solve_producer import SyncSolveProducer

folder = Path(os.environ["CELERY_FOLDER"])
app = Celery("judge", broker="filesystem://", set_as_current=False)
app.conf.broker_transport_options = {
    "data_folder_in": str(folder / "queue"),
    "data_folder_out": str(folder / "queue"),
    "control_folder": str(folder / "control"),
}
producer = SyncSolveProducer()


@app.task(name="judged")
def judged(submission_id: int) -> None:
    """One verdict, and one user for each worker process."""
    now = datetime.now(UTC)
    producer.user_registered(user_id=os.getpid(), username="worker", registered_at=now)
    producer.submission_solved(submission_id=submission_id, user_id=os.getpid(), problem_id=1, judged_at=now)


if os.environ.get("PUBLISH_BEFORE_FORK"):
    producer.user_registered(user_id="preload", username="parent", registered_at=datetime.now(UTC))
