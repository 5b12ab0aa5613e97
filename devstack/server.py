"""One server process: started, waited for, stopped, killed and paused. It keeps its port over restarts."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, ClassVar

import psutil

from devstack.errors import StackError
from devstack.ports import HOST, free_port

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.05
LOG_TAIL_LINES = 8
PR_SET_PDEATHSIG = 1


def finish(words: list[str], user: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs one of a server's tools to its end, as whom it may have to be. Every user sees words, but not variables."""
    environment = os.environ | variables
    return subprocess.run(words, check=False, capture_output=True, text=True, user=user, cwd="/", env=environment)


class Server(ABC):
    """One server in a folder of its own. Not safe for use by two threads."""

    name: ClassVar[str]
    stop_signal: ClassVar[int] = signal.SIGTERM

    def __init__(self, folder: Path, port: int | None = None, *, outlive_owner: bool = False) -> None:
        """`outlive_owner`: goes on when the process that started it ends; otherwise it is stopped with it."""
        self.folder = folder.absolute()
        self.port = port or free_port()
        self.log_file = self.folder / f"{self.name}.log"
        self._outlive_owner = outlive_owner
        self._popen: subprocess.Popen[bytes] | None = None
        self._process: psutil.Process | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What to run."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it does its work by now."""

    @abstractmethod
    def url(self) -> str:
        """Where clients find it."""

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Makes what must exist before the first start."""

    def run_as(self) -> str | None:
        """The system user to run as, None for our own."""
        return None

    @property
    def pid(self) -> int:
        """The main process. Raises StackError where it does not run."""
        if not self.running():
            raise StackError(f"{self.name} does not run; see {self.log_file}")
        assert self._process is not None  # noqa: S101 - running() says so
        return self._process.pid

    def running(self) -> bool:
        """Whether the process is there (also when paused)."""
        if self._popen is not None:
            self._popen.poll()  # takes a dead child off the process table
        if self._process is None:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        return False

    def start(self) -> None:
        """Starts it and waits until it answers. Raises StackError."""
        if self.running():
            raise StackError(f"{self.name} runs already, process {self.pid}, port {self.port}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self._refuse_taken_port()
        with self.log_file.open("ab") as log:
            self._popen = self._spawn(log)
        self._process = psutil.Process(self._popen.pid)
        self._wait_until_it_answers()

    def adopt(self, pid: int, created_at: float) -> bool:
        """Takes over a process that another command started; False where that process is gone (a reused pid, too)."""
        try:
            process = psutil.Process(pid)
        except psutil.NoSuchProcess:
            return False
        if abs(process.create_time() - created_at) > 1:
            return False
        self._process = process
        return self.running()

    def identity(self) -> tuple[int, float]:
        """Process id and when it began, in epoch seconds: together they name one process."""
        assert self._process is not None  # noqa: S101 - asked of running servers
        return self.pid, self._process.create_time()

    def stop(self) -> None:
        """Ends it in its own clean way; by force after half a minute."""
        if not self.running():
            return
        assert self._process is not None  # noqa: S101
        with contextlib.suppress(psutil.NoSuchProcess):
            self.resume()
            self._process.send_signal(self.stop_signal)
            self._wait_until_gone(STOP_TIMEOUT_S)
        if self.running():
            self.kill()

    def kill(self) -> None:
        """SIGKILL to it and all its children."""
        with contextlib.suppress(psutil.NoSuchProcess, StackError):  # it may be gone
            psutil.wait_procs(self._signal_family(signal.SIGKILL), timeout=STOP_TIMEOUT_S)
        self._wait_until_gone(STOP_TIMEOUT_S)

    def pause(self) -> None:
        """SIGSTOP to it and its children: alive, but silent."""
        self._signal_family(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to it and its children."""
        self._signal_family(signal.SIGCONT)

    def _signal_family(self, number: int) -> list[psutil.Process]:
        main = psutil.Process(self.pid)
        family = [main, *main.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return family

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        libc = ctypes.CDLL(None) if sys.platform == "linux" and not self._outlive_owner else None

        def end_with_owner() -> None:
            if libc is not None:
                libc.prctl(PR_SET_PDEATHSIG, self.stop_signal)

        return subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            user=self.run_as(),
            start_new_session=True,  # a Ctrl-C in the terminal is for the command, not for its servers
            env={name: value for name, value in os.environ.items() if not name.startswith(("PG", "KAFKA_"))},
            preexec_fn=end_with_owner,  # noqa: PLW1509 - the library is loaded before the fork
        )

    def _refuse_taken_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, self.port))
            except OSError as error:
                raise StackError(
                    f"{self.name}: port {self.port} is in use by another program; stop that, or start with --fresh"
                ) from error

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            ended = not self.running()
            if ended or time.monotonic() > deadline:
                self.kill()
                what = "ended while starting" if ended else f"did not answer within {START_TIMEOUT_S:.0f} s"
                raise StackError(f"{self.name} {what}; its log {self.log_file} says:\n{self._log_tail()}")
            time.sleep(POLL_S)

    def _wait_until_gone(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while self.running() and time.monotonic() < deadline:
            time.sleep(POLL_S)
        if self._popen is not None:
            # takes it off the process table; a Java's first thread is a zombie for as long as its others end
            patience_s = POLL_S if self.running() else timeout_s
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout=patience_s)

    def _log_tail(self) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
