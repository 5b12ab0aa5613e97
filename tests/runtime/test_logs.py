"""Logs that say enough, and not too much, to machines and to people."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest
import structlog
from pydantic import ValidationError

from solve_projector.settings import ProjectorSettings
from solve_runtime.logs import configure_logs
from solve_runtime.text import is_readable
from tests.events import registered, solved
from tests.world import World


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("debug", "DEBUG"),
        ("INFO", "INFO"),
        ("WARN", "WARNING"),
        ("warn", "WARNING"),
        ("Warning", "WARNING"),
        ("error", "ERROR"),
        ("critical", "CRITICAL"),
    ],
)
def test_a_level_is_known_in_either_case(written: str, meant: str) -> None:
    assert ProjectorSettings.model_validate({"log_level": written}).log_level == meant


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="log_level"):
        ProjectorSettings.model_validate({"log_level": "loud"})


async def test_a_batch_is_one_line_at_debug_and_names_nobody(world: World) -> None:
    await world.publish(
        [registered("u-name"), solved("s-name", "u-name", "p-name"), solved("s2", "unregistered", "p")], 0
    )
    async with world.process("run", "--once", SOLVE_LOG_LEVEL="debug") as process:
        _, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == 0, log
    lines = [json.loads(line) for line in log.splitlines()]
    (applied,) = [line for line in lines if line.get("action") == "applied"]
    assert applied["level"] == "debug"
    assert applied["topic"] == world.connection.topic
    assert applied["ranges"] == {"0": [0, 3]}
    assert {name: applied[name] for name in ("records", "verdicts", "registered", "parked", "dead_letters")} == {
        "records": 3,
        "verdicts": 1,
        "registered": 1,
        "parked": 1,
        "dead_letters": 0,
    }
    assert applied["postgresql_s"] > 0
    (set_aside,) = [line for line in lines if line.get("action") == "set_aside"]
    assert (set_aside["level"], set_aside["parked"]) == ("warning", 1)
    ours = [json.dumps(line) for line in lines if not str(line.get("logger", "")).startswith(("aiokafka", "asyncio"))]
    assert [line for line in ours if "-name" in line or "unregistered" in line] == []


async def test_a_batch_is_no_line_by_default(world: World) -> None:
    await world.publish([registered("u"), solved("1", "u", "p")])
    async with world.process("run", "--once") as process:
        _, log = await process.output  # type: ignore[attr-defined]
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"assigned", "applied"} & {line["action"] for line in lines} == {"assigned"}


@pytest.fixture
def configured() -> Iterator[None]:
    """What was configured before the test comes back."""
    handlers, level = logging.root.handlers, logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers = handlers
    logging.root.setLevel(level)


@pytest.mark.usefixtures("configured")
def test_a_terminal_gets_lines_for_people_and_a_file_gets_json(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    for terminal in (False, True):
        monkeypatch.setattr(errors, "isatty", lambda terminal=terminal: terminal)
        configure_logs("INFO", "auto")
        structlog.get_logger().info("something", action="some", offset=7)
        logging.getLogger("a library").warning("of its own")
    ours, theirs, *people = errors.getvalue().splitlines()
    assert json.loads(ours)["offset"] == 7
    assert json.loads(theirs)["event"] == "of its own"
    assert all("{" not in line for line in people)
    assert "something" in people[0]
    assert "of its own" in people[1]


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("logger", ["ours", "a library's"])
def test_a_traceback_shows_no_variables(form: str, logger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logs("INFO", form)  # type: ignore[arg-type]

    def fail(password: str) -> None:
        raise ValueError(f"of {len(password)} characters")

    try:
        fail("hunter" + "2")
    except ValueError:
        if logger == "ours":
            structlog.get_logger().exception("failed")
        else:
            logging.getLogger("some.library").exception("failed")
    assert "ValueError: of 7 characters" in written.getvalue()
    assert "in fail" in written.getvalue()
    assert "hunter2" not in written.getvalue()


HOSTILE = "\x1b]0;PWNED\x07\x9b2J\u202e\u2028\u2066\u3164\u2800\ufe0f\ud800\nforged level=error"


@pytest.mark.usefixtures("configured")
def test_right_to_left_turns_nothing_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logs("INFO", "console")
    structlog.get_logger().info("\u05d0\u05d1", who="\u05d2", both="\u05d3 \u05d4", status=7)
    logging.getLogger("uvicorn.error").warning("\u05d0 %s", 7)
    for line in written.getvalue().splitlines():
        outside = "".join(re.split("\u2068[^\u2068\u2069]*\u2069", line))
        assert outside.isascii(), ascii(line)
        assert "\u2068" in line


class Odd:
    """Of a library, with a text of its own."""

    def __repr__(self) -> str:
        return HOSTILE


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("form", ["json", "console"])
def test_whatever_a_line_quotes_it_stays_one_line_and_steers_no_terminal(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logs("INFO", form)  # type: ignore[arg-type]
    ours, theirs = structlog.get_logger(), logging.getLogger("uvicorn.error")
    ours.info(HOSTILE, path=HOSTILE, odd=Odd(), some=[HOSTILE, {HOSTILE: Odd()}], **{HOSTILE: 1})
    theirs.warning("%s", HOSTILE)
    assert len(written.getvalue().splitlines()) == 2
    for logger in (ours, theirs):
        try:
            raise ValueError(HOSTILE)  # noqa: TRY301
        except ValueError:
            logger.exception("failed")
    assert [ascii(one) for one in written.getvalue() if not is_readable(one) and one != "\n"] == []
    assert written.getvalue().count("PWNED") >= 8
    if form == "json":
        assert written.getvalue().isascii()
        assert json.loads(written.getvalue().splitlines()[0])["path"] == HOSTILE


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("form", ["json", "console"])
def test_no_line_grows_with_what_somebody_sent(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logs("INFO", form)  # type: ignore[arg-type]
    long = "x" * 20_000
    structlog.get_logger().info("asked", path=long, headers={long: [long] * 2}, **{long: 1})
    logging.getLogger("aiokafka").critical("Request %s", long)
    assert [line for line in written.getvalue().splitlines() if len(line) > 5_000] == []
    assert "20000 characters in all" in written.getvalue()
    try:
        raise ValueError(long)  # noqa: TRY301
    except ValueError:
        logging.getLogger("of.a.library").exception("failed")
    assert len(written.getvalue()) < 10_000
    assert "ValueError: xxx" in written.getvalue()


class FullDisk(io.StringIO):
    """As `/dev/full`."""

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("form", ["json", "console"])
def test_nothing_fails_over_a_line_that_cannot_be_written(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", FullDisk())
    monkeypatch.setattr(logging, "raiseExceptions", False)  # the library says so on the same stream
    configure_logs("INFO", form)  # type: ignore[arg-type]
    structlog.get_logger().error("lost", action="lost")
    logging.getLogger("a library").error("lost")
