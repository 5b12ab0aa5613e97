"""The programs in `examples/gateway/`, and the commands of docs/gateway.md, against a gateway that asks to wait first.

`make examples` runs the one in Go too. The one in PHP is not run.
"""

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import httpx
import pytest

from solve_gateway.tokens import add_token
from tests.gateway.serving import gateway
from tests.programs import program_of
from tests.world import World

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "gateway"
# how each is started, by its Debian package and program
RUN: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "publish.sh": ("curl", "curl", ("sh",)),
    "publish.mjs": ("nodejs", "node", ("node",)),
    "Publish.java": ("default-jdk-headless", "javac", ("java",)),  # `java` alone may be a runtime
    "publish.go": ("golang-go", "go", ("go", "run")),
}
AGAIN = (408, 503, 429)
NOT_RUN = {"publish.php"}
SLOW = set() if os.environ.get("SOLVE_TEST_EXAMPLES") else {"publish.go"}  # whose first build takes a minute


class _AsksToWait(BaseHTTPRequestHandler):
    """Before a gateway: an answer of each kind that asks to send again, then what the gateway says."""

    gateway: ClassVar[str]
    answers: ClassVar[list[int]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if len(self.answers) < len(AGAIN):
            self.answer(AGAIN[len(self.answers)], b"{}")
            return
        kept = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
        found = httpx.post(f"{self.gateway}{self.path}", content=body, headers=kept)
        self.answer(found.status_code, found.content)

    def answer(self, status: int, body: bytes) -> None:
        self.answers.append(status)
        self.send_response(status)
        if status in {429, 503}:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def asking_to_wait(address: str) -> Iterator[tuple[str, list[int]]]:
    handler = type("Handler", (_AsksToWait,), {"gateway": address, "answers": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler.answers
    finally:
        server.shutdown()
        server.server_close()


def test_every_example_is_run_or_named() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == RUN.keys() | NOT_RUN


@pytest.mark.parametrize("name", sorted(RUN.keys() - SLOW))
async def test_an_example_waits_as_it_is_asked_to_and_makes_the_count_one(
    world: World, tmp_path: Path, name: str
) -> None:
    package, program, words = RUN[name]
    program_of(package, program)
    async with gateway(world.connection, tmp_path) as served:
        with asking_to_wait(served.address) as (address, answers):
            where = {"GATEWAY_URL": address, "GATEWAY_TOKEN": add_token(served.tokens_file, "example")}
            done = await run([*words, str(EXAMPLES / name)], tmp_path, where)
            assert done.returncode == 0, done.stderr
    assert answers == [*AGAIN, 200, 200]
    totals = await world.run_once()
    assert (totals.dead_letters, await world.value("SELECT problems_solved FROM users WHERE user_id = '1'")) == (0, 1)


async def test_the_commands_of_the_page_do_what_it_says(world: World, tmp_path: Path) -> None:
    program_of("curl", "curl")
    page = (ROOT / "docs" / "gateway.md").read_text()
    (commands,) = re.findall(r"```shell\n# send\n(.*?)```", page, re.DOTALL)
    async with gateway(world.connection, tmp_path) as served:
        where = {"GATEWAY_URL": served.address, "GATEWAY_TOKEN": add_token(served.tokens_file, "page")}
        done = await run(["sh", "-c", f"set -e\n{commands}"], tmp_path, where)
    assert done.returncode == 0, done.stderr
    assert '"delivered": 2' in done.stdout
    assert (await world.run_once()).dead_letters == 0
    assert await world.value("SELECT problems_solved FROM users WHERE user_id = 'ada'") == 1


async def run(words: list[str], folder: Path, where: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The program, run to its end; Go needs no C compiler for what it does here."""
    environment = {**os.environ, "CGO_ENABLED": "0", **where}
    return await asyncio.to_thread(
        subprocess.run, words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
