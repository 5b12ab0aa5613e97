"""Takes out of a password the words that count for nothing in it: ours and the admin's name, in whatever form.

zxcvbn knows each of them, but gives a row of them for as many guesses as of words nobody knows. A word is known in its
usual suffixes, backwards, with signs, doubled letters or look-alikes for letters, and with one letter missing, added,
changed or moved. The cost is bounded: each short piece of the text is looked up in a set, as it is and without each one
of its letters.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby, islice
from typing import NamedTuple, Self

OUR_WORDS = ("solve", "count", "leader", "board", "admin", "administrator", "judge", "problem")
SUFFIXES = ("", "s", "es", "d", "ed", "r", "rs", "er", "ers", "ing", "ings", "ment", "ments")
NAME_SUFFIXES = ("", "s")
NAME_PART_CHARS = 3  # a shorter part of a name is in too many good passwords
INEXACT_CHARS = 5  # a shorter word with another letter is in too many good passwords
INEXACT_COST = 2  # letters; else a word with one more letter would eat the first one of what follows it
TEXT_CHARS = 128
# letters and what one types in their place, as one sign; i, l and t share 1, 7, ! and |
FOLDED = str.maketrans("4@8({[<3691!|l7t+0$5%2", "aabcccceggiiiiiiiossxz")
SIGNS = frozenset("@({[<!|$+%")
# letters of other scripts that look like ours; those of Latin have its letter in their Unicode name
LOOK_ALIKES = str.maketrans(
    "\u0430\u0432\u0435\u04bb\u0456\u0458\u043a\u04cf\u043c\u043d\u043e\u043f\u0440\u0441\u0442\u0443\u0445\u0455\u0475\u0501\u051b\u051d\u0433\u044c"
    "\u03b1\u03b2\u03b3\u03b4\u03b5\u03b7\u03b9\u03ba\u03bc\u03bd\u03bf\u03c1\u03c3\u03c2\u03c4\u03c5\u03c7\u03c9\u03f2\u03f3"
    "\u0585\u057d\u0578\u0570\u0566\u0581\u0261\u0251",
    "abehijklmhonpctyxsvdqwrbabydenikmvoposiuxwcjounhqgga",
)
OF_LATIN = re.compile(r"(?:LATIN|REGIONAL INDICATOR) .*?LETTER (?:[A-Z-]{2,} )*([A-Z])(?: |$)")
NOT_TEXT = frozenset({"Cc", "Cf", "Mc", "Me", "Mn"})  # marks, and what nobody sees
RUN = re.compile(r"(.)\1+", re.DOTALL)
TAKEN_OUT = "\0"
# separators, or one other sign, count for nothing beside a word that counts for nothing
BESIDE = rf"(?:[ \-_.,/]+|[^\w{TAKEN_OUT}])?"
BESIDE_WORDS = re.compile(rf"{BESIDE}(?:{TAKEN_OUT}{BESIDE})+")


class KnownWords(NamedTuple):
    """Words to be found: as they are, and with one letter missing, which shows the inexact ones."""

    exact: frozenset[str]
    near: frozenset[str]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, words: Iterable[str], *, near: bool = True) -> Self:
        """These, each also backwards; inexact ones if `near`."""
        forwards = {form.translate(FOLDED) for word in words for form in (word, _undoubled(word))}
        exact = frozenset(forwards | {word[::-1] for word in forwards})
        long = {word for word in exact if near and len(word) >= INEXACT_CHARS}
        lengths = {len(word) for word in exact} | {len(word) + more for word in long for more in (-1, 1)}
        return cls(exact, frozenset(long.union(*map(_shortened, long))), tuple(sorted(lengths)))

    def has(self, piece: str) -> bool:
        """Whether the folded piece is one of them, or differs from one of the longer ones in one letter."""
        return piece in self.exact or piece in self.near or any(one in self.near for one in _shortened(piece))


def without_words(password: str, name: str) -> set[str]:
    """What is left of the password without known words and the separators beside them; nothing if it has no such word.

    Once without bare words alone, and once without all their forms: a form may eat the first letters of what follows.
    Of a very long password, only the beginning is looked at.
    """
    text, parts = _plain(password), _parts(name)
    letters = [place for place, one in enumerate(text) if one.isalnum() or one in SIGNS]
    single = [[place] for place in letters]
    bare = _rest(text, single, (_bare(), KnownWords.of(parts, near=False)))
    runs = [list(run) for _, run in groupby(letters, text.__getitem__)]
    doubled = 3 * len(runs) <= 2 * len(letters)  # a few doubled letters may be of two words side by side
    all_forms = _rest(text, runs if doubled else single, (_ours(), KnownWords.of(_forms(parts, NAME_SUFFIXES))))
    return {rest for rest in (bare, all_forms) if rest is not None}


def _rest(text: str, runs: list[list[int]], known: Iterable[KnownWords]) -> str | None:
    """The text without known words; each run is the places of one letter."""
    found = _found("".join(text[run[0]] for run in runs).translate(FOLDED), known)
    if not found:
        return None
    places = {place for one in found for place in runs[one]}
    rest = BESIDE_WORDS.sub("", "".join(TAKEN_OUT if place in places else one for place, one in enumerate(text)))
    single = _undoubled(rest)
    return single if 2 * len(single) <= len(rest) else rest


def _plain(password: str) -> str:
    """The beginning of the text in small Latin letters, as far as it looks like them."""
    decomposed = unicodedata.normalize("NFKD", password).casefold()
    seen = (one for one in decomposed if unicodedata.category(one) not in NOT_TEXT)
    return "".join(map(_latin, islice(seen, TEXT_CHARS))).translate(LOOK_ALIKES)


@cache
def _latin(character: str) -> str:
    found = None if character.isascii() else OF_LATIN.search(unicodedata.name(character, ""))
    return found[1].lower() if found else character


def _undoubled(text: str) -> str:
    return RUN.sub(r"\1", text)


def _found(folded: str, known: Iterable[KnownWords]) -> set[int]:
    """The places of letters of known words. As few others as possible are left; an inexact word costs some too.

    Of two ways that cost the same, the one that keeps letters.
    """
    ways: list[tuple[int, int]] = [
        (0, 0)
    ]  # of each beginning of the text: what it costs, and where its last word began
    for end in range(1, len(folded) + 1):
        least, began = ways[-1][0] + 1, end
        for words in known:
            for length in words.lengths:
                before = end - length
                if before < 0 or ways[before][0] >= least:
                    continue
                piece = folded[before:end]
                if piece in words.exact:
                    least, began = ways[before][0], before
                elif ways[before][0] + INEXACT_COST < least and words.has(piece):
                    least, began = ways[before][0] + INEXACT_COST, before
        ways.append((least, began))
    places: set[int] = set()
    end = len(folded)
    while end:
        began = ways[end][1]
        places.update(range(began, end))
        end = min(began, end - 1)
    return places


@cache
def _bare() -> KnownWords:
    return KnownWords.of(OUR_WORDS, near=False)


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
    return {part for part in ("".join(parts), *parts) if len(_undoubled(part)) >= NAME_PART_CHARS}


def _shortened(word: str) -> set[str]:
    """The word without each one of its letters."""
    return {word[:place] + word[place + 1 :] for place in range(len(word))}
