"""A scheduler of Dask and its workers as processes of their own, to be killed one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Cluster:
    """Started, and ended, by hand."""

    def __init__(self, folder: Path, **variables: str) -> None:
        """The scheduler's files lie in `folder`, and so do the workers', who see `variables` beside ours."""
        self.folder = folder
        self.variables = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        self.workers: list[subprocess.Popen[bytes]] = []
        known = folder / "scheduler.json"
        known.unlink(missing_ok=True)
        self.scheduler = self._start(
            "scheduler",
            "dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--scheduler-file",
            str(known),
        )
        end = time.monotonic() + 60
        while not (known.is_file() and known.read_text().strip().endswith("}")):
            assert self.scheduler.poll() is None, (folder / "scheduler.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        self.address = str(json.loads(known.read_text())["address"]).removeprefix("tcp://")

    @property
    def engine(self) -> str:
        """As `--on` takes it."""
        return f"dask://{self.address}"

    def add(self, count: int = 1, threads: int = 1) -> None:
        """Start workers, and wait until the scheduler knows them."""
        distributed = import_module("distributed")
        for _ in range(count):
            name = f"worker-{len(self.workers)}"
            place = self.folder / name
            place.mkdir()
            self.workers.append(
                self._start(
                    name,
                    "dask_worker",
                    f"tcp://{self.address}",
                    "--nthreads",
                    str(threads),
                    "--no-nanny",
                    "--name",
                    name,
                    "--local-directory",
                    str(place),
                    place=place,
                )
            )
        with distributed.Client(f"tcp://{self.address}", timeout=60, set_as_default=False) as client:
            alive = sum(one.poll() is None for one in self.workers)
            client.wait_for_workers(alive, timeout=60)

    def _start(
        self, name: str, module: str, *arguments: str, place: Path | None = None
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments, "--no-dashboard"]
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=place or self.folder,
                env=self.variables,
            )

    def close(self) -> None:
        """End all of them."""
        for process in (*self.workers, self.scheduler):
            if process.poll() is None:
                process.kill()
            process.wait()


def waits(mark: str) -> None:
    """A task that says that it has begun, and ends when its mark is there."""
    Path(mark).with_suffix(".begun").touch()
    while not Path(mark).exists():
        time.sleep(0.1)


@contextmanager
def cluster(folder: Path, workers: int = 2, **variables: str) -> Iterator[Cluster]:
    """A cluster with that many workers of one thread, in a folder of its own."""
    folder.mkdir(parents=True)
    made = Cluster(folder, **variables)
    try:
        made.add(workers)
        yield made
    finally:
        made.close()


def children_with(text: str) -> Mapping[int, str]:
    """The processes of this machine whose command line holds a text, by number; none where /proc is not."""
    found = {}
    for one in Path("/proc").glob("[0-9]*"):
        try:
            command = (one / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if text in command and int(one.name) != os.getpid():
            found[int(one.name)] = command
    return found
