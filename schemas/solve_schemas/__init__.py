"""The event contract between a judge and the projector: the events, their records, the topic."""

from importlib.metadata import version

from solve_schemas.events import Event, SubmissionRevoked, SubmissionSolved, UserRegistered

__version__ = version("solve-counts")
__all__ = ["Event", "SubmissionRevoked", "SubmissionSolved", "UserRegistered", "__version__"]
