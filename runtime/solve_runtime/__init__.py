"""The base of every process: settings, logs, errors, tasks, the console."""

from importlib.metadata import version

__version__ = version("solve-counts")
__all__ = ["__version__"]
