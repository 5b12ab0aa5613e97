"""The command line of the API: serve it, and manage who may log in."""

from typing import Annotated, Any

import typer
from typer.main import get_command

from solve_api.cli.admin import admin_commands
from solve_api.cli.refused_commands import record_refused_command
from solve_api.settings import ApiSettings
from solve_projector.store.postgresql import explain
from solve_runtime.console import Json, command_line, print_json, print_lines, run_async
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs
from solve_runtime.settings import read_together

__all__ = ["app", "explain", "on_usage_error"]

app = command_line(
    "Serves profiles, the leaderboard and the admin panel, as pages and as an API.\n\n"
    "Settings come from the environment or .env: DATABASE_URL, REDIS_URL, KAFKA_BOOTSTRAP_SERVERS, "
    "SOLVE_API_PORT and others."
)
app.add_typer(admin_commands, name="admin")


def on_usage_error(error: Any) -> None:
    """What the console calls for a command line that cannot be parsed."""
    record_refused_command(error, get_command(app))


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Overrides SOLVE_API_HOST; 0.0.0.0 is every address.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="Overrides SOLVE_API_PORT; 0 is any free port.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the pages and the API.

    Until Ctrl-C or SIGTERM. Start as many processes as you like behind one proxy.

    Example: solve-api serve --port 8080
    """
    from solve_api.process import serve as serve_pages  # the other commands start twice as fast without it

    given: dict[str, Any] = {
        name: value for name, value in (("api_host", host), ("api_port", port)) if value is not None
    }
    connection, settings = read_together(KafkaConnection.of_program, lambda: ApiSettings(**given))
    configure_logs(settings.log_level, settings.log_format)

    def on_ready(address: str) -> None:
        if as_json:
            print_json({"url": address})
        else:
            print_lines(f"pages at {address}  (Ctrl-C ends)", to_errors=True)

    run_async(lambda: serve_pages(connection, settings, on_ready))
