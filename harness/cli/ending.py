"""How a command that gives a verdict ends: what it prints, and its exit code."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from harness.ci import github

if TYPE_CHECKING:
    from harness.artifacts.directories import RunDirectory
    from harness.artifacts.files import Folder
    from harness.console import Shown
    from harness.judging.publishing import Amend

BUG, INTERRUPTED, TERMINATED = 3, 130, 143


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


def code_of(failure: BaseException) -> int:
    """The exit code of what ended a command early."""
    if isinstance(failure, Terminated):
        return TERMINATED
    if isinstance(failure, KeyboardInterrupt):
        return INTERRUPTED
    return BUG


def page(directory: RunDirectory, verdict: dict[str, Any], into: Folder, amended: Amend) -> bool:
    """The report that is published with a verdict."""
    from harness import report

    return report.draw(directory, verdict, into, amended)


def show(directory: RunDirectory, verdict: dict[str, Any], shown: Shown) -> int:
    """Print a verdict, for GitHub too; the exit code that it stands for."""
    from harness.console import show_verdict
    from harness.criteria.diagnosis import sentence
    from harness.judging import verdicts

    # the verdict is published: from here on nothing changes what the command ends with
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    show_verdict(directory, verdict, shown)
    github.annotate(verdict, sentence(verdict))
    return verdicts.EXIT_CODES[verdict["verdict"]]


@contextmanager
def importing(name: str) -> Iterator[None]:
    """Import a module in the background: judging leaves a core idle, and drawing takes seconds to import."""
    thread = threading.Thread(target=import_module, args=(name,))
    thread.start()
    try:
        yield
    finally:
        thread.join()
