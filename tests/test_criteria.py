"""A number meets its threshold: boundaries, errors, intervals, margins, and the run's verdict."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config import Criterion, shipped_criteria
from harness.criteria import acceptable, judge, overall, show, show_threshold
from harness.measurements import measurements
from harness.records import Estimate, Outcome, Verdict

quick = settings(derandomize=True, deadline=None, max_examples=100)
numbers = st.floats(-100, 100).map(lambda number: round(number, 3))


def above(number: float) -> float:
    """The next number up."""
    return float(np.nextafter(number, math.inf))


def below(number: float) -> float:
    """The next number down."""
    return float(np.nextafter(number, -math.inf))


def a_criterion(relation: str = ">=", threshold: Any = 0.6, **changed: Any) -> Criterion:
    known = dict(id="agreement", title="Agreement", measurement="agreement")
    return Criterion.model_validate(known | {"relation": relation, "threshold": threshold} | changed)


def an_estimate(
    number: float | None, low: float | None = None, high: float | None = None, **changed: Any
) -> Estimate:
    known: dict[str, Any] = dict(
        name="agreement",
        title="Agreement of the methods",
        unit="correlation",
        higher_is_better=True,
        seed=0,
        estimate=number,
        low=low,
        high=high,
        standard_error=None,
        confidence=0.9,
        n=123,
        population="this model",
    )
    return Estimate(**known | changed)


def a_verdict(outcome: str, gate: bool = True) -> Verdict:
    number = {"pass": 0.7, "fail": 0.5, "error": None}[outcome]
    return judge(a_criterion(gate=gate), an_estimate(number))


# which values satisfy a criterion

POINTS = [
    (">=", 0.6, below(0.6), "fail"),
    (">=", 0.6, 0.6, "pass"),
    (">=", 0.6, above(0.6), "pass"),
    (">=", 0.6, -1e300, "fail"),
    (">=", 0.6, 1e300, "pass"),
    ("<=", 0.1, below(0.1), "pass"),
    ("<=", 0.1, 0.1, "pass"),
    ("<=", 0.1, above(0.1), "fail"),
    ("<=", 0.1, -1e300, "pass"),
    ("<=", 0.1, 1e300, "fail"),
    ("within", (45, 55), below(45), "fail"),
    ("within", (45, 55), 45.0, "pass"),
    ("within", (45, 55), 50.0, "pass"),
    ("within", (45, 55), 55.0, "pass"),
    ("within", (45, 55), above(55), "fail"),
    ("within", (50, 50), 50.0, "pass"),
    ("within", (50, 50), above(50), "fail"),
]


@pytest.mark.parametrize(("relation", "threshold", "number", "outcome"), POINTS)
def test_a_number_at_its_threshold_holds_and_the_next_one_beyond_does_not(
    relation: str, threshold: Any, number: float, outcome: Outcome
) -> None:
    """`>=`, `<=` and `within` all include their thresholds, and nothing beyond."""
    assert judge(a_criterion(relation, threshold), an_estimate(number)).verdict == outcome


STRICT = [
    # relation, threshold, estimate, low, high: by the interval, by the point
    (">=", 0.6, 0.7, 0.6, 0.8, "pass", "pass"),
    (">=", 0.6, 0.7, below(0.6), 0.8, "fail", "pass"),
    (">=", 0.6, 0.5, 0.4, 0.7, "fail", "fail"),
    (">=", 0.6, 0.5, 0.4, 0.55, "fail", "fail"),
    ("<=", 0.1, 0.05, 0.0, 0.1, "pass", "pass"),
    ("<=", 0.1, 0.05, 0.0, above(0.1), "fail", "pass"),
    ("<=", 0.1, 0.15, 0.05, 0.2, "fail", "fail"),
    ("<=", 0.1, 0.15, 0.12, 0.2, "fail", "fail"),
    ("within", (45, 55), 50.0, 45.0, 55.0, "pass", "pass"),
    ("within", (45, 55), 50.0, below(45), 55.0, "fail", "pass"),
    ("within", (45, 55), 50.0, 45.0, above(55), "fail", "pass"),
    ("within", (45, 55), 50.0, 40.0, 60.0, "fail", "pass"),
    ("within", (45, 55), 60.0, 50.0, 70.0, "fail", "fail"),
    ("within", (45, 55), 60.0, 58.0, 62.0, "fail", "fail"),
]


@pytest.mark.parametrize(("relation", "threshold", "number", "low", "high", "strict", "point"), STRICT)
def test_strict_asks_both_bounds_and_the_ordinary_rule_the_point(
    relation: str, threshold: Any, number: float, low: float, high: float, strict: Outcome, point: Outcome
) -> None:
    """With `strict` both of the interval's bounds must hold, thresholds included; else the point decides."""
    criterion, estimate = a_criterion(relation, threshold), an_estimate(number, low, high)
    assert judge(criterion, estimate, strict=True).verdict == strict
    assert judge(criterion, estimate, strict=False).verdict == point


