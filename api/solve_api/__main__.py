"""How is the API started without its console script? `python -m solve_api`."""

from solve_api.cli.main import main

main()
