"""How is the projector started without its console script? `python -m solve_projector`."""

from solve_projector.cli.main import main

main()
