"""The one console: errors, settings in words, safe text and quiet bars."""

import asyncio
import json
import os
import re
import signal
import sys
import unicodedata
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError
from rich.cells import cell_len

from solve_api.settings import ApiSettings
from solve_runtime.console import (
    Bars,
    Program,
    command_line,
    print_json,
    print_lines,
    print_table,
    progress_bar,
    run_async,
    table,
    whole,
)
from solve_runtime.errors import SolveCountsError
from solve_runtime.kafka_settings import KafkaConnection
from solve_runtime.settings import Settings, settings_problems
from solve_runtime.text import is_readable, readable

# pydantic's own words, and what only a programmer reads
FOREIGN = re.compile(r"Input should|String should|Value error|valid integer|parse|pattern|\^|\\|\[type=|'")


def ending(work: Callable[[], object], explain: object = None, **options: Any) -> int | str | None:
    """The exit status of a program of one command."""
    app = command_line("A program.")
    app.command("work")(work)
    app.command("other")(lambda: None)
    module = ModuleType("commands_of_a_test")
    vars(module).update(app=app, explain=explain)
    sys.modules[module.__name__] = module
    sys.argv = ["solve-test", "work"]
    with pytest.raises(SystemExit) as end:
        Program("solve-test", module.__name__, **options).run()
    return end.value.code


@pytest.fixture(autouse=True)
def arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)


