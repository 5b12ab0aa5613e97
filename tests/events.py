"""Events for tests: small ones by name, and Hypothesis' many."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from solve_schemas.events import (
    Event,
    ProblemRestored,
    ProblemWithdrawn,
    SubmissionRevoked,
    SubmissionSolved,
    UserRegistered,
    UserRemoved,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A time so many seconds after the season's start."""
    return BEGIN + timedelta(seconds=seconds)


def registered(
    user_id: str, seconds: float = 0, username: str | None = None, listed: bool | None = None
) -> UserRegistered:
    """A registration."""
    name = username or f"name of {user_id}"
    return UserRegistered(user_id=user_id, username=name, registered_at=at(seconds), listed=listed)


def removed(user_id: str, seconds: float = 0, reason: str | None = None, erase: bool | None = None) -> UserRemoved:
    """A removal."""
    return UserRemoved(user_id=user_id, removed_at=at(seconds), reason=reason, erase=erase)


def solved(submission_id: str, user_id: str, problem_id: str, seconds: float = 0, **more: object) -> SubmissionSolved:
    """A solved verdict."""
    fields = {"submission_id": submission_id, "user_id": user_id, "problem_id": problem_id, "judged_at": at(seconds)}
    return SubmissionSolved.model_validate(fields | more)


def revoked(
    submission_id: str, user_id: str, problem_id: str, seconds: float = 0, reason: str | None = None, **more: object
) -> SubmissionRevoked:
    """A revocation."""
    fields = {"submission_id": submission_id, "user_id": user_id, "problem_id": problem_id, "judged_at": at(seconds)}
    return SubmissionRevoked.model_validate(fields | {"reason": reason} | more)


def withdrawn(problem_id: str, seconds: float = 0, reason: str | None = None) -> ProblemWithdrawn:
    """A problem that counts for nobody."""
    return ProblemWithdrawn(problem_id=problem_id, withdrawn_at=at(seconds), reason=reason)


def restored(problem_id: str, seconds: float = 0, reason: str | None = None) -> ProblemRestored:
    """A problem that counts again."""
    return ProblemRestored(problem_id=problem_id, restored_at=at(seconds), reason=reason)


def _events(
    users: list[str], submissions: list[str], seconds: st.SearchStrategy[float], texts: st.SearchStrategy[str | None]
) -> st.SearchStrategy[Event]:
    ids = {
        "submission_id": st.sampled_from(submissions),
        "user_id": st.sampled_from(users),
        "problem_id": st.sampled_from(["p", "q"]),
        "judged_at": seconds.map(at),
    }
    decided = ids | {"revision": st.sampled_from([None, None, None, 0, 1, 2])}
    registration = {
        "user_id": ids["user_id"],
        "registered_at": ids["judged_at"],
        "listed": st.sampled_from([None, None, True, False]),
    }
    return st.one_of(
        st.builds(UserRegistered, **registration, username=st.sampled_from(["x", "y", "Ω"])),
        st.builds(UserRegistered, **registration),  # of a log that was copied without erased names
        st.builds(
            UserRemoved,
            user_id=ids["user_id"],
            removed_at=ids["judged_at"],
            reason=texts,
            erase=st.sampled_from([None, None, False, True]),
        ),
        st.builds(
            SubmissionSolved, **decided, submitted_at=st.none() | ids["judged_at"], language=texts, contest_id=texts
        ),
        st.builds(SubmissionRevoked, **decided, reason=texts),
        st.builds(ProblemWithdrawn, problem_id=ids["problem_id"], withdrawn_at=ids["judged_at"], reason=texts),
        st.builds(ProblemRestored, problem_id=ids["problem_id"], restored_at=ids["judged_at"], reason=texts),
    )


# Few of everything, so that events meet: the same submission, problem, user and second, again and again.
events = _events(
    ["a", "b", "A", "é", "𝄞", "zz"],
    ["1", "2", "3"],
    st.integers(0, 3) | st.sampled_from([0.5, 1.000001]),
    st.sampled_from([None, "", "cpp", "python"]),
)
# Nearly everything ties, down to the last field that can decide.
ties = _events(["a", "A"], ["1"], st.sampled_from([0, 1]), st.sampled_from(["c", "d"]))