MARGINAL = [
    (">=", 0.6, 0.7, 0.6, 0.8, False),
    (">=", 0.6, 0.7, below(0.6), 0.8, True),
    (">=", 0.6, 0.5, 0.4, 0.6, True),
    (">=", 0.6, 0.5, 0.4, below(0.6), False),
    ("<=", 0.1, 0.05, 0.0, 0.1, False),
    ("<=", 0.1, 0.05, 0.0, above(0.1), True),
    ("<=", 0.1, 0.15, 0.1, 0.2, True),
    ("<=", 0.1, 0.15, above(0.1), 0.2, False),
    ("within", (45, 55), 50.0, 45.0, 55.0, False),
    ("within", (45, 55), 46.0, 44.0, 48.0, True),
    ("within", (45, 55), 54.0, 52.0, 56.0, True),
    ("within", (45, 55), 50.0, 40.0, 60.0, True),
    ("within", (45, 55), 44.0, 43.0, 45.0, True),
    ("within", (45, 55), 44.0, 43.0, below(45), False),
    ("within", (45, 55), 56.0, 55.0, 57.0, True),
    ("within", (45, 55), 56.0, above(55), 57.0, False),
]


@pytest.mark.parametrize(("relation", "threshold", "number", "low", "high", "marginal"), MARGINAL)
@pytest.mark.parametrize("strict", [False, True])
def test_a_verdict_is_marginal_exactly_where_its_interval_straddles_the_threshold(
    relation: str, threshold: Any, number: float, low: float, high: float, marginal: bool, strict: bool
) -> None:
    """It is marginal if some of the interval satisfies the criterion and some does not, whatever the rule."""
    criterion = a_criterion(relation, threshold)
    assert judge(criterion, an_estimate(number, low, high), strict).marginal is marginal


def test_a_number_without_an_interval_is_never_marginal() -> None:
    """What has no interval can straddle nothing."""
    assert judge(a_criterion(), an_estimate(0.6)).marginal is False


@quick
@given(numbers, numbers, numbers, numbers, st.booleans())
def test_at_most_is_at_least_with_all_signs_turned(
    threshold: float, number: float, down: float, up: float, strict: bool
) -> None:
    """`<= t` of x is judged as `>= -t` of -x: verdict, marginality and margin alike."""
    low, high = number - abs(down), number + abs(up)
    one = judge(a_criterion("<=", threshold), an_estimate(number, low, high, standard_error=0.5), strict)
    other = judge(
        a_criterion(">=", -threshold), an_estimate(-number, -high, -low, standard_error=0.5), strict
    )
    assert (one.verdict, one.marginal, one.margin_se) == (other.verdict, other.marginal, other.margin_se)


