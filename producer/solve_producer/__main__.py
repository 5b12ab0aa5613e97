"""The program `solve-producer`, also as `python -m solve_producer`."""

import logging

import typer

from solve_runtime.console import Program


def _load() -> typer.Typer:
    from solve_producer.cli.main import app

    # the client retries by itself; what fails in the end is reported by us
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return app


program = Program(
    "solve-producer", _load, interrupted="interrupted; events that were sent count once, so send them all again"
)

if __name__ == "__main__":
    program.run()
