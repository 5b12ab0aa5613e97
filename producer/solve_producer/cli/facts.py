"""One fact about a user or a problem, published by a command."""

from solve_producer.cli.publishing import connected_producer
from solve_producer.cli.summary import print_summary
from solve_runtime.console import run_async
from solve_schemas.events import Event


def publish_fact(event: Event, as_json: bool) -> None:
    """Publishes it, and says so. Raises what SolveProducer.send raises."""

    async def publish() -> None:
        async with connected_producer() as producer:
            await producer.send(event)

    run_async(publish)
    print_summary({"published": 1}, as_json)
