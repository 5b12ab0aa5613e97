"""Is this the admin's password, and is a new one good enough? argon2id with the library's profile (RFC 9106)."""

import asyncio
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Semaphore
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from solve_api.errors import PasswordRefused, PasswordsBusy

MIN_CHARS = 12
MAX_CHARS = 128
LEAST_SCORE = 3  # of zxcvbn: 10^8 guesses and more
JUDGED_CHARS = 72  # zxcvbn takes no more, and its time grows with them
MOST_WAITING = 60  # log-ins; about five seconds of them
MOST_WAITING_INSIDE = 20  # of who is logged in, whom a flood of log-ins must not keep from acting
EASY_WORDS = ("solve-counts", "solvecounts", "solve", "counts", "admin", "leaderboard", "judge", "problems")

Answer = TypeVar("Answer")

# 64 MiB and four lanes a hash: RFC 9106, section 4, second choice
HASHER = PasswordHasher()
# Threads of our own, and few: log-ins wait for each other, and nothing else waits for them.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
_places, _places_inside = Semaphore(MOST_WAITING), Semaphore(MOST_WAITING_INSIDE)


@contextmanager
def a_place(*, inside: bool) -> Iterator[None]:
    """Among those whose password is tried; to be had before the try is counted. Raises PasswordsBusy."""
    places = _places_inside if inside else _places
    if not places.acquire(blocking=False):
        raise PasswordsBusy("too many passwords are being checked at this moment; try again in a few seconds")
    try:
        yield
    finally:
        places.release()


def refuse_weak(password: str, name: str) -> None:
    """Raises PasswordRefused where it is too short, too long or too easy to guess; any characters will do."""
    characters = _length(password)
    if not MIN_CHARS <= characters <= MAX_CHARS:
        raise PasswordRefused(
            f"a password has {MIN_CHARS} to {MAX_CHARS} characters, this one has {characters}; "
            "four or five random words do well"
        )
    judged = zxcvbn(password[:JUDGED_CHARS], user_inputs=[name, *EASY_WORDS])
    if judged["score"] < LEAST_SCORE:
        why = str(judged["feedback"]["warning"]).rstrip(".")
        raise PasswordRefused(
            f"the password is too easy to guess{f' ({why})' if why else ''}; four or five random words do well"
        )


def is_too_long(password: str) -> bool:
    """Whether no admin can have it: not worth hashing."""
    return _length(password) > MAX_CHARS


async def hashed(password: str) -> str:
    """For the table, with its parameters and salt inside."""
    return await _in_thread(_hash, password)


async def hashed_new(password: str, name: str) -> str:
    """Of one that is good enough. Raises PasswordRefused."""
    await _in_thread(refuse_weak, password, name)
    return await hashed(password)


async def is_right(password: str, password_hash: str | None) -> bool:
    """Whether it is the password of the hash. Where there is none it takes as long, so that the time tells nothing."""
    if password_hash is None:
        await _in_thread(_hash, password)
        return False
    return await _in_thread(_verify, password, password_hash)


def is_outdated(password_hash: str) -> bool:
    """Whether it was made with other parameters than today's."""
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
    """The same for every way to type it: keyboards differ in how they compose an umlaut (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


async def _in_thread(work: Callable[..., Answer], *arguments: str) -> Answer:
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *arguments)
