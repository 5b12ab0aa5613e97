"""The commands of `solve-producer import`."""

from solve_runtime.console import command_group
from solve_sources.cli.clics import import_clics
from solve_sources.cli.problem_sessions import import_problem_sessions
from solve_sources.cli.standings import import_standings

app = command_group("Publish the history of a judge in its own format.")
app.command("clics")(import_clics)
app.command("standings")(import_standings)
app.command("problem-sessions")(import_problem_sessions)
