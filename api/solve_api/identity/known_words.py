"""Takes out of a password the words that count for nothing in it: ours and the admin's name, in whatever form.

zxcvbn knows each of them, but gives a row of them for as many guesses as of words nobody knows. A word is known in its
usual suffixes, backwards, with signs for letters, and with one letter missing, added, changed or moved. The cost is
bounded: each short piece of the text is looked up in a set, as it is and without each one of its letters.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple, Self

OUR_WORDS = ("solve", "count", "leader", "board", "admin", "administrator", "judge", "problem")
SUFFIXES = ("", "s", "es", "d", "ed", "r", "rs", "er", "ers", "ing", "ings", "ment", "ments")
NAME_SUFFIXES = ("", "s")
NAME_PART_CHARS = 3  # a shorter part of a name is in too many good passwords
INEXACT_CHARS = 5  # a shorter word with another letter is in too many good passwords
TEXT_CHARS = 128
# letters and what one types in their place, as one sign; i, l and t share 1, 7, ! and |
FOLDED = str.maketrans("4@8({[<3691!|l7t+0$5%2", "aabcccceggiiiiiiiossxz")
SIGNS = frozenset("@({[<!|$+%")


class KnownWords(NamedTuple):
    """Words to be found: as they are, and with one letter missing, which shows the inexact ones."""

    exact: frozenset[str]
    near: frozenset[str]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, words: Iterable[str]) -> Self:
        """These, each also backwards."""
        forwards = {word.translate(FOLDED) for word in words}
        exact = frozenset(forwards | {word[::-1] for word in forwards})
        long = {word for word in exact if len(word) >= INEXACT_CHARS}
        near = frozenset(long.union(*map(_shortened, long)))
        lengths = {len(word) for word in exact} | {len(word) + more for word in long for more in (-1, 1)}
        return cls(exact, near, tuple(sorted(lengths)))

    def has(self, piece: str) -> bool:
        """Whether the folded piece is one of them, or differs from one of the longer ones in one letter."""
        return piece in self.exact or piece in self.near or any(one in self.near for one in _shortened(piece))


def without_words(password: str, name: str) -> str | None:
    """The least that is left of the password without known words and without separators; None if it has no such word.

    Of a very long one, only the beginning is looked at.
    """
    decomposed = unicodedata.normalize("NFKD", password).casefold()
    plain = "".join(one for one in decomposed if one.isalnum() or one in SIGNS)[:TEXT_CHARS]
    folded = plain.translate(FOLDED)
    known = (_ours(), KnownWords.of(_forms(_parts(name), NAME_SUFFIXES)))
    rests = [""]  # of each beginning of the text, the shortest rest
    for end, one in enumerate(plain, 1):
        shortest = rests[-1] + one
        for words in known:
            for length in words.lengths:
                before = end - length
                if before >= 0 and len(rests[before]) < len(shortest) and words.has(folded[before:end]):
                    shortest = rests[before]
        rests.append(shortest)
    return rests[-1] if len(rests[-1]) < len(plain) else None


@cache
def _ours() -> KnownWords:
    return KnownWords.of(_forms(OUR_WORDS, SUFFIXES))


def _forms(words: Iterable[str], suffixes: Iterable[str]) -> Iterator[str]:
    for word in words:
        for suffix in suffixes:
            yield word + suffix
            yield word.removesuffix("e") + suffix  # judging


def _parts(name: str) -> set[str]:
    parts = re.split(r"[^a-z0-9]+", name.lower())
    return {part for part in ("".join(parts), *parts) if len(part) >= NAME_PART_CHARS}


def _shortened(word: str) -> set[str]:
    """The word without each one of its letters."""
    return {word[:place] + word[place + 1 :] for place in range(len(word))}
