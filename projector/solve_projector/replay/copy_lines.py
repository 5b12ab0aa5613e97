"""How does a record become a line of COPY by the shortest way? Most records are written as our own client writes them.

A pattern that matches exactly that form, and nothing that `decode` would refuse or read otherwise, spares the parsing
of JSON and times; every other record goes through `decode`. A property test holds the two together.
"""

import re
from datetime import date
from functools import lru_cache

from solve_projector.domain.batch import LogRecord
from solve_projector.domain.rule import Verdict
from solve_schemas.events import TEXT_MAX_CHARS, SubmissionRevoked, SubmissionSolved
from solve_schemas.record import latest_time

_CHARS = r"[^\"\\\x00-\x1f\x7f-\x9f]"
_TEXT = rf'"({_CHARS}{{1,{TEXT_MAX_CHARS}}})"'
_OPTIONAL_TEXT = rf'"({_CHARS}{{0,{TEXT_MAX_CHARS}}})"'
_TIME = r'"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?)Z"'
_IDS = rf'\{{"submission_id":{_TEXT},"user_id":{_TEXT},"problem_id":{_TEXT},"judged_at":{_TIME}'
_SOLVED = re.compile(
    rf'{_IDS}(?:,"submitted_at":{_TIME})?(?:,"language":{_OPTIONAL_TEXT})?(?:,"contest_id":{_OPTIONAL_TEXT})?\}}'
).fullmatch
_REVOKED = re.compile(rf'{_IDS}(?:,"reason":{_OPTIONAL_TEXT})?\}}').fullmatch
_SOLVED_TYPE = SubmissionSolved.type_name.encode()
_REVOKED_TYPE = SubmissionRevoked.type_name.encode()
_EARLIEST = "1970-01-01T00:00:00"


def line_of_record(record: LogRecord) -> str | None:
    """A verdict's line, or None where `decode` must say what the record is."""
    named = None
    for name, content in record.headers:
        if name == "ce_type":
            named = content
            break
    if named == _SOLVED_TYPE:
        return _solved_line(record)
    return _revoked_line(record) if named == _REVOKED_TYPE else None


def _solved_line(record: LogRecord) -> str | None:
    found = _SOLVED(_text(record.value))
    if found is None:
        return None
    submission_id, user_id, problem_id, judged_at, submitted_at, language, contest_id = found.groups()
    latest = _latest(record.timestamp)
    if not (_EARLIEST <= judged_at <= latest and _is_date(judged_at[:10])):
        return None
    if submitted_at is None:
        submitted_at = judged_at
    elif not (_EARLIEST <= submitted_at <= latest and _is_date(submitted_at[:10])):
        return None
    return (
        f"{user_id}\t{problem_id}\t{submission_id}\tt\t{judged_at}Z\t{submitted_at}Z\t{language or ''}\t"
        f"{contest_id or ''}\t\t{record.partition}\t{record.offset}\n"
    )


def _revoked_line(record: LogRecord) -> str | None:
    found = _REVOKED(_text(record.value))
    if found is None:
        return None
    submission_id, user_id, problem_id, judged_at, reason = found.groups()
    if not (_EARLIEST <= judged_at <= _latest(record.timestamp) and _is_date(judged_at[:10])):
        return None
    return (
        f"{user_id}\t{problem_id}\t{submission_id}\tf\t{judged_at}Z\t\\N\t\t\t{reason or ''}\t"
        f"{record.partition}\t{record.offset}\n"
    )


def line_of_verdict(verdict: Verdict) -> str:
    """The same line from a decoded verdict, which has no control characters but may have backslashes."""
    text = [part.replace("\\", "\\\\") for part in (*verdict[:3], *verdict[6:9])]
    submitted_at = verdict.submitted_at.isoformat() if verdict.submitted_at else "\\N"
    return (
        f"{text[0]}\t{text[1]}\t{text[2]}\t{'t' if verdict.solved else 'f'}\t{verdict.judged_at.isoformat()}\t"
        f"{submitted_at}\t{text[3]}\t{text[4]}\t{text[5]}\t{verdict.partition}\t{verdict.offset}\n"
    )


def _text(value: bytes | None) -> str:
    try:
        return value.decode() if value is not None else ""
    except UnicodeDecodeError:
        return ""


@lru_cache(maxsize=64)  # the records of one batch on the wire share their LogAppendTime
def _latest(broker_timestamp_ms: int) -> str:
    return latest_time(broker_timestamp_ms).isoformat(timespec="microseconds")[:26]


@lru_cache(maxsize=50_000)  # more days than lie between 1970 and any clock
def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
