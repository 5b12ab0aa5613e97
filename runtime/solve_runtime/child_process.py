"""A child process that takes one task and answers in lines of JSON, and that ends with its parent.

The task goes through a pipe, since it holds secrets. Standard input that closes tells the child that its parent is
gone, or wants no more of it.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

LINE_LIMIT = 2**24


class ChildEnded(Exception):
    """A child ended with this status; below 0, by that signal."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the process ended with status {status}")
        self.status = status


async def answers(module: str, task: dict[str, Any], *, grace_s: float = 0.0) -> AsyncGenerator[dict[str, Any], None]:
    """What the module says of the task. Whoever stops listening gives it `grace_s` to clean up. Raises ChildEnded."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module,
        stdin=PIPE, stdout=PIPE, limit=LINE_LIMIT,
        start_new_session=True,  # Ctrl-C ends the parent, and that ends its children
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    try:
        with suppress(ConnectionError):  # it ended at once, and its status says how
            process.stdin.write(json.dumps(task).encode() + b"\n")
            await process.stdin.drain()
        async for line in process.stdout:
            yield json.loads(line)
        if status := await process.wait():
            raise ChildEnded(status)
    finally:
        await _end(process, grace_s)


async def _end(process: Process, grace_s: float) -> None:
    try:
        if process.returncode is None and grace_s and process.stdin:
            process.stdin.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def read_task() -> tuple[dict[str, Any], asyncio.StreamReader]:
    """In a child: its task, and standard input, whose end is the end of the parent's interest."""
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return json.loads(await reader.readline()), reader


def say(**words: Any) -> None:
    """In a child: writes one line to the parent."""
    print(json.dumps(words, default=str), flush=True)  # noqa: T201 - the parent reads it
