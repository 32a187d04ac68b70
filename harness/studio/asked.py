"""What the page asks of a run: one record."""

from __future__ import annotations

from dataclasses import dataclass

from harness.records import Floats


@dataclass(frozen=True, eq=False)
class Question:
    """One question to one run's model.

    Attributes:
        run: 0 or 1, which of the runs.
        seed: One of the run's seeds.
        target: The class explained; None is the predicted one.
        against: A second class: f_target - f_against is explained; None is none.
        methods: Some of the run's methods; none is all of them.
        units: Switched units as (unit, how, value), how being `set` or `times`; set to 0 is off.
        parts: Some of `maps`, `integrity`, `agreement`, `deletion`, `units`, `path`.
        index: The position in the test set that the input was taken from; None is one's own.
        inputs: float32 [features], flat, in the data's own scale; read-only.
    """

    run: int
    seed: int
    target: int | None
    against: int | None
    methods: tuple[str, ...]
    units: tuple[tuple[int, str, float], ...]
    parts: frozenset[str]
    index: int | None
    inputs: Floats
