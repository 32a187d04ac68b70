"""A measurement that no estimate can be made of is refused by its field; what ships is not."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from harness.errors import RunError
from harness.measurements import measurements
from harness.pipeline.numbers import _measured
from harness.records import Measurement
from harness.statistics import REDUCTIONS
from harness.statistics.fitting import unfit
from harness.statistics.reductions import OF_PARTS, Resampling
from tests.evidence import an_evidence

SOUND = Measurement("a", "A", "units", None, "mean", np.ones(4), np.zeros(4, dtype=int))


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", None, "name must be a text (got None)"),
        ("title", 3, "title must be a text (got 3)"),
        ("unit", None, "unit must be a text (got None)"),
        ("higher_is_better", "lower", "higher_is_better must be True, False or None (got 'lower')"),
        ("higher_is_better", 1, "higher_is_better must be True, False or None (got 1)"),
        ("reduction", "average", "(got 'average')"),
        ("reduction", ["mean"], "(got ['mean'])"),
        ("values", 0.5, "values must be an array of numbers [n], of which 'mean' makes an estimate"),
        ("values", np.ones((4, 2)), "(got float64 [4, 2])"),
        ("values", ["a", "b"], "values must be an array of numbers [n]"),
        ("strata", np.zeros(3, dtype=int), "strata must be a whole number for each of 4 values (got (3,))"),
        ("strata", "a reason", "strata must be an array of whole numbers, or None (got 'a reason')"),
        ("reason", 4, "reason must be a text, or None (got 4)"),
        ("definition", "2", "definition must be a whole number (got '2')"),
    ],
)
def test_a_field_that_no_estimate_can_be_made_of_is_named(field: str, value: Any, told: str) -> None:
    """The field, what it must be and what it is."""
    said = unfit(dataclasses.replace(SOUND, **{field: value}))
    assert said.startswith(f"{field} must be ")
    assert told in said


def test_every_known_rule_is_listed_to_whoever_names_none() -> None:
    """The sentence about an unknown rule holds all that there are."""
    said = unfit(dataclasses.replace(SOUND, reduction="average"))
    assert all(repr(rule) in said for rule in REDUCTIONS)


@pytest.mark.parametrize("rule", REDUCTIONS)
def test_the_shape_that_a_rule_is_asked_for_is_the_one_that_it_takes(rule: str) -> None:
    """What is let through is reduced to a number, and the other shape is refused."""
    shapes = [(4,), (4, 2)][:: -1 if rule in OF_PARTS else 1]
    right, wrong = (dataclasses.replace(SOUND, reduction=rule, values=np.ones(shape)) for shape in shapes)
    how = Resampling(0.95, 100, np.random.default_rng(0))
    assert unfit(right) == ""
    assert REDUCTIONS[rule](right.values, right.strata, how).estimate == 1
    assert "values must be an array of numbers" in unfit(wrong)


def test_what_could_not_be_measured_needs_no_values() -> None:
    """A reason stands in their place."""
    nothing = dataclasses.replace(SOUND, values=np.empty(0), reduction="ratio", reason="no maps")
    assert unfit(nothing) == ""
    assert unfit({"name": "a"}).startswith("it must yield records of Measurement (got {'name'")


@pytest.mark.parametrize("base", measurements)
def test_what_ships_is_sound(base: str) -> None:
    """No measurement of the harness is refused, whether it has a number or a reason."""
    found = list(measurements[base](an_evidence()))
    assert [unfit(one) for one in found] == [""] * len(found)


def test_a_measurement_of_ones_own_is_refused_by_its_function_and_field() -> None:
    """The error tells which function of which module yields it, and what was wrong."""

    def latency(evidence: Any) -> Any:
        yield Measurement("latency.p50", "Latency", "ms", "lower", "mean", np.ones(3))  # type: ignore[arg-type]

    work: Any = None  # is asked of nothing where a field is refused
    with pytest.raises(RunError) as refused:
        _measured(work, "latency", latency, an_evidence())
    assert str(refused.value).startswith(
        f"measurement 'latency' (function latency of module {__name__}), of its 'latency.p50': "
        "higher_is_better must be True, False or None (got 'lower')"
    )
