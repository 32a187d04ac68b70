"""Records that flow: frozen, and the same after a journey through JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records import Estimate, Measurement, Outcome, Provenance, Verdict, joint

quick = settings(derandomize=True, deadline=None, max_examples=60)
finite = st.floats(allow_nan=False, allow_infinity=False)
numbers = st.none() | st.floats()


def an_estimate(**changed: Any) -> Estimate:
    known: dict[str, Any] = dict(
        name="agreement",
        title="Agreement",
        unit="correlation",
        higher_is_better=True,
        seed=0,
        estimate=0.7,
        low=0.65,
        high=0.75,
        standard_error=0.025,
        confidence=0.95,
        n=200,
        population="this model",
    )
    return Estimate(**known | changed)


def a_verdict(**changed: Any) -> Verdict:
    known: dict[str, Any] = dict(
        id="agreement",
        title="Agreement",
        measurement="agreement",
        estimate=0.7,
        low=0.65,
        high=0.75,
        confidence=0.95,
        n=200,
        relation=">=",
        threshold=0.6,
        unit="correlation",
        margin_se=4.0,
        gate=True,
        verdict="pass",
        marginal=False,
        why="Agreement: 0.7 is at least 0.6",
    )
    return Verdict(**known | changed)


PROVENANCE = Provenance("run", "2025-01-01T00:00:00Z", "nogit", "", False, "x", {}, {}, "machine", {}, {})
MEASUREMENT = Measurement("a", "A", "units", None, "mean", np.ones(2))


@pytest.mark.parametrize("record", [an_estimate(), a_verdict(), PROVENANCE, MEASUREMENT])
def test_a_record_cannot_be_changed(record: Any) -> None:
    """No field of a record can be set once it is made."""
    name = dataclasses.fields(record)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, name, "other")


@quick
@given(estimate=numbers, low=numbers, high=numbers, error=numbers)
def test_an_estimates_json_never_holds_nan_or_infinity(
    estimate: float | None, low: float | None, high: float | None, error: float | None
) -> None:
    """Whatever its numbers are, an estimate is written as strict JSON."""
    record = an_estimate(estimate=estimate, low=low, high=high, standard_error=error)
    json.dumps(record.as_json(), allow_nan=False)


@quick
@given(estimate=numbers, low=numbers, high=numbers, error=numbers)
def test_an_estimates_json_keeps_every_finite_number_and_drops_every_other(
    estimate: float | None, low: float | None, high: float | None, error: float | None
) -> None:
    """A finite number is written as it is, and one that is not finite becomes null."""
    given_numbers = dict(estimate=estimate, low=low, high=high, standard_error=error)
    written = an_estimate(**given_numbers).as_json()
    for key, number in given_numbers.items():
        kept = number is not None and math.isfinite(number)
        assert written[key] == (number if kept else None)


@pytest.mark.parametrize("key", ["estimate", "low", "high", "standard_error"])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_dropped_number_leaves_a_reason_that_names_it(key: str, number: float) -> None:
    """A number that is not finite says in the reason which one it was, and what it was."""
    reason = an_estimate(**{key: number}).as_json()["reason"]
    assert key in reason
    assert str(number) in reason


def test_a_reason_that_was_given_stays() -> None:
    """The reason that came with an estimate is not replaced by the one about its number."""
    written = an_estimate(estimate=math.nan, reason="the maps are constant").as_json()
    assert written["reason"] == "the maps are constant"


def test_a_finite_estimate_has_no_reason_and_returns_from_its_json() -> None:
    """Nothing is added to a finite estimate, and its JSON makes the same record again."""
    record = an_estimate()
    written = json.loads(json.dumps(record.as_json(), allow_nan=False))
    assert written["reason"] is None
    assert Estimate(**written) == record


@quick
@given(
    estimate=st.none() | finite,
    low=st.none() | finite,
    high=st.none() | finite,
    margin=st.none() | finite,
    threshold=finite | st.tuples(finite, finite),
    n=st.integers(0, 10**9),
    gate=st.booleans(),
    marginal=st.booleans(),
    outcome=st.sampled_from(["pass", "fail", "error"]),
    why=st.text('aé<"\\\n\u2028', max_size=20),
)
def test_a_verdict_returns_from_its_json(
    estimate: float | None,
    low: float | None,
    high: float | None,
    margin: float | None,
    threshold: float | tuple[float, float],
    n: int,
    gate: bool,
    marginal: bool,
    outcome: Outcome,
    why: str,
) -> None:
    """A row of `verdict.json` makes the verdict that it was made of, a pair of thresholds included."""
    record = a_verdict(
        estimate=estimate,
        low=low,
        high=high,
        margin_se=margin,
        threshold=threshold,
        n=n,
        gate=gate,
        marginal=marginal,
        verdict=outcome,
        why=why,
    )
    assert Verdict.from_json(json.loads(json.dumps(dataclasses.asdict(record), allow_nan=False))) == record


def test_a_verdicts_row_may_hold_more_than_the_record() -> None:
    """Columns that a later version added to a row do not stop it from being read."""
    record = a_verdict()
    assert Verdict.from_json(dataclasses.asdict(record) | {"change": 0.1}) == record


@pytest.mark.parametrize(
    ("outcome", "gate", "holds", "accepted"),
    [
        ("pass", True, True, True),
        ("fail", True, False, False),
        ("error", True, False, False),
        ("pass", False, True, True),
        ("fail", False, False, True),
        ("error", False, False, True),
    ],
)
def test_only_a_pass_holds_and_only_a_gate_can_be_refused(
    outcome: Outcome, gate: bool, holds: bool, accepted: bool
) -> None:
    """A verdict holds if it is a pass, neither fail nor error; what is only watched is accepted anyway."""
    record = a_verdict(verdict=outcome, gate=gate)
    assert (record.holds, record.accepted) == (holds, accepted)


def test_of_a_name_the_estimate_of_all_seeds_together_counts() -> None:
    """It stands first; of one seed alone, that one's does."""
    together, first, alone = (an_estimate(seed=seed) for seed in (None, 0, 1))
    other = dataclasses.replace(alone, name="other")
    assert joint([together, first, alone, other]) == {together.name: together, "other": other}
