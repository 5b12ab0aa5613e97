"""Records commands under `admin` that were refused before they could be run: an unknown option, a missing argument.

Their error is printed first, and stays the result: without PostgreSQL there is no row. The row has what was typed, cut
and escaped; of it only the first word if it looks like a name or a number, and the values of options that the command
has. Anything else may be a password typed in the wrong place.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from solve_api.identity import accounts, audit
from solve_api.identity.actors import Actor
from solve_api.identity.tokens import PREFIX
from solve_api.settings import ApiSettings
from solve_projector.store.command_session import command_session
from solve_projector.store.postgresql import DATABASE_ERRORS
from solve_runtime.console import run_async
from solve_runtime.errors import SolveCountsError
from solve_runtime.logs import configure_logs
from solve_runtime.system_user import claimed_users, system_user
from solve_runtime.text import cut, readable

GROUP = "admin"
ACTION = "refused-command"
PATIENCE_S = 5.0
WORDS_MAX = 20
WORD_CHARS = 64
HIDDEN = "(not recorded)"


def record_refused_command(error: Any) -> None:
    """Records what the command line could not be parsed for, if it was for one of ours and PostgreSQL answers."""
    command = error.ctx.command_path.split()[1:] if error.ctx else []
    typed = _after(command, sys.argv[1:])
    if command[:1] != [GROUP] or not (command[1:] or typed):
        return
    detail = {
        "command": " ".join(command),
        "typed": " ".join(recorded_words(typed, error.ctx.command.params)),
        "wrong": getattr(getattr(error, "param", None), "name", None),
        "claimed": claimed_users(),
    }
    # no second message: whoever typed it has the first
    with suppress(asyncio.CancelledError, SolveCountsError, ValidationError, *DATABASE_ERRORS):
        settings = ApiSettings()
        configure_logs("CRITICAL", settings.log_format)
        run_async(lambda: _record(settings, detail))


async def _record(settings: ApiSettings, detail: dict[str, Any]) -> None:
    async with asyncio.timeout(PATIENCE_S), command_session(settings) as database:
        await audit.record(database, Actor(system_user(), "cli"), ACTION, detail, audit.REFUSED)


def _after(command: Sequence[str], words: Sequence[str]) -> list[str]:
    """What was typed besides the command's own words."""
    left = list(words)
    for word in command:
        if word in left:
            left.remove(word)
    return left


def recorded_words(words: Sequence[str], parameters: Sequence[Any]) -> Iterator[str]:
    """What was typed after a command with these parameters, without what may be a secret."""
    takes_value = {option: not one.is_flag for one in parameters if hasattr(one, "is_flag") for option in one.opts}
    is_value, is_first = False, True
    for word in words[:WORDS_MAX]:
        option, has_value, value = word.partition("=")
        if option in takes_value:
            yield f"{option}={_value(value)}" if has_value else option
            is_value = takes_value[option] and not has_value
        elif is_value:
            yield _value(word)
            is_value = False
        else:
            yield _value(word) if is_first and accounts.NAME.fullmatch(word.lower()) else HIDDEN
            is_first = False
    if len(words) > WORDS_MAX:
        yield HIDDEN


def _value(text: str) -> str:
    return HIDDEN if PREFIX in text else readable(cut(text, WORD_CHARS))
