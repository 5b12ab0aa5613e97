"""A Flask judge; under gunicorn --preload it publishes once before its workers are forked."""

import os
from datetime import UTC, datetime

from flask import Flask, request

from solve_producer import ProducerError, SyncSolveProducer

app = Flask(__name__)
producer = SyncSolveProducer()
if os.environ.get("PUBLISH_BEFORE_FORK"):
    producer.user_registered(user_id=os.getpid(), username="preload", registered_at=datetime.now(UTC))


@app.post("/accepted/<int:user_id>/<int:submission_id>")
def accepted(user_id: int, submission_id: int) -> tuple[str, int]:
    """A verdict; the answer is the worker's process."""
    try:
        producer.submission_solved(
            submission_id=submission_id, user_id=user_id, problem_id=request.args.get("problem", "p"),
            judged_at=datetime.now(UTC),
        )  # fmt: skip
    except ProducerError as error:
        return f"{type(error).__name__}: {error}", 503
    return str(os.getpid()), 200
