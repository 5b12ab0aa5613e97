"""Judge0's results as verdicts. Statuses: https://github.com/judge0/judge0/blob/master/app/enumerations/status.rb.

A token of Judge0 is judged once, and its callback has no time. So the verdict's time is that of asking: a callback, the
same again and the sweep give one and the same event, and of two judgings the one that was asked for later stands.

Of a submission without `expected_output`, Accepted says only that it ran (`determine_status` in Judge0's
`app/jobs/isolate_job.rb`). A callback does not say whether there was one, so the judge has to give it; the sweep asks.
"""

from typing import Any

from solve_gateway.errors import BadResult
from solve_gateway.judge0.signing import Callback
from solve_schemas.events import Event, SubmissionRevoked, SubmissionSolved

WAITING = {1: "In Queue", 2: "Processing"}
ACCEPTED = 3
REFUSED = {
    4: "Wrong Answer",
    5: "Time Limit Exceeded",
    6: "Compilation Error",
    7: "Runtime Error (SIGSEGV)",
    8: "Runtime Error (SIGXFSZ)",
    9: "Runtime Error (SIGFPE)",
    10: "Runtime Error (SIGABRT)",
    11: "Runtime Error (NZEC)",
    12: "Runtime Error (Other)",
    14: "Exec Format Error",
}
INTERNAL_ERROR = 13  # Judge0 failed, not the submission: judge it again


def status_id_of(result: Any) -> int:
    """The status of a submission as Judge0 sends it. Raises BadResult."""
    if not isinstance(result, dict):
        raise BadResult("the body must be one JSON object, the submission as Judge0 sends it")
    status = result.get("status")
    found = status.get("id") if isinstance(status, dict) else result.get("status_id")
    if not isinstance(found, int) or isinstance(found, bool):
        raise BadResult("`status.id` must be a whole number")
    if found not in {*WAITING, ACCEPTED, *REFUSED, INTERNAL_ERROR}:
        raise BadResult(f"`status.id` is {found}, which is no status of Judge0 that is known")
    return found


def verdict_of(callback: Callback, status_id: int) -> Event | None:
    """The event that a status makes; None while there is no verdict.

    What is not accepted becomes a revocation, since an earlier judging may have counted.
    """
    ids = {"submission_id": callback.submission_id, "user_id": callback.user_id, "problem_id": callback.problem_id}
    common: dict[str, Any] = {**ids, "judged_at": callback.asked_at, "revision": callback.revision}
    if status_id == ACCEPTED:
        return SubmissionSolved(
            **common,
            submitted_at=callback.submitted_at,
            contest_id=callback.contest_id,
            language=callback.language,
        )
    if status_id in REFUSED:
        return SubmissionRevoked(**common, reason=REFUSED[status_id])
    return None
