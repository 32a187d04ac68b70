"""Processes end by themselves with their exit code, or all together; none is begun after that."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.processes import TAIL, Processes, Stopped, last_line, said

WAITS = "import sys, time; print('begun', flush=True); time.sleep(60)"


def command(code: str) -> list[str]:
    """A process of Python."""
    return [sys.executable, "-c", code]


def test_a_process_ends_with_its_exit_code_and_what_it_printed(tmp_path: Path) -> None:
    """Both streams, in its folder, with its variables, and a pipe of ours as its input."""
    code = (
        "import os, stat, sys; "
        "print(os.getcwd(), os.environ['MORE'], os.environ['HARNESS_ENDS_WITH_PARENT'], flush=True); "
        "sys.exit(f'pipe {stat.S_ISFIFO(os.fstat(0).st_mode)}')"
    )
    log = tmp_path / "log"
    assert Processes().run(command(code), log, {"MORE": "7"}, tmp_path) == 1
    assert said(log).splitlines() == [f"{tmp_path} 7 1", "pipe True"]
    assert last_line(said(log)) == "pipe True"
    killed = "import os; os.kill(os.getpid(), 9)"
    assert Processes().run(command(killed), log, {}) == -signal.SIGKILL
    assert last_line(said(log)) == "it printed nothing"


def test_the_end_of_what_was_printed_is_told(tmp_path: Path) -> None:
    """A process may print without end."""
    log = tmp_path / "log"
    log.write_bytes(b"\xff" * 10 * TAIL + b"last\n \n")
    assert last_line(said(log)).endswith("last")
    assert len(said(log)) == TAIL


def test_all_end_together_and_none_is_begun_any_more(tmp_path: Path) -> None:
    """As SIGTERM ends them; whoever asks for another then is told."""
    processes, codes = Processes(), list[int]()
    logs = [tmp_path / name for name in "ab"]
    threads = [
        threading.Thread(target=lambda log=log: codes.append(processes.run(command(WAITS), log, {})))
        for log in logs
    ]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 30
    while not all(log.is_file() and "begun" in said(log) for log in logs) and time.monotonic() < end:
        time.sleep(0.01)
    processes.stop()
    for thread in threads:
        thread.join(20)
    assert codes == [-signal.SIGTERM] * 2
    with pytest.raises(Stopped):
        processes.run(command("open('made', 'w')"), tmp_path / "c", {}, tmp_path)
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "c").exists()
