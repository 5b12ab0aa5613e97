"""Serves profiles, the leaderboard and the admin panel; a program, not a library: run `solve-api --help`."""

from importlib.metadata import version

__version__ = version("solve-counts")
__all__ = ["__version__"]
