"""The commands of `solve-producer tokens`."""

from typing import Annotated

import typer

from solve_gateway.settings import TokenSettings
from solve_gateway.tokens import Use, add_token, read_tokens, revoke_token
from solve_producer.cli.source_option import checked_sources
from solve_runtime.console import Json, command_group, print_json, print_lines, print_table, say, table, whole

app = command_group("Tokens of judges that send events over HTTP.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the judge, or of what uses the token.")]


@app.command()
def add(
    name: Name,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            callback=checked_sources,
            help="It may write as this source alone (CloudEvents `source`); several are allowed.",
        ),
    ] = None,
    use: Annotated[
        Use,
        typer.Option(
            "--for", help="`events` publishes at /v1/events; `clics` is for a contest system's webhook alone."
        ),
    ] = Use.EVENTS,
    as_json: Json = False,
) -> None:
    """Make a token.

    It is printed once, and only its hash is kept, in the file that SOLVE_GATEWAY_TOKENS_FILE names. A running gateway
    knows it within a second.

    Example: solve-producer tokens add main-judge --source /judges/main
    """
    settings = TokenSettings()
    raw = add_token(settings.gateway_tokens_file, name, tuple(sources or ()), use)
    if not as_json:
        print_lines("keep it secret; it is not shown again", to_errors=True)
    say({"name": name, "token": raw, "use": use, "sources": sources or []}, raw, as_json)


@app.command("list")
def list_tokens(as_json: Json = False) -> None:
    """List the tokens, without their secrets.

    Example: solve-producer tokens list
    """
    found = read_tokens(TokenSettings().gateway_tokens_file)
    if as_json:
        print_json([one.model_dump(mode="json", exclude={"sha256"}) for one in found])
        return
    shown = table(whole("name"), "for", "sources", "created (UTC)")
    for one in found:
        sources = ", ".join(one.sources) or ("any" if one.use is Use.EVENTS else "none")
        shown.add_row(one.name, one.use, sources, f"{one.created_at:%Y-%m-%d %H:%M:%S}")
    print_table(shown)


@app.command()
def revoke(name: Name, as_json: Json = False) -> None:
    """Revoke a token.

    A running gateway refuses it within a second.

    Example: solve-producer tokens revoke main-judge
    """
    revoke_token(TokenSettings().gateway_tokens_file, name)
    say({"revoked": name}, f"{name} is revoked", as_json)
