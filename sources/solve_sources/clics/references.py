"""References of a feed's objects to others that it has not sent yet, by collection.

The specification: "all existing objects will be sent upon initial connection, but may appear in any order". So a
submission may be sent long before its team, and a pause between the two is no end.
"""

from typing import Any

# whatever decides whether and how something counts
OF = {
    "submissions": {"team_id": "teams", "problem_id": "problems"},
    "judgements": {"judgement_type_id": "judgement-types", "simplified_judgement_type_id": "judgement-types"},
    "teams": {"group_ids": "groups"},
}
KINDS = frozenset(kind for one in OF.values() for kind in one.values())


class References:
    """Of a few kinds, of which no contest has many: the ids that were sent, and those that were only referred to."""

    def __init__(self) -> None:
        self._sent: dict[str, set[str]] = {kind: set() for kind in KINDS}
        self._missing: dict[str, set[str]] = {kind: set() for kind in KINDS}

    def take(self, kind: str, object_id: str, said: Any) -> None:
        """An object was sent; what is deleted is known as well."""
        if kind in KINDS:
            self._sent[kind].add(object_id)
            self._missing[kind].discard(object_id)
        for name, of_kind in OF.get(kind, {}).items() if isinstance(said, dict) else ():
            value = said.get(name)
            ids = {str(one) for one in (value if isinstance(value, list) else [value]) if one is not None}
            self._missing[of_kind] |= ids - self._sent[of_kind]

    def has_sent(self, kind: str) -> bool:
        """Whether anything of a collection was sent."""
        return bool(self._sent[kind])

    @property
    def missing(self) -> dict[str, set[str]]:
        """What was referred to and not sent, of each collection where that is anything."""
        return {kind: ids for kind, ids in sorted(self._missing.items()) if ids}
