"""How is the projector started without its console script? `python -m projector`."""

from projector.cli import main

main()
