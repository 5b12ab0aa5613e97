"""Bearer tokens of judges: named, shown once, kept as hashes in a file of their own.

A token is 256 random bits. Nobody finds it by trying, so SHA-256 is enough: argon2 and scrypt slow down guesses of what
people choose, and here would only slow down each request. The file is replaced as a whole; a running gateway reads it
again within a second of a change. While it cannot be read nobody is let in, and no token is called wrong.
"""

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from time import monotonic

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from solve_gateway.errors import TokenRefused, TokensUnusable
from solve_schemas.events import NO_CONTROL_CHARS, TEXT_MAX_CHARS

PREFIX = "scg_"  # lets repository scanners find a leaked token
TOKEN_BYTES = 32
CHECK_S = 1.0
KEPT_MODE = 0o640
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
SOURCE = re.compile(NO_CONTROL_CHARS)
MADE_BY = "solve-producer tokens add NAME"

log = structlog.get_logger()


class Use(StrEnum):
    """What a token is for. A webhook's is given to a foreign system, which must not publish with it."""

    EVENTS = "events"
    CLICS = "clics"


class Token(BaseModel):
    """A token without its secret. Without `sources` it may write as any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    use: Use = Use.EVENTS
    sources: tuple[str, ...] = ()
    created_at: datetime

    def may_write_as(self, source: str) -> bool:
        """Whether its events may have this source."""
        return not self.sources or source in self.sources


class _File(BaseModel):
    tokens: tuple[Token, ...] = ()


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens in the file. Raises TokensUnusable."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise TokensUnusable(f"others may write {path}, and let themselves in; run: chmod 600 {path}")
            return _File.model_validate_json(file.read()).tokens
    except FileNotFoundError:
        raise TokensUnusable(f"there is no {path} (SOLVE_GATEWAY_TOKENS_FILE); make a token: {MADE_BY}") from None
    except OSError as error:
        raise TokensUnusable(f"cannot read {path}: {error.strerror}; check SOLVE_GATEWAY_TOKENS_FILE") from error
    except ValidationError:
        raise TokensUnusable(f"{path} is no file of tokens; check SOLVE_GATEWAY_TOKENS_FILE, or restore it") from None


def add_token(path: Path, name: str, sources: tuple[str, ...] = (), use: Use = Use.EVENTS) -> str:
    """Makes a token and returns it, which cannot be done again. Raises TokenRefused, TokensUnusable."""
    if not NAME.fullmatch(name):
        raise TokenRefused("a token's name has 1 to 64 letters, digits, dots, _ or -; name the judge that will use it")
    if any(not one or len(one) > TEXT_MAX_CHARS or not SOURCE.fullmatch(one) for one in sources):
        raise TokenRefused(f"a source has 1 to {TEXT_MAX_CHARS} characters, and no control characters")
    if sources and use is not Use.EVENTS:
        raise TokenRefused(f"a token for {use} publishes no events, so it has no source; leave --source out")
    with _changing(path) as tokens:
        if any(one.name == name for one in tokens):
            raise TokenRefused(f"there is a token {name} already; revoke it first, or choose another name")
        raw = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        now = datetime.now(UTC).replace(microsecond=0)
        tokens.append(Token(name=name, sha256=_digest(raw), use=use, sources=sources, created_at=now))
    return raw


def revoke_token(path: Path, name: str) -> None:
    """Removes a token. Raises TokenRefused, TokensUnusable."""
    with _changing(path) as tokens:
        kept = [one for one in tokens if one.name != name]
        if len(kept) == len(tokens):
            raise TokenRefused(f"there is no token {name}; to list the tokens, run: solve-producer tokens list")
        tokens[:] = kept


@contextmanager
def _changing(path: Path) -> Iterator[list[Token]]:
    """The tokens, to be changed; written on exit. One command at a time, and no reader sees half a file."""
    import fcntl  # not everywhere, and the other commands of the program need no lock

    try:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            tokens = list(read_tokens(path)) if path.exists() else []
            yield tokens
            _replace(path, _File(tokens=tuple(tokens)).model_dump_json(indent=2))
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise TokensUnusable(f"cannot write {path}: {error.strerror}; check SOLVE_GATEWAY_TOKENS_FILE") from error


def _replace(path: Path, text: str) -> None:
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            with suppress(PermissionError, FileNotFoundError):  # it stays readable for whom it was given to
                before = path.stat()
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), before.st_mode & KEPT_MODE)  # where the owner is kept alone
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    except BaseException:
        made.unlink(missing_ok=True)
        raise


def _digest(raw: str) -> str:
    return sha256(raw.encode("utf-8", "surrogateescape")).hexdigest()


class KnownTokens:
    """The tokens of a running gateway, for its event loop alone: two threads would keep what the other has replaced."""

    def __init__(self, path: Path) -> None:
        """Reads the file. Raises TokensUnusable."""
        self._path = path
        self._seen = self._stamp()  # before it is read: what changes in between is read again
        self._tokens = read_tokens(path)
        self._check_at = monotonic() + CHECK_S
        self.problem: str | None = None

    def owner_of(self, raw: str) -> Token | None:
        """Whose it is; None of one that is not, or no longer, a token. Raises TokensUnusable."""
        self.refresh()
        found = self._known(_digest(raw))
        if found is None:  # it may have been made just now
            self.refresh(at_once=True)
            found = self._known(_digest(raw))
        if self.problem:
            raise TokensUnusable(self.problem)
        return found

    def _known(self, digest: str) -> Token | None:
        found = None
        for one in self._tokens:  # all of them, so that time says nothing
            if compare_digest(one.sha256, digest):
                found = one
        return found

    def refresh(self, *, at_once: bool = False) -> None:
        """Reads the file again if it changed, which is checked once a second, or `at_once`."""
        if monotonic() < self._check_at and not at_once:
            return
        self._check_at = monotonic() + CHECK_S
        stamp = self._stamp()
        if stamp == self._seen and not self.problem:
            return
        try:
            self._tokens, self.problem = read_tokens(self._path), None
            log.info("the tokens were read again", action="tokens_read", tokens=len(self._tokens))
        except TokensUnusable as error:
            if self.problem != str(error):
                log.warning(f"{error}; until then nobody is let in", action="tokens_unusable")
            self.problem = str(error)
        self._seen = stamp

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
