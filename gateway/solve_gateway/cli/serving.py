"""The command `serve`."""

from importlib.util import find_spec
from typing import Annotated, Any

import typer

from solve_gateway.errors import GatewayMissing
from solve_gateway.settings import GatewaySettings
from solve_runtime.console import Json, print_json, print_lines, run_async
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.logs import configure_logs
from solve_runtime.settings import read_together

SERVERS = ("fastapi", "uvicorn", "httptools")


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Overrides SOLVE_GATEWAY_HOST; 0.0.0.0 is every address.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65_535, help="Overrides SOLVE_GATEWAY_PORT; 0 is any free port.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take events over HTTP.

    Until Ctrl-C or SIGTERM; what is under way is answered first. Start as many processes as you like behind one proxy,
    which has the certificate. Tokens come from `solve-producer tokens add`.

    Example: solve-producer serve --port 8100
    """
    if not all(map(find_spec, SERVERS)):
        raise GatewayMissing("needs the extra `gateway`; install it: pip install 'solve-counts[gateway]'")
    from solve_gateway.process import serve as serve_events  # the other commands start faster without it

    given: dict[str, Any] = {
        name: value for name, value in (("gateway_host", host), ("gateway_port", port)) if value is not None
    }
    connection, settings = read_together(KafkaConnection.of_program, lambda: GatewaySettings(**given))
    configure_logs(settings.log_level, settings.log_format)

    def on_ready(address: str) -> None:
        if as_json:
            print_json({"url": address})
        else:
            print_lines(f"taking events at {address}/v1/events  (Ctrl-C ends)", to_errors=True)

    run_async(lambda: serve_events(connection, settings, on_ready))
