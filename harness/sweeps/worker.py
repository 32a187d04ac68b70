"""What a worker does of a sweep: one point, as a process of its own whose exit code is the contract.

It is handed text and gives back text, and a run directory where it does not share the asker's file system.
The process ends with the worker: its standard input is a pipe that the worker holds.
"""

from __future__ import annotations

import hashlib
import io
import signal
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness import datasets
from harness.artifacts import latest
from harness.artifacts.files import Folder, write
from harness.artifacts.staging import Staged, locked, sweep
from harness.config import tables
from harness.errors import HarnessError
from harness.processes import Processes, Stopped, said
from harness.sweeps.places import EXIT_CODES, LOG, POINT, Place

RECORD = "environment.json"
"""The file that every run directory begins with."""

LOOKS_EVERY = 1.0
"""Seconds between two looks at whether a point that another computes is still wanted."""

_BEGUN: dict[str, Processes] = {}
"""The processes of this worker, by the mark of whom they run for."""

_LOCK = threading.Lock()
"""Held while that is looked up."""


@dataclass(frozen=True)
class Order:
    """What a worker is asked for.

    Attributes:
        point: The point's id.
        config: Its configuration, as TOML.
        folder: Its folder, where the asker sees it.
        token: The name of the asker's mark beside it, by which a worker knows that it sees its files.
        working: The asker's working folder, in which what the configuration names is looked for.
        data: The digest of the data that it must be computed on.
        variables: Of the environment: threads.
        fresh: Compute anew, whatever the cache holds.
        number: Of the run that it begins, among those of the point.
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
    number: int = 1
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a worker gives back.

    Attributes:
        exit_code: The process's; None where it was not begun for want of data.
        seconds: It took; None where it was not begun.
        said: The end of what it printed.
        run: The name of its run directory, where that is in `archive`.
        archive: The run directory as a tar; empty where it stands in the asker's folder.
        wants_data: The worker has no data of the digest.
    """

    exit_code: int | None
    seconds: float | None = None
    said: str = ""
    run: str = ""
    archive: bytes = b""
    wants_data: bool = False


def compute(order: Order) -> Answer:
    """Compute a point: in the asker's folder where it can be seen here, else in one of this machine's."""
    folder = Path(order.folder)
    if (folder.parent / order.token).is_dir():
        return _ran(order, folder, Path(order.working))
    temporary = Path(tempfile.gettempdir())
    sweep(temporary)  # of workers that were killed
    with Staged(temporary, "harness-point") as place:
        return _elsewhere(order, place)


@contextmanager
def _alone(folder: Path, processes: Processes) -> Iterator[None]:
    """Inside, no other computes the point of a folder; whoever does is waited for.

    Raises:
        Stopped: nothing is begun any more.
    """
    runs = folder / "runs"
    runs.mkdir(exist_ok=True)
    while not processes.is_stopped:
        # the point's own process locks its folder: here it is the one below
        with locked(runs, LOOKS_EVERY) as mine:
            if mine:
                yield
                return
    raise Stopped("nothing is begun any more")


def _by_another(order: Order, folder: Path) -> Answer | None:
    """What another sweep computed of the point since it was ordered; None where none did."""
    if latest.next_sequence(folder / "runs") == order.number:
        return None
    found = Place.at(folder).outcome
    if found.data != order.data or found.verdict not in EXIT_CODES:
        return None
    return Answer(EXIT_CODES[found.verdict], found.seconds, f"{found.why or found.verdict}, by another sweep")


def _ran(order: Order, folder: Path, working: Path) -> Answer:
    """Run the command in a folder that holds the point's configuration, when nobody else does."""
    try:
        with _alone(folder, _processes(order.token)):
            return _by_another(order, folder) or _run(order, folder, working)
    except Stopped:
        return Answer(-signal.SIGTERM, said="it was not begun: whoever asked was interrupted")


def _run(order: Order, folder: Path, working: Path) -> Answer:
    command = [sys.executable, "-m", "harness", "validate", "--config", str(folder / POINT), "--quiet"]
    start = time.perf_counter()
    code = _processes(order.token).run(
        [*command, *["--fresh"] * order.fresh],
        folder / LOG,
        order.variables,
        working if working.is_dir() else folder,
    )
    return Answer(code, time.perf_counter() - start, said(folder / LOG))


def _processes(token: str) -> Processes:
    """Those of a mark that this worker began."""
    with _LOCK:
        return _BEGUN.setdefault(token, Processes())


def stop(token: str) -> None:
    """End this worker's processes of a mark as SIGTERM does, and begin none: what they finished is kept."""
    _processes(token).stop()


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
    for candidate in (_placed(data), *_from_store(data, kept)):
        if _digest_of(candidate) == order.data:
            values["data"] = candidate
            break
    else:
        return Answer(None, wants_data=True)
    Folder(place).write_toml(POINT, values)
    # the asker's runs of the point, by their number alone: the one that begins here is the next
    Folder(place / "runs" / "before").write_json(RECORD, {"sequence": order.number - 1})
    answer = _ran(order, place, Path(order.working))
    run = latest.named(place / latest.LATEST)
    if run is None:
        return answer
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(run, arcname=run.name)
    return Answer(answer.exit_code, answer.seconds, answer.said, run.name, packed.getvalue())


def _placed(data: dict[str, object]) -> dict[str, object]:
    """The data's table with its paths as they are meant here: the process works in another folder."""
    placed = dict(data)
    for key in ("dataset", "data_dir"):
        value = placed.get(key)
        if isinstance(value, str) and (key != "dataset" or datasets.is_path(value)):
            placed[key] = str(Path(value).expanduser().absolute())
    return placed


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

    It stands there whole, or not at all.

    Raises:
        OSError: it cannot be written.
        tarfile.TarError: it is no archive, or one that leaves its folder.
        ValueError: it holds no run directory, or something beside it.
        OutputError: something that names no run is in the place of `latest`.
    """
    sweep(folder)
    with Staged(folder, "unpacked") as staged:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as packed:
            packed.extractall(staged / "new", filter="data")
        found = list((staged / "new").iterdir()) if (staged / "new").is_dir() else []
        if len(found) != 1 or found[0].is_symlink() or not (found[0] / RECORD).is_file():
            raise ValueError("what was handed back is not one run directory")
        if found[0].name.startswith("."):
            raise ValueError(f"no run is called {found[0].name!r:.80}")
        run = folder / "runs" / found[0].name
        run.parent.mkdir(exist_ok=True)
        if run.exists():  # of an answer that came twice
            run.rename(staged / "old")
        found[0].rename(run)
    latest.let_name(run)
