"""Runs the measured programs as processes, from the same code as the bench."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Running:
    """A server that answers at `url`."""

    url: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


async def run(*words: str) -> bytes:
    """`python -m …` to its end; what it printed."""
    async with running(*words) as process:
        return await output_of(process, *words)


async def output_of(process: asyncio.subprocess.Process, *words: str) -> bytes:
    """What a process printed until its end; one that failed ends the bench."""
    out, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with status {process.returncode}: {out.decode()[-500:]}")
    return out


@asynccontextmanager
async def running(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m …` until the end of the block."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *words, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def serving(*words: str) -> AsyncIterator[Running]:
    """A server that prints `{"url": …}` as its first line, once it answers."""
    async with running(*words) as process:
        assert process.stdout
        line = await process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(words)} did not start")
        yield Running(json.loads(line)["url"], psutil.Process(process.pid))
