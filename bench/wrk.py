"""Runs `wrk` from one thread with a few connections, and reads its figures."""

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.processes import Running

CONNECTIONS = 16
MISSING = "bench: wrk is needed to ask fast enough, and is not on the PATH; on Debian: apt-get install wrk"


@dataclass(frozen=True)
class Answered:
    """One measure."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float  # of the server's process, for each request


def require_wrk() -> None:
    """Ends with what to install where it is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit(MISSING)


async def drive(server: Running, path: str, users: int, seconds: int) -> Answered:
    """Asks for a page of random users; any answer that is an error ends the bench."""
    return await run_script(server, "wrk.lua", [str(users), path], seconds)


async def run_script(
    server: Running, script: str, arguments: list[str], seconds: int, connections: int = CONNECTIONS
) -> Answered:
    """Runs a script of wrk; any answer that is an error ends the bench."""
    words = ["-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(Path(__file__).with_name(script)), server.url]
    began = server.cpu_seconds()
    process = await asyncio.create_subprocess_exec(
        "wrk", *words, "--", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, said = await process.communicate()
    cpu_s = server.cpu_seconds() - began
    if process.returncode:
        raise SystemExit(f"wrk ended with {process.returncode}: {(out + said).decode()[-500:]}")
    found = json.loads(said)
    if found["failed"] or not found["requests"]:
        raise SystemExit(f"{script}: {found['failed']} of {found['requests']} answers were errors\n{out.decode()}")
    return Answered(
        found["requests"] / found["seconds"], found["p50_ms"], found["p99_ms"], cpu_s * 1000 / found["requests"]
    )
