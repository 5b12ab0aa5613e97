"""Text of any origin at a terminal: printed as it is written, steering nothing, ending no command.

Names come from judges, reasons from admins, paths from anybody. (V1.2.1, V16.4.1)
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from solve_runtime.text import is_readable
from tests.api.cli.test_serve import served
from tests.events import registered, solved
from tests.projector.dead_letters import add_dead_letters
from tests.test_command_lines import Done, done
from tests.world import World

MARKUP = ("[/x]closing", "[green]two-sum", "[link=https://x]y[/link]", ":smile: \\[", "a\u202etxt.exe")
TITLE = "\x1b]0;PWNED\x07"
STEERS = f"{TITLE}\x9b2J\u2028\u2066\u3164\u2800\U000e0100\r\n"
ROOT = Path(__file__).parents[1]


def unprintable(found: Sequence[Done]) -> list[tuple[str, str]]:
    """Characters that a terminal would act on, and the commands that printed them."""
    return [
        (one.command, ascii(character))
        for one in found
        for character in one.out + one.err
        if not is_readable(character) and character != "\n"
    ]


async def test_no_name_is_markup_and_none_steers_a_terminal(world: World) -> None:
    for number, name in enumerate(MARKUP):
        await world.publish([registered(name, username=name), solved(name, name, name, number), solved(name, "?", "p")])
    await world.run_once()
    (letter,) = await add_dead_letters(world, [registered("u")], detail=STEERS, key=STEERS.encode())
    await world.fetch("UPDATE users SET username = $1 WHERE user_id = $2", STEERS, MARKUP[1])
    await world.fetch("UPDATE users SET problems_solved = 7 WHERE user_id = $1", MARKUP[0])
    drifted = [
        "solve-projector replay --dry-run",
        "solve-projector replay --dry-run --json",
        "solve-projector replay --user [/x]closing",
    ]
    others = [
        "solve-projector top",
        "solve-projector top --json",
        "solve-projector user [/x]closing",
        "solve-projector user [green]two-sum",
        "solve-projector user nobody\x1b]0;PWNED\x07",
        "solve-projector replay --as-of 2027-01-01T00:00:00Z",
        "solve-projector dead-letters list",
        "solve-projector dead-letters list --parked",
        "solve-projector dead-letters list --parked --user ?",
        f"solve-projector dead-letters show {letter}",
        f"solve-projector dead-letters discard {letter} --by [/x]{TITLE} --why [/y]{TITLE}",
        "solve-projector dead-letters list --all",
        "solve-projector lag",
        "solve-projector lag --fail-over [/x]\x07",
        f"solve-projector top --{TITLE}",
        f"solve-projector {TITLE}",
        f"solve-producer publish {TITLE}.ndjson",
        f"solve-producer import clics {TITLE}.ndjson",
        f"solve-api admin disable {TITLE}",
    ]
    found = {one.command: one for one in await done(world, [*drifted, *others], COLUMNS="200")}
    assert [one for one in found.values() if not isinstance(one.status, int)] == []
    assert unprintable(list(found.values())) == []
    assert [found[one].status for one in drifted[:2]] == [3, 3]
    shown = found["solve-projector top"].out
    assert [name for name in MARKUP if name.replace("\u202e", r"\u202e") not in shown] == []
    assert r"\x1b]0;PWNED\x07\x9b2J\u2028\u2066\u3164\u2800\U000e0100\r\n" in shown


@pytest.mark.parametrize(
    "line",
    [
        "print(name)",
        "import sys; sys.stdout.write(name)",
        "import typer; typer.echo(name)",
        "from rich.console import Console; Console().print(name)",
        "from rich.text import Text; Text.from_markup(name)",
        "from rich import print as show; show(name)",
    ],
)
@pytest.mark.parametrize("module", ["projector/solve_projector/cli/users.py", "bench/demo.py"])
def test_no_module_can_print_past_the_one_way(line: str, module: str) -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("ruff"), "check", "--select", "T20,TID251", "--stdin-filename", module, "-"],
        input=line, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 1, checked.stderr
    assert "T201" in checked.stdout or "print through solve_runtime.console" in checked.stdout


def test_the_traceback_of_a_bug_steers_no_terminal() -> None:
    """The interpreter prints it, when a program has ended."""
    code = f"""
import sys, types, typer
from solve_runtime.console import Program, command_line
module = types.ModuleType("commands")
module.app = command_line("A program.")
@module.app.command("work")
def work(): raise ZeroDivisionError({STEERS!r})
module.app.command("other")(lambda: None)
sys.modules["commands"], sys.argv = module, ["solve-test", "work"]
Program("solve-test", "commands").run()
"""
    ended = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert r"ZeroDivisionError: \x1b]0;PWNED\x07" in ended.stderr
    assert all(is_readable(character) or character == "\n" for character in ended.stderr), ascii(ended.stderr)


async def test_no_request_steers_the_terminal_of_whoever_serves_it_or_fills_the_log(world: World) -> None:
    async with served(world, "--json", SOLVE_LOG_FORMAT="console", SOLVE_LOG_LEVEL="INFO") as process:
        assert process.stdout
        address = json.loads(await process.stdout.readline())["url"]
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            for path in (
                "/api/admin/jobs/%1b%5D0;PWNED%07",
                "/api/admin/jobs/1%C2%9B2J%E2%80%AE%E3%85%A4",
                f"/api/admin/{'x' * 20_000}",
            ):
                wrong = {
                    "Authorization": "Bearer sct_\N{LATIN SMALL LETTER E WITH ACUTE}".encode(),
                    "User-Agent": b"\xc2\x9b2J",
                }
                assert (await client.get(path, headers=wrong)).status_code in {401, 404}
        process.terminate()
        _, err = await process.communicate()
    assert b"PWNED" in err
    assert len(err) < 10_000
    assert [ascii(one) for one in err.decode() if not is_readable(one) and one != "\n"] == []
