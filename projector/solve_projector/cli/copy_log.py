"""The command `copy-log`: the log without the names of erased users, in a new topic."""

from typing import Annotated

import typer

from solve_projector.cli.options import load_settings
from solve_projector.operations.copy_log import copy_log
from solve_runtime.console import Bars, Json, print_json, print_lines, run_async


def copy_log_command(
    to: Annotated[str, typer.Option("--to", metavar="TOPIC", help="The new topic; it is created.")],
    as_json: Json = False,
) -> None:
    """Copy the log without the names of erased users.

    Partitions, order, keys and broker timestamps stay, and so do all other records. At the end both topics are read and
    compared: each record does the same to the tables. Until then no projector accepts the copy. Safe to interrupt, to
    repeat, and while everything runs: a repetition adds what came since.

    Example: solve-projector copy-log --to judge-events-2
    """
    connection, _ = load_settings()
    with Bars() as bars:
        report = run_async(lambda: copy_log(connection, to, bars))
    if as_json:
        print_json(report.as_dict())
        return
    for sentence in report.open_transactions:
        print_lines(f"not read: {sentence}")
    kinds = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in sorted(report.records.items()))
    print_lines(
        f"{report.copied} records copied from {report.topic} to {report.copy}, {report.found} were there; "
        f"{report.names_left_out} names and {report.dead_letters_blanked} dead letters of {report.users_erased} erased "
        "users left out",
        f"both topics fold to the same: {kinds or 'nothing'}",
    )