@quick
@given(numbers, numbers, numbers, numbers, numbers, st.booleans())
def test_within_is_both_at_least_and_at_most(
    a: float, b: float, number: float, down: float, up: float, strict: bool
) -> None:
    """`within [a, b]` holds exactly where `>= a` and `<= b` both hold."""
    estimate = an_estimate(number, number - abs(down), number + abs(up))
    bounds = (min(a, b), max(a, b))
    parts = [judge(a_criterion(r, t), estimate, strict) for r, t in zip((">=", "<="), bounds, strict=True)]
    assert judge(a_criterion("within", bounds), estimate, strict).holds == all(one.holds for one in parts)


@quick
@given(numbers, numbers, numbers, numbers, st.sampled_from([">=", "<="]))
def test_whatever_passes_strictly_passes_by_its_point(
    threshold: float, number: float, down: float, up: float, relation: str
) -> None:
    """A point inside its interval cannot fail where the whole interval holds."""
    estimate = an_estimate(number, number - abs(down), number + abs(up))
    criterion = a_criterion(relation, threshold)
    assert not judge(criterion, estimate, strict=True).holds or judge(criterion, estimate).holds


# errors are neither pass nor fail


@pytest.mark.parametrize("number", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("relation", "threshold"), [(">=", 0.6), ("<=", 0.6), ("within", (0.4, 0.6))])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("bounds", [(None, None), (0.5, 0.7)])
def test_a_number_that_is_not_finite_is_an_error(
    number: float | None, relation: str, threshold: Any, strict: bool, bounds: tuple[Any, Any]
) -> None:
    """None, NaN and both infinities neither pass nor fail, and the verdict holds no such number."""
    verdict = judge(a_criterion(relation, threshold), an_estimate(number, *bounds), strict)
    assert verdict.verdict == "error"
    assert verdict.estimate is None
    assert verdict.margin_se is None
    assert verdict.marginal is False


def test_an_error_says_why_there_is_no_number() -> None:
    """The estimate's own reason stands in the error's sentence, with the criterion's title."""
    why = judge(a_criterion(), an_estimate(None, reason="3 of 200 maps are constant")).why
    assert "Agreement" in why
    assert "3 of 200 maps are constant" in why


def test_an_error_without_a_reason_names_the_number() -> None:
    """Where nobody gave a reason, the sentence says what was there instead of a number."""
    assert "nan" in judge(a_criterion(), an_estimate(math.nan)).why


def test_a_criterion_on_nothing_measured_is_an_error_that_names_the_measurement() -> None:
    """A measurement that no estimate bears is an error, and the sentence names it."""
    verdict = judge(a_criterion(measurement="agrement"), None)
    assert verdict.verdict == "error"
    assert "'agrement'" in verdict.why
    assert (verdict.estimate, verdict.low, verdict.high, verdict.n) == (None, None, None, 0)


@pytest.mark.parametrize("bounds", [(None, None), (0.65, None), (None, 0.8)])
def test_strict_without_an_interval_is_an_error_that_says_why(bounds: tuple[Any, Any]) -> None:
    """The strict rule can't judge a number whose interval is missing, in whole or in part."""
    estimate = an_estimate(0.7, *bounds, reason="a minimum has no regular interval")
    verdict = judge(a_criterion(), estimate, strict=True)
    assert verdict.verdict == "error"
    assert "a minimum has no regular interval" in verdict.why
    assert judge(a_criterion(), estimate).verdict == "pass"


# the margin


@pytest.mark.parametrize(
    ("relation", "threshold", "number", "margin"),
    [
        (">=", 0.5, 0.75, 2.0),
        (">=", 0.5, 0.5, 0.0),
        (">=", 0.5, 0.25, -2.0),
        ("<=", 0.5, 0.25, 2.0),
        ("<=", 0.5, 0.5, 0.0),
        ("<=", 0.5, 0.75, -2.0),
        ("within", (0.0, 1.0), 0.25, 2.0),
        ("within", (0.0, 1.0), 0.875, 1.0),
        ("within", (0.0, 1.0), 0.5, 4.0),
        ("within", (0.0, 1.0), 1.0, 0.0),
        ("within", (0.0, 1.0), -0.25, -2.0),
        ("within", (0.0, 1.0), 1.25, -2.0),
    ],
)
def test_the_margin_is_the_distance_to_the_nearer_threshold_in_standard_errors(
    relation: str, threshold: Any, number: float, margin: float
) -> None:
    """It is positive on the good side, negative on the bad one, and 0 at the threshold."""
    verdict = judge(a_criterion(relation, threshold), an_estimate(number, standard_error=0.125))
    assert verdict.margin_se == margin


