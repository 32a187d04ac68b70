"""`harness schema`: the schemas by name, without what a run needs."""

from __future__ import annotations

import json
import subprocess
import sys

from harness.cli.schemas import ENDING, FOLDER
from tests.test_cli import Command, harness  # noqa: F401 - a fixture

# the fixture of another module is a name of this one
# ruff: noqa: F811


def test_a_schema_is_printed_as_it_stands(harness: Command) -> None:
    """By its name, or that of the file that it is of."""
    code, printed = harness("schema", "verdict")
    assert code == 0
    assert printed == (FOLDER / f"verdict{ENDING}").read_text(encoding="utf-8")
    assert json.loads(printed)["title"] == "verdict"
    assert harness("schema", "verdict.json") == (code, printed)


def test_all_are_listed(harness: Command) -> None:
    """A line each: the name, and what the document is."""
    code, printed = harness("schema")
    names = [line.split()[0] for line in printed.splitlines()]
    assert (code, names) == (0, sorted(path.name.removesuffix(ENDING) for path in FOLDER.iterdir()))
    assert all(len(line.split()) > 3 for line in printed.splitlines())


def test_an_unknown_one_is_refused(harness: Command) -> None:
    """With the nearest name."""
    code, printed = harness("schema", "verdit")
    assert (code, printed) == (2, "error: unknown schema 'verdit': did you mean 'verdict'?\n")


def test_nothing_heavy_is_imported() -> None:
    """Neither torch nor numpy."""
    code = (
        "import sys, harness.cli as cli\n"
        "sys.argv = ['harness', 'schema', 'night']\n"
        "try: cli.main()\n"
        "except SystemExit: sys.exit(any(one in sys.modules for one in ('numpy', 'torch', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
