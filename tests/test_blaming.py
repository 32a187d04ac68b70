"""Which of two causes is blamed, by digests and by numbers; `test_canary` has it of real networks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness import blaming
from harness.blaming import Cell
from harness.history.records import Canary

SAME = {"weights": "w", "predictions": "p", "maps": "m", "measurements": "v"}
THEN = Canary(0, "f", {}, SAME, 9, 9)


def with_others(*names: str) -> Canary:
    """The good night's canary, but for some digests."""
    return replace(THEN, digests=SAME | dict.fromkeys(names, "other"))


BY_BOTH = Cell("accuracy", 0.9, 0.8, 0.7)
BY_CODE = Cell("agreement", 0.9, 0.8, 0.8)
BY_TRAINING = Cell("sparsity", 50.0, 50.0, 40.0)


@pytest.mark.parametrize(
    ("now", "third", "cells", "word"),
    [
        ((), (), (), "nothing"),
        (("maps", "measurements"), ("maps", "measurements"), (BY_CODE,), "measuring code"),
        (("weights", "predictions", "maps"), (), (BY_TRAINING,), "training"),
        (("weights", "maps"), ("maps",), (BY_BOTH,), "both"),
        (("weights", "maps"), ("maps",), (BY_CODE, BY_TRAINING), "both"),
        (("weights", "maps"), ("maps",), (BY_CODE,), "measuring code"),
        (("weights", "maps"), ("maps",), (BY_TRAINING,), "training"),
    ],
)
def test_digests_settle_it_where_they_can(
    now: tuple[str, ...], third: tuple[str, ...], cells: tuple[Cell, ...], word: str
) -> None:
    """The same weights are no training's fault, the same maps of the old weights no code's; else numbers."""
    found = blaming._judged(with_others(*now), THEN, with_others(*third), cells)
    assert found.word == word
    assert found.lines[-1].startswith(f"{word}: ")


def test_what_did_not_move_is_not_listed() -> None:
    """A measurement that is missing under one of the codes moved by nothing that is known."""
    cells = (Cell("a", 1.0, 1.0, 1.0), Cell("b", 1.0, None, 2.0), BY_BOTH)
    found = blaming.Blame("both", "why", cells)
    assert [line.split(":")[0] for line in found.lines] == ["accuracy", "both"]
