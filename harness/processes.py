"""Commands as processes of their own, which end with this one: their exit code is the contract."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from harness.engines import ENDS_WITH_PARENT

TAIL = 4000
"""Bytes of what a process printed last that are told."""


class Stopped(RuntimeError):
    """No process is begun any more."""


class Processes:
    """The processes that were begun together, by any thread, and that end together."""

    def __init__(self) -> None:
        """None runs yet."""
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock, self._stopped = threading.Lock(), False

    def run(
        self, command: Sequence[str], log: Path, variables: Mapping[str, str], working: Path | None = None
    ) -> int:
        """Run a command to its end; its exit code, which is negative where a signal killed it.

        Its standard input is a pipe that this process holds, and a variable tells it so.

        Args:
            command: The program and its arguments.
            log: What it prints goes there.
            variables: Of the environment, beside those of this process.
            working: Its working folder; this process's by default.

        Raises:
            Stopped: `stop` was called before.
            OSError: it cannot be begun, or its log cannot be written.
        """
        with self._lock:
            if self._stopped:
                raise Stopped("nothing is begun any more")
            with log.open("wb") as printed:
                process = subprocess.Popen(  # noqa: S603 - our own command
                    command,
                    stdin=subprocess.PIPE,
                    stdout=printed,
                    stderr=subprocess.STDOUT,
                    cwd=working,
                    env={**os.environ, **variables, ENDS_WITH_PARENT: "1"},
                )
            self._running.add(process)
        try:
            return process.wait()
        finally:
            self._running.discard(process)
            if process.stdin is not None:
                process.stdin.close()

    @property
    def is_stopped(self) -> bool:
        """Whether none is begun any more."""
        return self._stopped

    def stop(self) -> None:
        """End those that run as SIGTERM does, and begin none any more: what they finished is kept."""
        with self._lock:
            self._stopped = True
        for process in list(self._running):
            with suppress(OSError):
                process.send_signal(signal.SIGTERM)


def said(log: Path) -> str:
    """The end of what a process printed."""
    return log.read_bytes()[-TAIL:].decode("utf-8", "replace")


def last_line(text: str) -> str:
    """The last line of what a process printed that says anything."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
