"""What a worker does of a sweep: one point, as a process of its own whose exit code is the contract.

It is handed text and gives back text, and a run directory where it does not share the asker's file system.
The process ends with the worker: its standard input is a pipe that the worker holds.
"""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.artifacts import latest
from harness.artifacts.files import Folder, write
from harness.config import tables
from harness.engines import ENDS_WITH_PARENT
from harness.errors import HarnessError
from harness.sweeps.places import LOG, POINT

MARK = ".mark"
"""A file in the folder of all points, by whose content a worker knows that it sees the asker's files."""

TAIL = 4000
"""Letters of what a process printed last that are handed back."""

_MINE: dict[int, subprocess.Popen[bytes]] = {}
"""The processes of this worker that run."""


@dataclass(frozen=True)
class Order:
    """What a worker is asked for.

    Attributes:
        point: The point's id.
        config: Its configuration, as TOML.
        folder: Its folder, where the asker sees it.
        token: What stands in `MARK` beside it.
        working: The asker's working folder, in which what the configuration names is looked for.
        data: The digest of the data that it must be computed on.
        variables: Of the environment: threads.
        fresh: Compute anew, whatever the cache holds.
        files: The data's files by name, where the worker said that it has none of that digest.
    """

    point: str
    config: str
    folder: str
    token: str
    working: str
    data: str
    variables: Mapping[str, str]
    fresh: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a worker gives back.

    Attributes:
        exit_code: The process's; None where it was not begun for want of data.
        seconds: It took.
        said: The end of what it printed.
        run: The name of its run directory, where that is in `archive`.
        archive: The run directory as a tar; empty where it stands in the asker's folder.
        wants_data: The worker has no data of the digest.
    """

    exit_code: int | None
    seconds: float = 0.0
    said: str = ""
    run: str = ""
    archive: bytes = b""
    wants_data: bool = False


def compute(order: Order) -> Answer:
    """Compute a point: in the asker's folder where it can be seen here, else in one of this machine's."""
    folder = Path(order.folder)
    if mark_of(folder.parent) == order.token:
        return _ran(order, folder, Path(order.working))
    with tempfile.TemporaryDirectory(prefix="harness-point-") as place:
        return _elsewhere(order, Path(place))


def mark_of(points: Path) -> str:
    """What marks a folder of points as this one and no other of its path; empty where nothing does."""
    with suppress(OSError, ValueError):
        return (points / MARK).read_text(encoding="ascii")
    return ""


def _ran(order: Order, folder: Path, working: Path) -> Answer:
    """Run the command in a folder that holds the point's configuration."""
    command = [sys.executable, "-m", "harness", "validate", "--config", str(folder / POINT), "--quiet"]
    variables = {**os.environ, **order.variables, ENDS_WITH_PARENT: "1"}
    start = time.perf_counter()
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, *["--fresh"] * order.fresh],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=working if working.is_dir() else folder,
            env=variables,
        )
        _MINE[process.pid] = process
        try:
            code = process.wait()
        finally:
            _MINE.pop(process.pid, None)
            if process.stdin is not None:
                process.stdin.close()
    said = (folder / LOG).read_bytes()[-TAIL:].decode("utf-8", "replace")
    return Answer(code, time.perf_counter() - start, said)


def stop() -> None:
    """End the processes of this worker as SIGTERM does: what they finished is kept."""
    for process in list(_MINE.values()):
        with suppress(OSError):
            process.send_signal(signal.SIGTERM)


def _elsewhere(order: Order, place: Path) -> Answer:
    """The same on a machine that does not see the asker's files; the run directory is handed back."""
    store = Path.home() / ".cache" / "harness"
    values = tables.parse(order.config.encode(), "the point's configuration")
    values |= {"output": str(place), "cache": str(store / "cache")}
    data = dict(values.get("data", {}))
    kept = store / "data" / order.data
    if order.files:
        for name, content in order.files.items():
            target = kept / name
            target.parent.mkdir(parents=True, exist_ok=True)
            write(target, content)
    for candidate in (data, *_from_store(data, kept)):
        if _digest_of(candidate) == order.data:
            values["data"] = candidate
            break
    else:
        return Answer(None, wants_data=True)
    Folder(place).write_toml(POINT, values)
    answer = _ran(order, place, Path(order.working))
    run = latest.named(place / latest.LATEST)
    if run is None:
        return answer
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(run, arcname=run.name)
    return Answer(answer.exit_code, answer.seconds, answer.said, run.name, packed.getvalue())


def _from_store(data: dict[str, object], kept: Path) -> tuple[dict[str, object], ...]:
    """The data's table where its files are those that were handed over; none without."""
    if not kept.is_dir():
        return ()
    named = str(data.get("dataset", ""))
    own = kept / Path(named).name
    if own.exists():  # data by path
        return (data | {"dataset": str(own)},)
    return (data | {"data_dir": str(kept)},)


_DIGESTS: dict[str, str] = {}
_LOADING = threading.Lock()


def _digest_of(data: Mapping[str, object]) -> str:
    """The digest of the data that a table names here; empty where it is not here, or not whole."""
    from harness import config, pipeline

    key = hashlib.sha256(repr(sorted(data.items())).encode()).hexdigest()
    with _LOADING:
        if key not in _DIGESTS:
            try:
                found = pipeline.loaded(config.of({"data": dict(data)}, "the point's configuration")).digest
            except HarnessError:
                return ""
            _DIGESTS[key] = found
        return _DIGESTS[key]


def unpacked(archive: bytes, folder: Path) -> None:
    """Put a run directory that was handed back into a point's folder, and let `latest` name it.

    Raises:
        OSError: it cannot be written.
        tarfile.TarError: it is none.
    """
    runs = folder / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        (name,) = {Path(member.name).parts[0] for member in packed.getmembers()}
        packed.extractall(runs, filter="data")
    latest.let_name(runs / name)
