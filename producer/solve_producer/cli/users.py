"""The commands that say who is shown: they publish facts about one user, as of now."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from solve_producer.cli.facts import publish_fact
from solve_producer.client import event_of
from solve_runtime.console import Json, command_group
from solve_schemas.events import UserRegistered, UserRemoved

app = command_group("Remove a user, or list one on leaderboards or on none.")

UserId = Annotated[str, typer.Argument(metavar="ID", help="The judge's id of the user.")]
Username = Annotated[
    str | None,
    typer.Option(
        help="The name people see. Leave it out for a user whom the site inserts into `users`, who keeps that name; "
        "others are shown by their id then."
    ),
]


@app.command()
def remove(
    user_id: UserId,
    reason: Annotated[str | None, typer.Option(help="Why, for people to read.")] = None,
    erase: Annotated[bool, typer.Option("--erase", help="The name leaves everything of ours, too.")] = False,
    as_json: Json = False,
) -> None:
    """Show a user nowhere, until they are registered again.

    Verdicts are kept, so that the count is right at once when they return.

    Example: solve-producer user remove u-1 --reason "asked to be" --erase
    """
    now = datetime.now(UTC)
    publish_fact(event_of(UserRemoved, user_id=user_id, removed_at=now, reason=reason, erase=erase or None), as_json)


@app.command()
def unlist(user_id: UserId, username: Username = None, as_json: Json = False) -> None:
    """Keep a user's profile and count, and show them on no leaderboard.

    Example: solve-producer user unlist u-1 --username ada
    """
    _register(user_id, username, as_json, listed=False)


@app.command("list")
def list_again(user_id: UserId, username: Username = None, as_json: Json = False) -> None:
    """Show a user on leaderboards again, also one who was removed.

    Example: solve-producer user list u-1 --username ada
    """
    _register(user_id, username, as_json, listed=True)


def _register(user_id: str, username: str | None, as_json: bool, *, listed: bool) -> None:
    now = datetime.now(UTC)
    publish_fact(
        event_of(UserRegistered, user_id=user_id, username=username, registered_at=now, listed=listed), as_json
    )
