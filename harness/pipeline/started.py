"""A run that has a directory, before anything is computed, and whom it tells how far it is; without torch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from harness.artifacts.cache import Cache
from harness.artifacts.directories import RunDirectory
from harness.config import Config
from harness.datasets import Dataset
from harness.records import Epoch

Epochs = tuple[Epoch, ...]


class Progress(Protocol):
    """Whoever tells the user how far the work is."""

    def say(self, text: str) -> None:
        """A line."""

    def warn(self, text: str) -> None:
        """A line that must not be overlooked."""

    def epochs(self, title: str, epochs: Iterator[Epochs], total: int) -> Iterator[Epochs]:
        """The same epochs, shown as they pass; each a record for every network that is trained."""


class Silence:
    """Tells nobody anything."""

    def say(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""

    def epochs(self, title: str, epochs: Iterator[Epochs], total: int) -> Iterator[Epochs]:  # noqa: ARG002
        """The epochs."""
        return epochs


PATIENCE = 10.0
"""Seconds after which somebody who heard nothing is told what is being done."""


class Patience:
    """Says what is being done, at most once in `PATIENCE` seconds: what is quick is not told."""

    def __init__(self, progress: Progress) -> None:
        """`progress` is whom to tell."""
        self.progress, self.since = progress, time.monotonic()

    def now(self, what: str) -> None:
        """What begins now."""
        if time.monotonic() - self.since >= PATIENCE:
            self.progress.say(what)
            self.since = time.monotonic()


@dataclass(kw_only=True)
class Started:
    """A run that was not refused.

    Attributes:
        config: The configuration.
        dataset: The data, on disk's terms.
        run: The run directory.
        cache: Finished stages of earlier runs.
        progress: Whom to tell.
        durations: Seconds by stage.
        taken_from: The id of the run that computed everything; None where this one does.
    """

    config: Config
    dataset: Dataset
    run: RunDirectory
    cache: Cache
    progress: Progress
    durations: dict[str, float] = field(default_factory=dict)
    taken_from: str | None = None
