"""The commands `callback-url` and `reconcile`, for judges whose verdicts come from Judge0."""

from dataclasses import asdict
from datetime import datetime
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from solve_gateway.errors import CallbackUnsignable, GatewayMissing
from solve_gateway.judge0.signing import judge0_callback_url
from solve_gateway.settings import CallbackSettings, Judge0Settings
from solve_producer.cli.event_file import open_events
from solve_producer.cli.publishing import connected_producer
from solve_producer.cli.source_option import checked_source
from solve_producer.cli.summary import print_summary, show_bad_lines
from solve_runtime.console import Json, command_group, run_async, say
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.settings import read_together
from solve_schemas.event_source import DEFAULT_SOURCE

urls = command_group("Make URLs of callbacks that carry what a callback lacks.")
sweeps = command_group("Publish results whose callbacks were lost.")
NO_KEY = "SOLVE_GATEWAY_CALLBACK_KEY is not set; give it the value that the gateway has"
TIMES = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z"]


@urls.callback()
def _urls() -> None:
    return


@sweeps.callback()
def _sweeps() -> None:
    return


@urls.command("judge0")
def judge0_url(
    submission: Annotated[str, typer.Option(help="The judge's own id of the submission.")],
    user: Annotated[str, typer.Option(help="The id of who submitted.")],
    problem: Annotated[str, typer.Option(help="The id of the problem.")],
    submitted_at: Annotated[
        datetime | None, typer.Option(formats=TIMES, help="When it was handed in; by default when Judge0 was asked.")
    ] = None,
    contest: Annotated[str | None, typer.Option(help="The id of the contest.")] = None,
    language: Annotated[str | None, typer.Option(help="The programming language.")] = None,
    source: Annotated[
        str, typer.Option(callback=checked_source, help="The name of the judge (CloudEvents `source`).")
    ] = DEFAULT_SOURCE,
    url: Annotated[str | None, typer.Option("--url", help="Overrides SOLVE_GATEWAY_URL.")] = None,
    as_json: Json = False,
) -> None:
    """Make the `callback_url` of a submission to Judge0.

    It is signed with SOLVE_GATEWAY_CALLBACK_KEY. Make it anew for each judging. Give Judge0 `expected_output` as well:
    without it, Accepted says only that the program ran, and would count as a solve.

    Example: solve-producer callback-url judge0 --submission 4711 --user ada --problem two-sum
    """
    given: dict[str, Any] = {"gateway_url": url} if url else {}
    settings = CallbackSettings(**given)
    if settings.gateway_callback_key is None:
        raise CallbackUnsignable(NO_KEY)
    if settings.gateway_url is None:
        raise CallbackUnsignable("SOLVE_GATEWAY_URL is not set; give the address at which Judge0 reaches the gateway")
    made = judge0_callback_url(
        settings.gateway_callback_key.get_secret_value(), settings.gateway_url,
        submission_id=submission, user_id=user, problem_id=problem, submitted_at=submitted_at, contest_id=contest,
        language=language, source=source,
    )  # fmt: skip
    say({"callback_url": made}, made, as_json)


@sweeps.command("judge0")
def reconcile_judge0(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help='NDJSON: {"token": …, "callback_url": …} for each submission.')
    ],
    at_once: Annotated[
        int,
        typer.Option(
            "--batch", min=1, max=1_000, help="Submissions asked for at once: Judge0's MAX_SUBMISSION_BATCH_SIZE."
        ),
    ] = 20,
    as_json: Json = False,
) -> None:
    """Ask Judge0 for the results of submissions, and publish them.

    For callbacks that were lost. The events are those of the callbacks, so it is harmless to repeat. Judge0 is at
    JUDGE0_URL. Lines that bring no verdict are named, and then it exits with 1: bad ones, submissions that Judge0 does
    not have (any more), or has with a status that is not known or without `expected_output`.

    Example: solve-producer reconcile judge0 handed-out.ndjson
    """
    if not all(map(find_spec, ("httpx", "tenacity"))):
        raise GatewayMissing("needs the extra `gateway`; install it: pip install 'solve-counts[gateway]'")
    from solve_gateway.judge0.asking import connected_to
    from solve_gateway.judge0.sweep import Swept, handed_in, sweep

    connection, callbacks, judge0 = read_together(KafkaConnection.of_program, CallbackSettings, Judge0Settings)
    if callbacks.gateway_callback_key is None:
        raise CallbackUnsignable(NO_KEY)
    key, swept = callbacks.gateway_callback_key.get_secret_value(), Swept()

    async def work() -> None:
        with open_events(file) as lines:
            async with connected_producer(connection) as producer, connected_to(judge0) as asked:
                await sweep(handed_in(lines, key, swept), asked, producer, swept, at_once)

    run_async(work)
    counts = asdict(swept)
    show_bad_lines([f"{file}:{line}" for line in counts.pop("named")])
    print_summary(counts, as_json)
    if swept.named:
        raise typer.Exit(1)
