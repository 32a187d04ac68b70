"""The `harness` command whose nights are written by hand: `python -m tests.by_hand nightly …`.

For tests of what stands around a night: options, history, verdict and exit code are the real ones. There is
no report, for no image was explained. Where the environment says NIGHT=red, a gate fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import cli, nightly
from harness.artifacts.directories import RunDirectory
from harness.config import Config
from harness.history.kept import Kept
from harness.history.records import Night
from harness.judging import suite
from harness.pipeline.started import Progress
from tests.test_nightly import HandWritten, noisy
from tests.written import judged_here


class Linked(HandWritten):
    """Nights that `latest` names, as those that are computed."""

    def compute(self, night: Night) -> tuple[RunDirectory, BaseException | None]:
        run, failure = super().compute(night)
        run.link_latest()
        return run, failure


def _numbers(night: Night) -> dict[str, Any]:
    return noisy(night) | ({"accuracy": 0.5} if os.environ.get("NIGHT") == "red" else {})


@contextmanager
def _by_hand(config: Config, place: str | Path, progress: Progress, *_: object) -> Iterator[nightly.Nights]:
    config = config.model_copy(update={"nightly": config.nightly.model_copy(update={"seeds": 1})})
    config.output.mkdir(parents=True, exist_ok=True)
    nights = Linked(config, Kept(place, progress.warn), progress, numbers=_numbers)
    with nights.held:
        yield nights


if __name__ == "__main__":
    vars(nightly)["nights_of"] = _by_hand
    suite.run = judged_here
    cli.main()
