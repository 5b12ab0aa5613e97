"""Checks passwords with argon2id, using the library's profile (RFC 9106), and refuses weak new ones."""

import asyncio
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import prod
from threading import Semaphore
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE

from solve_api.errors import PasswordRefused, PasswordsBusy
from solve_api.identity.known_words import OUR_WORDS, without_words

MIN_CHARS = 12
MAX_CHARS = 128
SCORE_MIN = 3  # zxcvbn: at least 10^8 guesses
SCORED_CHARS = 40  # zxcvbn's time grows with the cube of the length, and it holds the interpreter's lock
REST_CHARS = 24  # of each of two rests: together less time than the password itself
WAITING_MAX = 60  # logins; about five seconds of work
WAITING_IN_SESSION_MAX = 20  # apart, so that a flood of logins does not keep admins from acting
# zxcvbn tries every combination of the signs that may stand for a letter: seconds, where a password has all of them.
# Where there are more combinations, punctuation stands for one letter each; digits alone have 4.
COMBINATIONS_MAX = 6
PUNCTUATION = str.maketrans("@({[<!|$+%", "accccii" + "stx")
Result = TypeVar("Result")

# 64 MiB and four lanes per hash: the second choice of RFC 9106, section 4
HASHER = PasswordHasher()
# a pool of its own: logins wait for each other, and nothing else waits for them
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
_slots, _session_slots = Semaphore(WAITING_MAX), Semaphore(WAITING_IN_SESSION_MAX)


@contextmanager
def reserve_check(*, within_session: bool) -> Iterator[None]:
    """Reserves a place in the queue, before the attempt is counted. Raises PasswordsBusy."""
    slots = _session_slots if within_session else _slots
    if not slots.acquire(blocking=False):
        raise PasswordsBusy("too many passwords are being checked at the moment; try again in a few seconds")
    try:
        yield
    finally:
        slots.release()


def refuse_weak(password: str, name: str) -> None:
    """Raises PasswordRefused if it is too short, too long or too easy to guess; any characters are allowed."""
    characters = _length(password)
    if not MIN_CHARS <= characters <= MAX_CHARS:
        raise PasswordRefused(
            f"a password has {MIN_CHARS} to {MAX_CHARS} characters, and this one has {characters}; "
            "use four or five random words"
        )
    rated = zxcvbn(scored(password), user_inputs=[name, *OUR_WORDS])
    why = str(rated["feedback"]["warning"]).rstrip(".")
    weak = rated["score"] < SCORE_MIN
    if not weak and any(_is_weak(rest) for rest in without_words(password, name)):
        weak, why = True, "without its known words, too little is left"
    if weak:
        raise PasswordRefused(
            f"the password is too easy to guess{f' ({why})' if why else ''}; use four or five random words"
        )


def _is_weak(rest: str) -> bool:
    return not rest or zxcvbn(scored(rest[:REST_CHARS]))["score"] < SCORE_MIN


def scored(password: str) -> str:
    """What zxcvbn scores in a tenth of a second, whatever it is: never stronger than the password."""
    text = password[:SCORED_CHARS]
    return text.translate(PUNCTUATION) if _combinations(text) > COMBINATIONS_MAX else text


def _combinations(text: str) -> int:
    return prod(sum(sign in text for sign in signs) or 1 for signs in L33T_TABLE.values())


def is_too_long(password: str) -> bool:
    """Whether no admin can have this password, so that it need not be hashed."""
    return _length(password) > MAX_CHARS


async def hashed(password: str) -> str:
    """The hash to store, with its parameters and salt."""
    return await _in_thread(_hash, password)


async def hashed_new(password: str, name: str) -> str:
    """The hash of a new password. Raises PasswordRefused if it is weak."""
    await _in_thread(refuse_weak, password, name)
    return await hashed(password)


async def is_right(password: str, password_hash: str | None) -> bool:
    """Whether the password matches. Without a hash it takes as long, so that timing reveals nothing."""
    if password_hash is None:
        await _in_thread(_hash, password)
        return False
    return await _in_thread(_verify, password, password_hash)


def is_outdated(password_hash: str) -> bool:
    """Whether the hash uses other parameters than the current ones."""
    return HASHER.check_needs_rehash(password_hash)


def _length(password: str) -> int:
    return len(unicodedata.normalize("NFC", password))


def _hash(password: str) -> str:
    return HASHER.hash(_bytes(password))


def _verify(password: str, password_hash: str) -> bool:
    try:
        return HASHER.verify(password_hash, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def _bytes(password: str) -> bytes:
    """The same bytes however a keyboard composes an umlaut (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


async def _in_thread(work: Callable[..., Result], *arguments: str) -> Result:
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *arguments)
