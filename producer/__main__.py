"""How is the producer started without its console script? `python -m producer`."""

from producer.cli import main

main()
