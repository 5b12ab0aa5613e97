"""How is the producer started without its console script? `python -m solve_producer`."""

from solve_producer.cli.main import main

main()
