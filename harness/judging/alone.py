"""The inner half of a judging process: pytest with nothing of the user's surroundings that was not asked for.

`harness.judging.suite` starts it. Modules of the user's come last on the path, where they shadow neither
Python's nor pytest's nor the harness's own; tests of one's own find their neighbours there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ASIDE = "HARNESS_ASIDE_"
"""Begins the names of the variables of the user's interpreter, which this process was started without."""


def main(working: str, own: str, *arguments: str) -> int:
    """Run pytest over the current folder; the exit code is pytest's.

    Args:
        working: The user's working folder.
        own: `own` for a folder of tests of one's own, which run in the user's surroundings.
        arguments: Pytest's.
    """
    aside = {
        name.removeprefix(ASIDE): os.environ.pop(name) for name in [*os.environ] if name.startswith(ASIDE)
    }
    path = aside.get("PYTHONPATH")
    entries = [str(Path(working, entry)) for entry in path.split(os.pathsep)] if path else []
    append([str(Path(__file__).parents[2]), *entries])
    import pytest  # may stand in an entry

    plugins = [_Surroundings(working, aside)] if own == "own" else []
    return int(pytest.main(list(arguments), plugins=plugins))


def append(entries: Iterable[str]) -> None:
    """Let modules be found in these places too, after all others."""
    for entry in map(os.path.abspath, entries):
        if entry not in sys.path:
            sys.path.append(entry)


class _Surroundings:
    """A plug-in that gives back the user's surroundings before the first file of theirs is loaded.

    Pytest starts in the folder of the tests, for it reads brackets in an argument as a test's parameters.
    """

    def __init__(self, working: str, aside: Mapping[str, str]) -> None:
        self.working = working
        self.aside = aside

    def pytest_load_initial_conftests(self) -> None:
        """Their neighbours, their variables, their working folder."""
        append([os.getcwd(), self.working])  # noqa: PTH109
        os.environ.update(self.aside)
        os.chdir(self.working)