@pytest.mark.parametrize("error", [None, 0.0])
def test_there_is_no_margin_where_the_standard_error_is_0_or_unknown(error: float | None) -> None:
    """A distance can't be counted in errors that are 0 or not known."""
    assert judge(a_criterion(), an_estimate(0.7, standard_error=error)).margin_se is None


# what a verdict says


def test_a_verdict_carries_its_criterion_and_its_estimate() -> None:
    """Everything a reader needs to check the verdict stands in it."""
    criterion = a_criterion("within", (0.6, 0.8), gate=False)
    verdict = judge(criterion, an_estimate(0.7, 0.65, 0.75, standard_error=0.025))
    assert (verdict.id, verdict.title, verdict.measurement) == ("agreement", "Agreement", "agreement")
    assert (verdict.estimate, verdict.low, verdict.high) == (0.7, 0.65, 0.75)
    assert (verdict.confidence, verdict.n, verdict.unit) == (0.9, 123, "correlation")
    assert (verdict.relation, verdict.threshold, verdict.gate) == ("within", (0.6, 0.8), False)


def test_a_criterion_without_a_title_bears_its_measurements() -> None:
    """A title that the configuration left out is the estimate's, and without one the id."""
    assert judge(a_criterion(title=""), an_estimate(0.7)).title == "Agreement of the methods"
    assert judge(a_criterion(title=""), None).title == "agreement"


@pytest.mark.parametrize(
    ("relation", "threshold", "number", "words", "bound"),
    [
        (">=", 0.61, 0.71, "is at least", "0.61"),
        (">=", 0.61, 0.51, "is under", "0.61"),
        ("<=", 0.61, 0.51, "is at most", "0.61"),
        ("<=", 0.61, 0.71, "is over", "0.61"),
        ("within", (0.61, 0.81), 0.71, "lies within", "[0.61, 0.81]"),
        ("within", (0.61, 0.81), 0.51, "does not lie within", "[0.61, 0.81]"),
    ],
)
def test_the_sentence_names_number_interval_and_threshold(
    relation: str, threshold: Any, number: float, words: str, bound: str
) -> None:
    """Title, number, interval, relation and threshold stand in one sentence, in that order."""
    estimate = an_estimate(number, number - 0.0123, number + 0.0123)
    why = judge(a_criterion(relation, threshold), estimate).why
    parts = ["Agreement", f"{number}", f"{number - 0.0123:.4f}", f"{number + 0.0123:.4f}", words, bound]
    places = [why.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)


def test_the_sentence_of_a_number_without_interval_has_none() -> None:
    """Without an interval the sentence holds the number and the threshold alone."""
    assert judge(a_criterion(), an_estimate(0.7123)).why == "Agreement: 0.7123 is at least 0.6"


def test_the_sentence_says_when_the_interval_decided() -> None:
    """The strict rule is named in the sentence, and the ordinary one is not."""
    estimate = an_estimate(0.7, 0.65, 0.75)
    assert "interval" in judge(a_criterion(), estimate, strict=True).why
    assert "interval" not in judge(a_criterion(), estimate).why


def test_numbers_are_shown_with_four_digits_and_what_is_missing_as_a_dash() -> None:
    """Readers see four significant digits, a dash for None, and both ends of a pair."""
    assert [show(x) for x in (0.123456, 12.0, 1234.56, None)] == ["0.1235", "12", "1235", "–"]
    assert [show_threshold(x) for x in (0.75, (45.0, 55.0))] == ["0.75", "[45, 55]"]


