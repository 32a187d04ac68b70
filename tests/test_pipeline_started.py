"""Who waits hears what is being done; who does not is left alone."""

from __future__ import annotations

import pytest

from harness.pipeline import started
from harness.pipeline.started import Patience, Silence


def test_what_takes_long_is_told_and_what_is_quick_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line once so many seconds have passed since the last, of what begins then."""
    clock, said = [0.0], list[str]()
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    progress = Silence()
    monkeypatch.setattr(progress, "say", said.append)
    patience = Patience(progress)
    for seconds, what in ((0, "a"), (started.PATIENCE - 1, "b"), (2, "c"), (1, "d"), (started.PATIENCE, "e")):
        clock[0] += seconds
        patience.now(what)
    assert said == ["c", "e"]
