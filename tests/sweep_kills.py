"""Kill what a sweep is made of, at moments spread over it, and compare its table with an unbroken one's.

`python -m tests.sweep_kills [--moments 5]`: a point's process, a worker of Dask, its scheduler, and the
command itself, by SIGKILL, on real points. After the scheduler's and the command's end the command is called
again; the others must need no call. It ends with 1 where a table differs in any digit, or a process stays.
"""

from __future__ import annotations

import argparse
import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import ROOT, Cluster, children_with
from tests.test_sweeps_dask import TINY, tiny_data

OF_THIS_TIME = ("run", "seconds", "memory_mb")
"""Columns that no two sweeps have alike."""

PATIENCE = 20.0
"""Seconds after which no process of a killed sweep may be left."""


@dataclass
class Sweeping:
    """A sweep that is killed: where it lies, on what, and what was seen."""

    folder: Path
    output: Path
    values: str
    cache: Path | None
    cluster: Cluster | None = None

    def begin(self) -> subprocess.Popen[bytes]:
        """Call the command."""
        flags = TINY | {"k": self.values, "output": self.output, "name": "kills", "jobs": 2}
        flags |= {} if self.cache is None else {"cache": self.cache}
        flags |= {} if self.cluster is None else {"on": self.cluster.engine}
        command = [sys.executable, "-m", "harness", "sweep"]
        for name, value in flags.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        variables = {**os.environ, "PYTHONPATH": str(ROOT)}
        with Path(f"{self.output}.log").open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=variables
            )

    def points(self) -> list[int]:
        """The processes that compute its points now."""
        return [number for number, text in children_with(str(self.output)).items() if "validate" in text]

    def table(self) -> list[dict[str, str]]:
        """`points.csv` without what differs from time to time."""
        with (self.output / "sweeps" / "kills" / "points.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return [{name: cell for name, cell in row.items() if name not in OF_THIS_TIME} for row in rows]

    def left(self) -> int:
        """How many of its processes are left when they had time to end."""
        end = time.monotonic() + PATIENCE
        while children_with(str(self.output)) and time.monotonic() < end:
            time.sleep(0.2)
        return len(children_with(str(self.output)))


Kill = Callable[[Sweeping, "subprocess.Popen[bytes]"], bool]


def kill_point(sweeping: Sweeping, command: subprocess.Popen[bytes]) -> bool:
    """A point's process; the first that there is from now on."""
    while command.poll() is None:
        for number in sweeping.points():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
                return True
        time.sleep(0.02)
    return False


def kill_worker(sweeping: Sweeping, command: subprocess.Popen[bytes]) -> bool:
    """One of two workers."""
    assert sweeping.cluster is not None
    sweeping.cluster.workers[0].kill()
    return command.poll() is None


def kill_scheduler(sweeping: Sweeping, command: subprocess.Popen[bytes]) -> bool:
    """The scheduler."""
    assert sweeping.cluster is not None
    sweeping.cluster.scheduler.kill()
    return command.poll() is None


def kill_command(sweeping: Sweeping, command: subprocess.Popen[bytes]) -> bool:
    """The command itself."""
    command.kill()
    return command.wait() == -signal.SIGKILL


KILLS: dict[str, Kill] = {
    "point": kill_point,
    "worker": kill_worker,
    "scheduler": kill_scheduler,
    "command": kill_command,
}


def started(folder: Path) -> Cluster:
    """Two workers of one thread."""
    folder.mkdir()
    made = Cluster(folder)
    made.add(2)
    return made


def killed(
    kind: str, sweeping: Sweeping, after: float, unbroken: list[dict[str, str]], expected: int
) -> tuple[str, bool]:
    """Kill one thing after that many seconds; what became of the sweep, and whether that is as it must be.

    Args:
        kind: What is killed.
        sweeping: The sweep, not begun.
        after: Seconds from its beginning.
        unbroken: The table that it must come to.
        expected: The exit code that it must come to.
    """
    if kind in ("worker", "scheduler"):
        sweeping.cluster = started(Path(f"{sweeping.output}-cluster"))
    try:
        command = sweeping.begin()
        with suppress(subprocess.TimeoutExpired):
            command.wait(after)
        hit, left = KILLS[kind](sweeping, command), 0
        code = command.wait(900)
        if hit and kind in ("scheduler", "command"):
            left = sweeping.left()
            if sweeping.cluster is not None:
                sweeping.cluster.close()
                sweeping.cluster = started(Path(f"{sweeping.output}-cluster-again"))
            told = f"ended with {code}, then "
            code = sweeping.begin().wait(900)
        else:
            told = ""
        same = sweeping.table() == unbroken
    finally:
        if sweeping.cluster is not None:
            sweeping.cluster.close()
    told += f"{code}; {'the same' if same else 'ANOTHER TABLE'}"
    if left:
        told += f"; {left} PROCESSES LEFT"
    if not hit:
        told += "; it had ended before"
    return told, same and not left and code == expected


def rounds(moments: int, kinds: list[str]) -> Iterator[tuple[str, int]]:
    """Every kind at the first moment, then at the next."""
    for moment in range(moments):
        for kind in kinds:
            yield kind, moment


def main() -> int:
    """The table of all kills."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--moments", type=int, default=5, help="at which each is killed")
    parser.add_argument("--values", default="16,24,32,40", help="of k, a point each")
    parser.add_argument("--only", default=",".join(KILLS), help="what is killed")
    parser.add_argument(
        "--shared-cache", action="store_true", help="trainings are taken from the first sweep"
    )
    asked = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="kills-") as place:
        folder = Path(place)
        tiny_data(folder / "tiny.npz")
        cache = folder / "cache" if asked.shared_cache else None
        first = Sweeping(folder, folder / "unbroken", asked.values, cache)
        begun = time.monotonic()
        code = first.begin().wait(900)
        whole = time.monotonic() - begun
        unbroken = first.table()
        if {row["state"] for row in unbroken} != {"finished"}:
            sys.stderr.write(Path(f"{first.output}.log").read_text())
            return 3
        print(
            f"unbroken: {len(unbroken)} points, {len(unbroken[0])} columns, {whole:.0f} s, ended with {code}"
        )
        if cache is not None:  # trainings are there from now on
            again, begun = Sweeping(folder, folder / "again", asked.values, cache), time.monotonic()
            again.begin().wait(900)
            whole, bad = time.monotonic() - begun, int(again.table() != unbroken)
            print(f"the same with its trainings: {whole:.0f} s, {'ANOTHER TABLE' if bad else 'the same'}")
        for kind, moment in rounds(asked.moments, asked.only.split(",")):
            after = whole * (moment + 0.5) / asked.moments
            sweeping = Sweeping(folder, folder / f"{kind}-{moment}", asked.values, cache)
            begun = time.monotonic()
            told, fine = killed(kind, sweeping, after, unbroken, code)
            bad += not fine
            print(f"{kind:10} {after:6.1f} s  {told}  ({time.monotonic() - begun:.0f} s)", flush=True)
            if not fine:
                sys.stdout.write(Path(f"{sweeping.output}.log").read_text())
    print(f"{bad} differ" if bad else "none differs")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
