"""Structured logs on standard error: JSON for machines, readable lines in a terminal. Never a secret (I12).

A line may quote anything: a path, a name, a driver's message. So each key and text is cut, in a terminal escaped, and
JSON is ASCII.
"""

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

from solve_runtime.text import cut, isolated, readable

LONGEST = 500  # characters of a text, and of a line of a traceback
MOST = 100  # items of a list, keys of an object; lines of a traceback, the last ones
DEEPEST = 4
TRACEBACKS = ("exception", "stack")


class _Stream:
    """A stream whose disk may be full and whose reader may be gone: no request and no batch fails over a log line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Writes, or loses, the text."""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flushes what can be."""
        with suppress(OSError):
            self._stream.flush()


def configure_logs(level: str, form: Literal["auto", "json", "console"]) -> None:
    """Configures structlog and the standard library alike; `auto` is readable in a terminal and JSON elsewhere."""
    to_terminal = form == "console" or (form == "auto" and sys.stderr.isatty())
    colors = to_terminal and sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Processor] = [
        # not the console's own tracebacks: those show variables, and one may be a password (I12)
        structlog.processors.format_exc_info,
        _cut,
    ]
    if to_terminal:
        rendering += [
            _escape,
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
            lambda _, __, line: isolated(str(line)),
        ]
    else:
        rendering.append(structlog.processors.JSONRenderer(ensure_ascii=True))
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Stream(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(level)
    # the client reports each retry as an ERROR; our lines say what follows from it
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL if level != "DEBUG" else logging.DEBUG)


def _cut(_: Any, __: str, event: EventDict) -> EventDict:
    """No line grows with what somebody sent."""
    tracebacks = {name: _last_lines(event.pop(name)) for name in TRACEBACKS if event.get(name)}
    return {**_short(event, 0), **tracebacks}


def _short(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping) and depth < DEEPEST:
        return {cut(str(key), LONGEST): _short(one, depth + 1) for key, one in list(value.items())[:MOST]}
    if isinstance(value, list | tuple | set | frozenset) and depth < DEEPEST:
        return [_short(one, depth + 1) for one in list(value)[:MOST]]
    return cut(value if isinstance(value, str) else repr(value), LONGEST)


def _last_lines(trace: str) -> str:
    return "\n".join(cut(line, LONGEST) for line in trace.split("\n")[-MOST:])


def _escape(_: Any, __: str, event: EventDict) -> EventDict:
    """No text steers a terminal, and none but a traceback has a second line."""
    tracebacks = {name: "\n".join(map(readable, event.pop(name).split("\n"))) for name in TRACEBACKS if event.get(name)}
    return {**_readable(event), **tracebacks}


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, Mapping):
        return {readable(name): _readable(one) for name, one in value.items()}
    return [_readable(one) for one in value] if isinstance(value, list) else value
