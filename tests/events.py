"""What events do tests make? Small ones by name, and Hypothesis' many."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from solve_schemas.events import Event, SubmissionRevoked, SubmissionSolved, UserRegistered

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A time so many seconds after the season's begin."""
    return BEGIN + timedelta(seconds=seconds)


def registered(user_id: str, seconds: float = 0, username: str | None = None) -> UserRegistered:
    """A registration."""
    return UserRegistered(user_id=user_id, username=username or f"name of {user_id}", registered_at=at(seconds))


def solved(submission_id: str, user_id: str, problem_id: str, seconds: float = 0, **more: object) -> SubmissionSolved:
    """A solved verdict."""
    fields = {"submission_id": submission_id, "user_id": user_id, "problem_id": problem_id, "judged_at": at(seconds)}
    return SubmissionSolved.model_validate(fields | more)


def revoked(
    submission_id: str, user_id: str, problem_id: str, seconds: float = 0, reason: str | None = None
) -> SubmissionRevoked:
    """A revocation."""
    return SubmissionRevoked(
        submission_id=submission_id, user_id=user_id, problem_id=problem_id, judged_at=at(seconds), reason=reason
    )


# Few of everything, so that events meet: the same submission, problem, user and second, again and again.
users = st.sampled_from(["a", "b", "A", "é", "𝄞", "zz"])
problems = st.sampled_from(["p", "q"])
submissions = st.sampled_from(["1", "2", "3"])
seconds = st.integers(0, 3) | st.sampled_from([0.5, 1.000001])
times = seconds.map(at)
texts = st.sampled_from([None, "", "cpp", "python"])

events: st.SearchStrategy[Event] = st.one_of(
    st.builds(UserRegistered, user_id=users, username=st.sampled_from(["x", "y", "Ω"]), registered_at=times),
    st.builds(
        SubmissionSolved,
        submission_id=submissions,
        user_id=users,
        problem_id=problems,
        judged_at=times,
        submitted_at=st.none() | times,
        language=texts,
        contest_id=texts,
    ),
    st.builds(
        SubmissionRevoked, submission_id=submissions, user_id=users, problem_id=problems, judged_at=times, reason=texts
    ),
)
