"""The commands that say which problems count: they publish facts about one problem, as of now."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from solve_producer.cli.facts import publish_fact
from solve_producer.client import event_of
from solve_runtime.console import Json, command_group
from solve_schemas.events import ProblemRestored, ProblemWithdrawn

app = command_group("Withdraw a problem from all counts, or restore it.")

ProblemId = Annotated[str, typer.Argument(metavar="ID", help="The judge's id of the problem.")]
Reason = Annotated[str | None, typer.Option(help="Why, for people to read.")]


@app.command()
def withdraw(problem_id: ProblemId, reason: Reason = None, as_json: Json = False) -> None:
    """Count a problem for nobody, until it is restored.

    Verdicts are kept, so that counts are right again soon after it is restored.

    Example: solve-producer problem withdraw two-sum --reason "a wrong test case"
    """
    now = datetime.now(UTC)
    publish_fact(event_of(ProblemWithdrawn, problem_id=problem_id, withdrawn_at=now, reason=reason), as_json)


@app.command()
def restore(problem_id: ProblemId, reason: Reason = None, as_json: Json = False) -> None:
    """Count a withdrawn problem as before.

    Example: solve-producer problem restore two-sum --reason fixed
    """
    now = datetime.now(UTC)
    publish_fact(event_of(ProblemRestored, problem_id=problem_id, restored_at=now, reason=reason), as_json)
