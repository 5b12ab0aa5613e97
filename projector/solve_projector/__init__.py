"""Folds the log into PostgreSQL and the leaderboard; a program, not a library: run `solve-projector --help`."""

from importlib.metadata import version

__version__ = version("solve-counts")
__all__ = ["__version__"]
