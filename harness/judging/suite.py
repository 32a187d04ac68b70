"""Run one folder of tests over a run directory, in a process of its own, and take its rows.

The process starts in the tests' folder with an interpreter that nothing of the user's reaches: no module of
the working folder or of `PYTHONPATH` goes before an installed one, no conftest above the folder is loaded,
and no plug-in, option or encoding of theirs takes part. `harness.judging.alone` is what runs inside it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.artifacts.files import shipped
from harness.criteria.rows import Case, identify, own_verdict, settled
from harness.errors import RunError
from harness.judging.alone import ASIDE
from harness.records import Verdict
from harness.text import clean

SECONDS = 600
"""How long a folder's tests may take."""

NOT_STARTED = 127
"""A shell's exit code of a program that could not be started."""

KEPT = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHASHSEED",
    "PYTHONHOME",
    "PYTHONNOUSERSITE",
    "PYTHONPLATLIBDIR",
    "PYTHONPYCACHEPREFIX",
    "PYTHONUSERBASE",
)
"""Of the variables that Python's interpreter reads, those that judging needs or that cannot change it."""

START = """
import sys
sys.path[:] = filter(None, sys.path)
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("harness", sys.argv[1])
sys.modules["harness"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["harness"])
from harness.judging.alone import main
sys.exit(main(*sys.argv[2:]))
"""
"""The process's program: this very package, whatever else bears its name."""


@dataclass(frozen=True)
class Judged:
    """What tests said of a run.

    Attributes:
        rows: Their verdicts by id.
        cases: The test that gave each row, by the same id.
        printed: What pytest printed, cleaned and shortened.
    """

    rows: dict[str, Verdict]
    cases: dict[str, Case]
    printed: str


def run(run: Path, folder: Path, *, strict: bool, scratch: Path, own: bool) -> Judged:
    """What the tests of one folder say of a run.

    Args:
        run: The run directory.
        folder: The suite of criteria, which brings pytest's configuration, or a folder of one's own tests.
        strict: The interval's bound decides.
        scratch: A folder for temporary files, the tests' too.
        own: Whether the tests are one's own: they find modules beside them and in the working folder, and
            where they cannot be run, are not there or are none, that is an error among the rows.

    Raises:
        RunError: the suite could not be run.
    """
    if own and not folder.is_dir():
        return _judged([_of_folder(folder, "there is no such folder")], "")
    scratch = Path(tempfile.mkdtemp(prefix="judging-", dir=scratch)).absolute()
    verdicts = scratch / "verdicts.json"
    ini = (shipped("validation") if own else folder) / "pytest.ini"
    arguments = ["-c", str(ini.absolute()), "--rootdir", ".", "--confcutdir", ".", "."]
    arguments += ["--run", str(run.absolute()), "--verdicts", str(verdicts), *["--strict-bounds"] * strict]
    arguments += ["--continue-on-collection-errors", "--color", "no", "-q"]
    code, printed = _pytest(folder, ["own" if own else "suite", *arguments], scratch)
    found, wrong = _found(verdicts, code)
    if wrong and not own:
        raise RunError(f"the criteria {wrong} over {run}; judge it again:\n{printed}")
    if wrong:
        found.append(_of_folder(folder, f"its tests {wrong}: {last_line(printed)}", printed))
    elif own and not found:
        found.append(_of_folder(folder, "no test was collected from it", printed))
    return _judged(found, printed)


def together(parts: Sequence[Judged]) -> Judged:
    """What the tests of several folders say, of one run: one row an id, as `rows.settled` has it."""
    found = [(row, part.cases[name]) for part in parts for name, row in part.rows.items()]
    return _judged(found, "".join(part.printed for part in parts))


def last_line(printed: str) -> str:
    """Pytest's last words."""
    return (printed.strip().splitlines()[-1:] or ["it printed nothing"])[0]


def _judged(found: Sequence[tuple[Verdict, Case]], printed: str) -> Judged:
    rows = settled(found)
    return Judged(
        {name: row for name, (row, _) in rows.items()},
        {name: case for name, (_, case) in rows.items()},
        printed,
    )


def _of_folder(folder: Path, why: str, text: str = "") -> tuple[Verdict, Case]:
    """The error of a folder of one's own tests."""
    row = own_verdict(identify(folder.name), folder.name, str(folder), "error", f"checks {folder}: {why}")
    return row, Case("checks", folder.name, text=text)


def _found(verdicts: Path, code: int | None) -> tuple[list[tuple[Verdict, Case]], str]:
    """The rows that the process left, and what is wrong with them as a whole; empty where nothing is."""
    if code is None:
        return [], f"took over {SECONDS} s"
    try:
        values = json.loads(verdicts.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return [], f"could not be run (pytest ended with {code})"
    found = [(Verdict.from_json(one["row"]), Case(**one["case"])) for one in values]
    # with 5 it ends where there are no tests
    if code not in (0, 5) and all(row.holds for row, _ in found):
        return found, f"did not run to their end (pytest ended with {code})"
    return found, ""


def _pytest(folder: Path, arguments: Sequence[str], scratch: Path) -> tuple[int | None, str]:
    """Run pytest alone in a folder: its exit code, None where its time was over, and what it printed.

    The process and all that it starts are killed where this one is interrupted.
    """
    command = [sys.executable, "-c", START, str(Path(harness.__file__)), _working(folder), *arguments]
    output = scratch / "printed"
    code: int | None = None
    with output.open("wb") as stream:
        try:
            process = subprocess.Popen(  # noqa: S603 - a fixed program
                command,
                cwd=folder,
                env=_environment(scratch),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:  # a folder that must not be entered
            return NOT_STARTED, str(error)
        try:
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if code is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return code, clean(output.read_text(encoding="utf-8", errors="replace"), longest=2000)


def _working(folder: Path) -> str:
    """The working folder; where somebody has removed it, the tests' own."""
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return str(folder)


def _environment(scratch: Path) -> dict[str, str]:
    """The variables of this process without those that select, plug in or disarm tests.

    Those of Python's interpreter are put aside, for `harness.judging.alone`.
    """
    found = {}
    for name, value in os.environ.items():
        if name.startswith("PYTHON") and name not in KEPT:
            found[f"{ASIDE}{name}"] = value
        elif not name.startswith("PYTEST_"):
            found[name] = value
    temporary = dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(scratch))
    return found | temporary | {"PYTHONUTF8": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