def raising(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_an_error_of_ours_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(raising(SolveCountsError("the log is gone;\n  make it again"))) == 1
    assert capsys.readouterr() == ("", "solve-test: the log is gone; make it again\n")


def test_of_a_group_of_errors_ours_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    group = BaseExceptionGroup("tasks", [ValueError("bug"), ExceptionGroup("more", [SolveCountsError("act")])])
    assert ending(raising(group)) == 1
    assert capsys.readouterr().err == "solve-test: act\n"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        ending(raising(ZeroDivisionError()))


def test_an_error_of_a_driver_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(raising(ConnectionResetError("peer")), explain=lambda error: f"PostgreSQL: {error}") == 1
    assert capsys.readouterr().err == "solve-test: PostgreSQL: peer\n"


def test_a_file_that_cannot_be_opened_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(lambda: open("no-such-file")) == 1  # noqa: PTH123, SIM115 - it is not there
    assert capsys.readouterr().err == "solve-test: no-such-file: No such file or directory\n"


def test_a_missing_extra_is_named_and_a_missing_module_of_ours_is_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    missing = ModuleNotFoundError("No module named 'asyncpg'", name="asyncpg")
    assert ending(raising(missing), extra="projector") == 1
    assert capsys.readouterr().err == (
        "solve-test: needs the extra `projector`; install it: pip install 'solve-counts[projector]'\n"
    )
    with pytest.raises(ModuleNotFoundError):
        ending(raising(ModuleNotFoundError(name="solve_projector.typo")), extra="projector")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_with_130(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    async def waits() -> None:
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()

    work: Callable[[], Coroutine[Any, Any, None]] = waits
    assert ending(lambda: run_async(work), interrupted="interrupted; run it again") == 130
    assert capsys.readouterr().err == "solve-test: interrupted; run it again\n"


@pytest.mark.parametrize("settings", [KafkaConnection, ApiSettings])
def test_every_setting_is_refused_in_words_by_the_name_of_its_variable(
    settings: type[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in settings.variables().values():
        for value in ("\x07 no *", "", "-1", "nan", "99999999999999999999", "1.5"):
            with monkeypatch.context() as environment:
                environment.setenv(variable, value)
                try:
                    settings()
                except ValidationError as error:
                    (said,) = settings_problems(error)
                    assert said.startswith(("SOLVE_", "KAFKA_", "DATABASE_", "REDIS_")), said
                    assert not FOREIGN.search(said), said
                    assert "cannot be used" not in said, (variable, value)


def test_a_kind_of_error_without_words_still_names_the_setting() -> None:
    class Odd(BaseModel):
        number: int = Field(multiple_of=7)

    with pytest.raises(ValidationError) as found:
        Odd(number=8)
    assert settings_problems(found.value) == ["number has a value that cannot be used"]


def test_text_from_outside_cannot_steer_a_terminal() -> None:
    assert readable("\x1b[2J\u202eé") == r"\x1b[2J\u202eé"
    assert readable(b"\xffa\n") == r"\xffa\n"


@pytest.mark.parametrize(
    "without_ink",
    "\u3164\u115f\u1160\uffa0\u034f\ufe00\ufe0f\u17b4\u17b5\u2800\u180b\u180f\u00ad\u200b\u2065\ufff0"
    "\U0001d159\U0001d173\U00016fe4\U000e0041\U000e0100\U000e01ef",
)
def test_a_letter_without_ink_is_escaped(without_ink: str, capsys: pytest.CaptureFixture[str]) -> None:
    spelled = without_ink.encode("unicode_escape").decode()
    assert readable(f"ada{without_ink}") == f"ada{spelled}"
    shown = table("user")
    shown.add_row(f"ada{without_ink}")
    print_table(shown)
    assert f"ada{spelled}" in capsys.readouterr().out


NAMES = (
    "Zoë",
    unicodedata.normalize("NFD", "Nguyễn Việt Ộ"), "สวัสดีที่น้ำ", "नमस्ते क्ष्म्य", "မြန်မာ့ ဗုဒ္ဓ", "ខ្មែរ ស្ត្រី", "བསྒྲུབས", "가각",
    "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "\u0645\u064f\u062d\u064e\u0645\u0651\u064e\u062f", "1\u20e3",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_ordinary_names_stay_readable(name: str) -> None:
    assert readable(name) == name


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("\u0338x", ""),  # over what stands before
        (" \u0301", " "),
        ('"\u0336', '"'),
        ("a" + "\u0301\u0302" * 20, "a\u0301\u0302\u0301\u0302"),
        ("\u0e01" + "\u0e47" * 20, "\u0e01\u0e47"),
        ("\u0e01" + "\u0e47\u0e34" * 20, "\u0e01" + "\u0e47\u0e34" * 3),
        ("a\u20dd", "a"),  # an enclosing circle
        ("a\u035c", "a"),  # over the next letter, which is of somebody else
        ("ada\ufffc", "ada"),
        ("a\u1039\u17d2b", "a"),
        ("\u1780\u17d2", "\u1780"),
        ("\u1780" + "\u17d2\u1780" * 9, "\u1780" + "\u17d2\u1780" * 2),
    ],
)
def test_a_mark_that_belongs_to_no_letter_is_escaped_and_so_is_one_too_many(text: str, kept: str) -> None:
    shown = readable(text)
    assert shown.startswith(kept + "\\") or shown == kept + text[len(kept) :].encode("unicode_escape").decode()
    assert shown[len(kept)] == "\\"
    assert not [one for one in shown[len(kept) :] if unicodedata.combining(one) or one == "\ufffc"]


def test_right_to_left_turns_nothing_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    hebrew, arabic = "\u05d0\u05d1\u05b8", "\u0639\u0661\u0662"
    shown = table("rank", "user", "solves")
    shown.add_row("1", f"{hebrew} x", "15")
    shown.add_row("2", arabic * 30, "14")
    print_table(shown)
    print_lines(f"{hebrew} 15 {arabic} 3")
    print_lines(f"{hebrew}: 2", to_errors=True)
    out, err = capsys.readouterr()
    for line in [*out.splitlines(), err]:
        turned = "".join(re.split("\u2068[^\u2068\u2069]*\u2069", line))
        assert all(unicodedata.bidirectional(one) not in {"R", "AL", "AN"} for one in turned), ascii(line)
    assert f"\u2068{hebrew}\u2069 15 \u2068{arabic}\u2069 3" in out
    header, first = out.splitlines()[:2]
    assert cell_len(first[: first.index("15")]) == header.index("solves")


def test_a_name_that_ends_with_a_space_is_not_another_one(capsys: pytest.CaptureFixture[str]) -> None:
    shown = table("user", "solves")
    shown.add_row("ada", "1")
    shown.add_row("ada  ", "2")
    print_table(shown)
    assert r"ada\x20\x20" in capsys.readouterr().out


@given(st.text() | st.text(st.sampled_from("a1 \u0301\u0336\u20dd\u035c\u1780\u17d2\u17b6\u0e47\ufffc\x1b")))
def test_what_is_readable_stays_as_it_is_and_all_else_becomes_so(text: str) -> None:
    assert is_readable(readable(text))
    assert (readable(text) == text) == is_readable(text)


def test_json_is_one_line_of_ascii_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"é": "\ud800", "😀\u202e": "\x1b\x7f\x9b\u2028"}
    print_json(value)
    out = capsys.readouterr().out
    assert out.isascii()
    assert out[:-1].isprintable()
    assert json.loads(out) == value


def test_a_bars_description_is_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("[/x]\x1b]0;title\x07", 1) as advance:
        advance(1)
    err = capsys.readouterr().err
    assert r"[/x]\x1b]0;title\x07" in err
    assert "\x1b]" not in err


def test_bars_say_nothing_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars() as bars:
        bars("reading", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_table_folds_text_and_keeps_ids_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown = table(whole("id"), "text")
    shown.add_row("x" * 60, "y" * 60)
    print_table(shown)
    out = capsys.readouterr().out
    assert "x" * 60 in out
    assert out.count("y") == 60
    assert "…" not in out


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "")
    shown = table("status")
    shown.add_row("[red]OK")
    print_table(shown)
    assert "\x1b" not in capsys.readouterr().out