@pytest.mark.parametrize(
    ("relation", "threshold"),
    [("within", 0.6), (">=", (0.4, 0.6)), ("<=", (0.4, 0.6)), (">", 0.6), ("", 0.6)],
)
def test_a_threshold_that_does_not_fit_its_relation_is_refused(relation: str, threshold: Any) -> None:
    """`within` takes a pair and the others a number; the message names the relation that was got."""
    with pytest.raises(ValueError, match="relation must be") as caught:
        acceptable(relation, threshold)
    assert repr(relation) in str(caught.value)


# the run's verdict

ROWS = [(outcome, gate) for outcome, gate in itertools.product(("pass", "fail", "error"), (True, False))]


@pytest.mark.parametrize(
    "rows", [r for n in range(4) for r in itertools.combinations_with_replacement(ROWS, n)]
)
def test_error_wins_over_fail_and_fail_over_pass_among_gates(rows: tuple[tuple[str, bool], ...]) -> None:
    """The worst gate decides; watched criteria have no say; no gate at all is an error."""
    gates = [outcome for outcome, gate in rows if gate]
    worst = max(gates, key=["pass", "fail", "error"].index, default="error")
    assert overall(a_verdict(outcome, gate) for outcome, gate in rows) == worst


# what ships


@pytest.mark.parametrize(("k", "band"), [(50, (45.0, 55.0)), (32, (28.8, 35.2)), (7, (6.3, 7.7))])
def test_the_shipped_gates_are_the_documented_ones(k: int, band: tuple[float, float]) -> None:
    """The gates, their measurements, relations and thresholds are those that the definitions state."""
    gates: dict[str, tuple[Any, ...]] = {
        c.id: (c.measurement, c.relation, c.threshold) for c in shipped_criteria(k) if c.gate
    }
    assert gates.pop("sparsity") == ("sparsity", "within", pytest.approx(band, abs=1e-9))
    assert gates == {
        "accuracy": ("accuracy", ">=", 0.75),
        "agreement": ("agreement", ">=", 0.6),
        "reconstruction": ("reconstruction", "<=", 0.1),
        "fraction_unexplained": ("fraction_unexplained", "<=", 0.25),
        "selection": ("selection", ">=", 1.0),
    }


def test_the_worst_pair_and_the_other_correlations_are_watched() -> None:
    """They are asked for the users' 0.6 without a say in the verdict."""
    watched = {c.id: (c.relation, c.threshold) for c in shipped_criteria(50) if not c.gate}
    names = ("worst_pair", "sensitivity", "absolute", "foreground", "spearman")
    assert watched == {f"agreement_{name}": (">=", 0.6) for name in names}


def test_every_shipped_criterion_has_a_title_and_a_measurement_that_exists() -> None:
    """No shipped criterion asks for what nobody measures."""
    for criterion in shipped_criteria(50):
        assert criterion.title
        assert criterion.measurement in measurements


@pytest.mark.parametrize(("number", "shown"), [(0.59996, "0.59996"), (0.5, "0.5"), (0.6, "0.6")])
def test_a_sentence_never_shows_a_number_as_the_threshold_that_it_misses(number: float, shown: str) -> None:
    """0.59996 under 0.6 has the digits that tell them apart."""
    assert f": {shown} is" in judge(a_criterion(), an_estimate(number)).why


@pytest.mark.parametrize("bounds", [(math.nan, 0.8), (0.65, math.nan), (-math.inf, math.inf)])
def test_strict_cannot_judge_an_interval_that_is_not_finite(bounds: tuple[float, float]) -> None:
    """A NaN or infinite bound is no interval: an error, never a fail, and never marginal."""
    assert judge(a_criterion(), an_estimate(0.7, *bounds), strict=True).verdict == "error"
    assert judge(a_criterion(), an_estimate(0.7, *bounds)).marginal is False


@pytest.mark.parametrize("error", [math.nan, math.inf])
def test_a_standard_error_that_is_not_finite_gives_no_margin(error: float) -> None:
    """An unknown error is unknown also where it is NaN."""
    assert judge(a_criterion(), an_estimate(0.7, standard_error=error)).margin_se is None
