"""The words by which a field or a header says that a record is another event, or that a submission is not accepted.

Names are compared without regard to case and to what is no letter or digit. A word that is missing here makes a wrong
solve, and one too many a dead letter that says what was found; so in doubt it is here.
"""

import re
from functools import lru_cache

NAMES_A_TYPE = frozenset(
    ("type", "cetype", "cloudeventstype", "eventtype", "eventname", "eventclass", "eventkind", "aggregatetype",
     "messagetype", "messagename", "recordtype", "event", "kind", "action", "typeid", "typename", "class")
)  # fmt: skip
# strictly an accepted word, if the record names no type; with a type the first four, too
VERDICT_NAMES = frozenset(("verdict", "result", "judgement", "judgment", "outcome", "status", "state"))
_VERDICTS = frozenset(("verdict", "result", "judgement", "judgment"))
_TRUE_OF_A_SOLVE = frozenset(
    ("accepted", "solved", "passed", "correct", "success", "successful", "valid", "ok", "ac", "right")
)
_FALSE_OF_A_SOLVE = frozenset(
    ("rejected", "revoked", "deleted", "removed", "disqualified", "failed", "invalid", "invalidated", "wrong",
     "cheated", "banned", "cancelled", "canceled", "retracted", "withdrawn", "hacked", "plagiarism", "plagiarized",
     "ignored", "error", "tombstone")
)  # fmt: skip
_TAKEN_BACK = ("deleted", "revoked", "removed", "disqualified", "retracted", "withdrawn", "cancelled", "canceled")
_ROW_OPERATIONS = frozenset(
    ("op", "optype", "operation", "operationtype", "changetype", "metadataaction", "rowkind", "action", "event",
     "eventtype", "type", "kind")
)  # fmt: skip
_TAKES_BACK = re.compile(
    r"d|(.*[^a-z])?(delete|remove|revoke|retract|withdraw|cancel|disqualify|reject)(d|ed|al)?", re.IGNORECASE
)
_ACCEPTED = re.compile(
    r"(accept(ed)?|ac|ok|yes|y|true|t|correct(answer)?|answercorrect|solved|pass(ed)?(alltests)?|success(ful)?|right"
    r"(answer)?)[0-9]*|accepted(?!.*(partial|not|reject|cancel|revok)).*"
)
_FAILED = re.compile(
    r"wrong|reject|failed|failure|incorrect|revoked|deleted|disqualif|limitexceeded|^not|^un(accept|solved|correct)"
    r"|partial|skipped|hacked|challenged|crashed|violat|cheat|cancel|withdrawn|nooutput|pending|queued|^judging"
    r"|^testing|^compiling|(runtime|compil[a-z]*|presentation|output|security|system|judge|internal)error"
    r"|^(no|nok|false|fail|wa|tle|mle|ole|ile|rte|re|ce|pe|ie|se|dsq|void|invalid)$"
)
_EMPTY = frozenset(("", "false", "f", "no", "n", "off", "0", "0.0", "none", "null"))
_CONTENT_TYPES = ("contenttype", "mediatype", "mimetype", "datatype")
_PREFIX = re.compile(r"^(is|has|was|all)(?=[a-z])")


@lru_cache(maxsize=1024)
def plain(name: str) -> str:
    """Letters and digits alone, in lower case."""
    return "".join(filter(str.isalnum, name)).lower()


@lru_cache(maxsize=1024)
def is_suspect(name: str) -> bool:
    """Whether a plain name may name a type or say how a submission was judged."""
    return (
        name in NAMES_A_TYPE
        or (name.endswith(("type", "types", "typeid")) and not name.endswith((*_CONTENT_TYPES, "contenttypeid")))
        or name in VERDICT_NAMES | _ROW_OPERATIONS | {"reason"}
        or _PREFIX.sub("", name) in _TRUE_OF_A_SOLVE | _FALSE_OF_A_SOLVE
        or name.removesuffix("at").endswith(_TAKEN_BACK)
    )


def is_accepted(content: object) -> bool:
    """Whether the content of a field for the verdict says that the submission is accepted."""
    if isinstance(content, dict):
        return any(isinstance(one, str) and is_accepted(one) for one in content.values())
    return content is True or (isinstance(content, str) and _ACCEPTED.fullmatch(plain(content)) is not None)


def contradicts(name: str, content: object, *, typed: bool) -> bool:
    """Whether a field of this plain name says that the submission is not accepted; `typed` records may be brief."""
    stem = _PREFIX.sub("", name)
    if stem in _TRUE_OF_A_SOLVE:
        return _is_empty(content) and not (typed and content is None)
    if name in _FALSE_OF_A_SOLVE or name.removesuffix("at").endswith(_TAKEN_BACK):
        return not _is_empty(content)
    if name in _VERDICTS and typed and content is not None:
        return not is_accepted(content)
    is_verdict = name.endswith(("status", "result", "outcome", "state")) or "verdict" in name or "judg" in name
    return is_verdict and isinstance(content, str) and _FAILED.search(plain(content)) is not None


def takes_back(name: str, content: object) -> bool:
    """Whether a field of this plain name calls the record a deletion, as change data capture does."""
    if name not in _ROW_OPERATIONS or not isinstance(content, str):
        return False
    return _TAKES_BACK.fullmatch(re.sub(r"\.v[0-9]+$", "", content.strip(" -"))) is not None


def _is_empty(content: object) -> bool:
    if isinstance(content, str):
        return content.strip().lower() in _EMPTY or _FAILED.search(plain(content)) is not None
    return content is None or content is False or content == 0
