"""Records commands under `admin` that were refused before they could be run: an unknown option, a missing argument.

Their error is printed first, and stays the result: without PostgreSQL there is no row. Of what was typed, the row has
the first word and the values of options that the command has, if they look like names, or are digits where a number is
asked for. Anything else may be a password typed in the wrong place.
"""

import asyncio
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from solve_api.identity import accounts, audit
from solve_api.identity.actors import Actor
from solve_api.settings import ApiSettings
from solve_projector.store.command_session import command_session
from solve_projector.store.postgresql import DATABASE_ERRORS
from solve_runtime.console import run_async
from solve_runtime.errors import SolveCountsError
from solve_runtime.logs import configure_logs
from solve_runtime.system_user import claimed_users, system_user

GROUP = "admin"
ACTION = "refused-command"
PATIENCE_S = 5.0
WORDS_MAX = 20
DIGITS = re.compile("[0-9]{1,19}")
HIDDEN = "(not recorded)"


def record_refused_command(error: Any, program: Any) -> None:
    """Records what the program's command line could not be parsed for, if it was for one of ours, with PostgreSQL."""
    words, command, typed = _parsed(program, sys.argv[1:])
    if words[:1] != [GROUP] or not (words[1:] or typed):
        return
    detail = {
        "command": " ".join(words),
        "typed": " ".join(recorded_words(typed, command.params)),
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


def _parsed(program: Any, words: Sequence[str]) -> tuple[list[str], Any, list[str]]:
    """The words of the command as far as there is one, that command, and what was typed besides.

    Not every error knows its command.
    """
    found: list[str] = []
    command, besides, left = program, list[str](), list(words)
    while left and hasattr(command, "commands"):
        word = left.pop(0)
        if word in command.commands:
            command = command.commands[word]
            found.append(word)
        else:
            besides.append(word)
            if not word.startswith("-"):  # no command of ours
                break
    return found, command, besides + left


def recorded_words(words: Sequence[str], parameters: Sequence[Any]) -> Iterator[str]:
    """What was typed after a command with these parameters, without what may be a secret."""
    options = {option: one for one in parameters if hasattr(one, "is_flag") for option in one.opts}
    arguments = [one for one in parameters if not hasattr(one, "is_flag")]
    pending, is_first = None, True
    for word in words[:WORDS_MAX]:
        name, has_value, value = word.partition("=")
        if name in options:
            yield f"{name}={_value(value, options[name])}" if has_value else name
            pending = None if has_value or options[name].is_flag else options[name]
        elif pending:
            yield _value(word, pending)
            pending = None
        else:
            yield _value(word, arguments[0] if arguments else None) if is_first else HIDDEN
            is_first = False
    if len(words) > WORDS_MAX:
        yield HIDDEN


def _value(text: str, parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return HIDDEN
    is_number = parameter is not None and parameter.type_descriptor.annotation is int
    kept = DIGITS.fullmatch(text) if is_number else accounts.seems_name(text)
    return text if kept else HIDDEN
