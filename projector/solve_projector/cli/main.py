"""The command line of the projector, in the order in which an operator meets its commands."""

from solve_projector.cli.copy_log import copy_log_command
from solve_projector.cli.dead_letters import dead_letter_commands
from solve_projector.cli.lag import lag_command
from solve_projector.cli.leaderboard import sync_leaderboard_command
from solve_projector.cli.project import run, setup
from solve_projector.cli.replay import replay_command
from solve_projector.cli.users import top, user
from solve_projector.store.postgresql import explain
from solve_runtime.console import command_line

__all__ = ["app", "explain"]

app = command_line(
    "Counts solved problems: projects the log of judge events into PostgreSQL and a Redis leaderboard.\n\n"
    "Settings come from the environment or .env: KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL, REDIS_URL and others."
)
app.command()(setup)
app.command()(run)
app.command()(top)
app.command()(user)
app.command("lag")(lag_command)
app.command("replay")(replay_command)
app.command("sync-leaderboard")(sync_leaderboard_command)
app.command("copy-log")(copy_log_command)
app.add_typer(dead_letter_commands, name="dead-letters")
