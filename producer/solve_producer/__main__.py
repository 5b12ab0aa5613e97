"""The program `solve-producer`, also as `python -m solve_producer`."""

import logging

from solve_runtime.console import Program

program = Program(
    "solve-producer",
    "solve_producer.cli.main",
    interrupted="interrupted; events that were sent count once, so send them all again",
)

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it retries by itself; we report what fails in the end

if __name__ == "__main__":
    program.run()
