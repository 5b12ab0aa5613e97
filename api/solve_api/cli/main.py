"""What can somebody who runs the pages type? Serve them, and look after who may log in."""

from typing import Annotated

import typer
from rich.console import Console

from solve_api.cli.admin import admin_commands
from solve_api.settings import ApiSettings
from solve_projector.terminal import Json, print_json, run_async, run_command
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Serves profiles, the leaderboard and the admin panel, as pages and as an API.\n\n"
    "Settings come from the environment or .env: DATABASE_URL, REDIS_URL, KAFKA_BOOTSTRAP_SERVERS, "
    "SOLVE_API_PORT and more.",
)
app.add_typer(admin_commands, name="admin")


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="In place of SOLVE_API_HOST; 0.0.0.0 is every address.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="In place of SOLVE_API_PORT; 0 is any free port.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the pages and the API until Ctrl-C or SIGTERM. Start as many as you like behind one proxy.

    Example: solve-api serve --port 8080
    """
    from solve_api.process import serve as serve_pages  # the other commands begin in half the time without it

    given = {name: value for name, value in (("api_host", host), ("api_port", port)) if value is not None}
    connection, settings = KafkaConnection(), ApiSettings().model_copy(update=given)
    configure_logs(settings.log_level, settings.log_format)

    def on_ready(address: str) -> None:
        if as_json:
            print_json({"url": address})
        else:
            Console(stderr=True, highlight=False).print(f"pages at {address}  (Ctrl-C ends)", markup=False)

    run_async(serve_pages(connection, settings, on_ready))


def main() -> None:
    """Runs the command; an error is one line on standard error and a non-zero exit."""
    run_command(app, "solve-api")
