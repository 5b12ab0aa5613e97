"""How is the API started without its console script? `python -m api`."""

from api.cli import main

main()
