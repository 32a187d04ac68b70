"""A number meets its threshold: boundaries, errors, intervals, margins, and the run's verdict."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import statistics
from harness.attributions import methods
from harness.config import Config
from harness.config.parameters import SWITCH_AWARE, Criterion, Selection, shipped_criteria
from harness.criteria import (
    EARNED,
    acceptable,
    announcements,
    blame_dead_units,
    judge,
    judged_without,
    loosened,
    loosened_selection,
    minimum_detectable_difference,
    overall,
    show,
    show_count,
    show_rule,
    show_threshold,
    titled,
)
from harness.kinds import WORDS
from harness.measurements import measurements
from harness.records import Estimate, Measurement, Outcome, Verdict

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


def test_what_is_declared_away_is_told_by_reason() -> None:
    """Each reason stands behind the names that it is given for."""
    told = judged_without(
        {"decoder_weighted": "no code", "sparsity": "no k; or so", "reconstruction": "no code"}
    )
    assert told == [
        "judged without decoder_weighted, reconstruction: no code",
        "judged without sparsity: no k; or so",
    ]
    assert judged_without({}) == []


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


@pytest.mark.parametrize(
    ("error", "known"), [(None, False), (0.0, False), (1e-13, False), (5e-7, False), (1e-6, True)]
)
def test_there_is_no_margin_where_the_standard_error_is_none(error: float | None, known: bool) -> None:
    """A distance can't be counted in errors that are not known, 0, or the rounding of equal values."""
    verdict = judge(a_criterion(), an_estimate(0.7, standard_error=error))
    assert (verdict.margin_se is not None, verdict.minimum_detectable_difference is not None) == (known,) * 2


def test_a_spread_about_a_threshold_of_0_is_measured_by_the_number() -> None:
    """A small number with a small error keeps its margin."""
    for number, error, known in [(0.0, 1e-9, True), (1e-3, 1e-5, True), (1e-3, 1e-12, False)]:
        verdict = judge(a_criterion(">=", 0.0), an_estimate(number, standard_error=error))
        assert (verdict.margin_se is not None) == known


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
    assert [show_count(n) for n in (1234, 0)] == ["1,234", "–"]
    assert [show_rule(">=", 0.75), show_rule("within", (45.0, 55.0))] == [">= 0.75", "within [45, 55]"]
    assert show_rule("holds", None) == "–"


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
        "attribution_integrity": ("attribution_integrity", ">=", 0.95),
        "attribution_copies": ("attribution_copies", "<=", 0.999),
        "attribution_faithfulness": ("attribution_faithfulness", ">=", 1e-6),
        "test_overlap": ("test_overlap", "<=", 0.01),
    }


def test_the_worst_pair_and_the_other_correlations_are_watched() -> None:
    """They are asked for the users' 0.6, and agreement for more than its controls have, without a say."""
    watched = {c.id: (c.relation, c.threshold) for c in shipped_criteria(50) if not c.gate}
    assert watched.pop("agreement_above_controls") == (">=", 0.0)
    names = ("worst_pair", "sensitivity", "absolute", "foreground", "spearman")
    assert watched == {f"agreement_{name}": (">=", 0.6) for name in names}


def test_the_recipe_interpretable_is_judged_by_every_pair_in_both_spaces() -> None:
    """Two gates more, of the worst pair; what a configuration keeps of the recipe's own is announced."""
    plain, mine = ({c.id: c for c in Config(recipe=one).criteria} for one in ("reference", "interpretable"))
    worst = ["agreement_worst_pair", "agreement_worst_pair_sensitivity"]
    assert [one for one in mine if mine[one] != plain.get(one)] == worst
    assert all(
        (mine[one].relation, mine[one].threshold, mine[one].gate) == (">=", 0.6, True) for one in worst
    )
    assert loosened(mine.values(), 50, recipe="interpretable") == []
    assert [one.split(":")[0] for one in loosened(plain.values(), 50, recipe="interpretable")] == worst
    watched = {"recipe": "interpretable", "criteria": [{"id": worst[0], "gate": False}]}
    told = f"{worst[0]}: looser than shipped: it is watched, not a gate"
    assert told in announcements(Config.model_validate(watched))


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


@pytest.mark.parametrize("bounds", [(math.nan, 0.8), (0.65, -math.inf), (0.8, 0.65)])
def test_strict_says_which_interval_it_cannot_use(bounds: tuple[float, float]) -> None:
    """Bounds that are not finite or out of order are no interval, and the sentence shows them."""
    why = judge(a_criterion(), an_estimate(0.7, *bounds), strict=True).why
    assert (
        why == f"Agreement: --strict needs an interval, and there is none: it is [{bounds[0]}, {bounds[1]}]"
    )


@pytest.mark.parametrize("relation", [">=", "<="])
def test_an_interval_whose_bounds_are_swapped_judges_nothing(relation: str) -> None:
    """Swapped bounds would turn an interval that straddles its threshold into one that holds."""
    swapped = an_estimate(0.6, 0.7, 0.5)
    assert judge(a_criterion(relation), swapped, strict=True).verdict == "error"
    assert judge(a_criterion(relation), swapped).marginal is False
    assert (judge(a_criterion(relation), swapped).low, judge(a_criterion(relation), swapped).high) == (
        None,
        None,
    )


def test_an_interval_of_width_0_is_an_interval() -> None:
    """Equal bounds judge as their one value does."""
    assert judge(a_criterion(), an_estimate(0.6, 0.6, 0.6), strict=True).verdict == "pass"
    assert judge(a_criterion(), an_estimate(0.5, 0.5, 0.5), strict=True).verdict == "fail"


# what the run could have told apart


@pytest.mark.parametrize(
    ("confidence", "multiple"),
    # tables of the normal distribution: 1.959964 + 0.841621, 1.644854 + 0.841621, 2.575829 + 0.841621
    [(0.95, 2.801585), (0.9, 2.486475), (0.99, 3.417450)],
)
def test_the_detectable_difference_is_bloom_s_multiple_of_the_standard_error(
    confidence: float, multiple: float
) -> None:
    """With a normal interval it is 2.8 standard errors at 95 %, 2.49 at 90 % (Bloom 1995, table 1)."""
    half = (multiple - 0.841621) * 0.01
    for bounds in ((None, None), (0.7 - half, 0.7 + half)):
        estimate = an_estimate(0.7, *bounds, standard_error=0.01, confidence=confidence)
        assert minimum_detectable_difference(estimate) == pytest.approx(0.01 * multiple, rel=1e-5)
        assert judge(a_criterion(), estimate).minimum_detectable_difference == minimum_detectable_difference(
            estimate
        )


def test_a_true_distance_of_the_detectable_difference_is_told_apart_four_times_in_five() -> None:
    """Drawn again and again at that distance, 80 % of intervals leave the threshold outside."""
    generator = np.random.default_rng(0)
    error, half = 0.02, 1.959964 * 0.02
    distance = minimum_detectable_difference(an_estimate(0.7, 0.7 - half, 0.7 + half, standard_error=error))
    assert distance is not None
    drawn = generator.normal(0.6 - distance, error, 2000)
    verdicts = [judge(a_criterion(), an_estimate(float(x), float(x) - half, float(x) + half)) for x in drawn]
    apart = np.mean([one.verdict == "fail" and not one.marginal for one in verdicts])
    assert apart == pytest.approx(0.8, abs=0.03)


def test_a_wide_interval_of_few_seeds_counts_as_wide() -> None:
    """The interval's own reach is asked, so three seeds do not pass for many."""
    few = an_estimate(0.7, 0.7 - 0.043, 0.7 + 0.043, standard_error=0.01)
    assert minimum_detectable_difference(few) == pytest.approx(0.043 + 0.00841621, rel=1e-5)


@pytest.mark.parametrize("error", [None, 0.0, math.nan, math.inf])
def test_nothing_is_known_to_be_detectable_without_a_standard_error(error: float | None) -> None:
    """An error that is 0, not finite or unknown tells no difference apart."""
    estimate = an_estimate(0.7, 0.6, 0.8, standard_error=error)
    assert minimum_detectable_difference(estimate) is None


def test_an_error_detects_nothing() -> None:
    """A criterion without a number has no detectable difference either."""
    assert judge(a_criterion(), an_estimate(None, standard_error=0.1)).minimum_detectable_difference is None
    assert judge(a_criterion(), None).minimum_detectable_difference is None


# thresholds looser than the shipped ones


def changed(name: str, **change: Any) -> list[Criterion]:
    """The shipped criteria, one of them changed."""
    return [
        Criterion.model_validate(one.model_dump() | change) if one.id == name else one
        for one in shipped_criteria(50)
    ]


def test_a_gate_that_comes_with_a_method_is_not_loosened_in_silence() -> None:
    """Where the method is asked; where it is not, nothing is missing."""
    loose = shipped_criteria(50)
    (sentence,) = loosened(loose, 50, ("gradients", SWITCH_AWARE))
    assert sentence == f"completeness.{SWITCH_AWARE}: looser than shipped: it is not judged at all"
    assert loosened(shipped_criteria(50, methods=[SWITCH_AWARE]), 50, [SWITCH_AWARE]) == []


@pytest.mark.parametrize("k", [1, 7, 23, 50, 1000])
def test_the_shipped_criteria_are_not_looser_than_themselves(k: int) -> None:
    """Nothing is announced where nothing was changed, whatever k makes of the sparsity's band."""
    assert loosened(shipped_criteria(k), k) == []
    assert announcements(Config.model_validate({"model": {"k": k}})) == []


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("accuracy", {"threshold": 0.74}, ">= 0.74, not >= 0.75"),
        ("agreement", {"threshold": below(0.6) - 1e-8}, "not >= 0.6"),
        ("reconstruction", {"threshold": 0.11}, "<= 0.11, not <= 0.1"),
        ("sparsity", {"threshold": (40.0, 55.0)}, "within [40, 55], not within [45, 55]"),
        ("sparsity", {"threshold": (45.0, 56.0)}, "within [45, 56], not within [45, 55]"),
        ("sparsity", {"threshold": (60.0, 65.0)}, "within [60, 65], not within [45, 55]"),
        ("sparsity", {"relation": "<=", "threshold": 50.0}, "<= 50, not within [45, 55]"),
        ("accuracy", {"relation": "<=", "threshold": 0.75}, "<= 0.75, not >= 0.75"),
        ("accuracy", {"relation": "within", "threshold": (0.8, 0.9)}, "within [0.8, 0.9], not >= 0.75"),
        ("accuracy", {"measurement": "selection"}, "it judges selection, not accuracy"),
        ("accuracy", {"gate": False}, "it is watched, not a gate"),
        ("agreement_worst_pair", {"threshold": 0.3}, ">= 0.3, not >= 0.6"),
    ],
)
def test_a_criterion_that_asks_less_than_the_shipped_one_is_announced(
    name: str, change: dict[str, Any], words: str
) -> None:
    """The sentence names the id, what is asked and what ships (fault 15)."""
    (sentence,) = loosened(changed(name, **change), 50)
    assert sentence.startswith(f"{name}: looser than shipped: ")
    assert words in sentence


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("accuracy", {"threshold": 0.9}),
        ("reconstruction", {"threshold": 0.05}),
        ("sparsity", {"threshold": (46.0, 54.0)}),
        ("agreement_worst_pair", {"gate": True}),
        ("accuracy", {"title": "Another title"}),
        ("accuracy", {"threshold": below(0.75)}),
    ],
)
def test_a_criterion_that_asks_as_much_or_more_is_not_announced(name: str, change: dict[str, Any]) -> None:
    """Stricter thresholds, a watch made a gate, another title or a last digit are not looser."""
    assert loosened(changed(name, **change), 50) == []


def test_all_that_makes_a_criterion_looser_stands_in_one_sentence() -> None:
    """Measurement, threshold and lost say of one id are told together."""
    loose = changed("accuracy", measurement="selection", threshold=0.5, gate=False)
    text = "it judges selection, not accuracy; >= 0.5, not >= 0.75; it is watched, not a gate"
    assert loosened(loose, 50) == [f"accuracy: looser than shipped: {text}"]


def test_a_shipped_criterion_that_is_gone_is_announced() -> None:
    """Criteria that lack a shipped id ask less; those that have another id ask more."""
    few = [one for one in shipped_criteria(50) if one.id != "agreement"]
    assert loosened([*few, a_criterion(id="own")], 50) == [
        "agreement: looser than shipped: it is not judged at all"
    ]


def test_k_moves_the_shipped_band_and_is_not_looser() -> None:
    """The band of one k under another one is looser; under its own it is what ships."""
    assert loosened(shipped_criteria(20), 20) == []
    assert [one.split(":")[0] for one in loosened(shipped_criteria(20), 50)] == ["sparsity"]


def test_a_choice_of_less_sure_or_fewer_images_is_announced() -> None:
    """Confidence and least number a class under the shipped ones are told; more of them is not (fault 15)."""
    assert loosened_selection(Selection()) == []
    assert loosened_selection(Selection(confidence=0.9, minimum_per_class=4, samples_per_class=5)) == []
    assert loosened_selection(Selection(confidence=0.79, minimum_per_class=2)) == [
        "selection.confidence: looser than shipped: 0.79, not 0.8",
        "selection.minimum_per_class: looser than shipped: 2, not 3",
    ]


def test_a_configuration_announces_criteria_and_choice() -> None:
    """Both kinds of looser rules are told of a configuration (fault 15)."""
    loose = Config.model_validate(
        {"criteria": [{"id": "accuracy", "threshold": 0.1}], "selection": {"confidence": 0.5}}
    )
    assert [one.split(":")[0] for one in announcements(loose)] == ["accuracy", "selection.confidence"]


def test_an_easier_comparison_is_announced() -> None:
    """Narrower intervals, and methods of which no pair has to be earned, are told (fault 15)."""
    loose = Config.model_validate(
        {
            "statistics": {"interval_confidence": 0.9},
            "attribution": {"methods": ["gradients", "smoothgrad"]},
        }
    )
    assert announcements(loose) == [
        "statistics.interval_confidence: looser than shipped: 0.9, not 0.95",
        "attribution.methods: looser than shipped: without decoder_weighted; "
        "the gradient methods agree in an untrained network too",
    ]
    same = {
        "statistics": {"interval_confidence": 0.99},
        "attribution": {"methods": ["decoder_weighted", "gradients"]},
    }
    assert announcements(Config.model_validate(same)) == []


def test_a_method_that_the_model_cannot_be_asked_by_is_not_missed() -> None:
    """Without a code that gives the inputs back there is no pair that training has to earn."""
    loose = Config.model_validate({"attribution": {"methods": ["gradients", "smoothgrad"]}})
    other = Config.model_validate({"model": {"model": "mlp"}, "attribution": {"methods": ["gradients"]}})
    assert frozenset(methods["decoder_weighted"].needs) == EARNED
    for config in (loose, other):
        assert announcements(config, EARNED - {"reconstruction"}) == []
        assert len(announcements(config, EARNED)) == 1
    assert len(announcements(loose)) == 1
    assert announcements(other) == []  # nobody has looked yet


# a code of dead units


def test_a_code_of_dead_units_fails_and_says_so() -> None:
    """With every unit dead, what fails or has no number is a fail that names the cause (fault 19)."""
    estimates = {
        "sparsity": an_estimate(0.0, name="sparsity"),
        "agreement": an_estimate(None, reason="no test image is named rightly"),
        "dead_units": an_estimate(1024.0, name="dead_units"),
    }
    sparsity = judge(a_criterion("within", (45, 55), measurement="sparsity"), estimates["sparsity"])
    agreement = judge(a_criterion(), estimates["agreement"])
    assert agreement.verdict == "error"
    for verdict in (sparsity, agreement):
        blamed = blame_dead_units(verdict, estimates, 1024)
        assert blamed.verdict == "fail"
        assert blamed.why == f"{verdict.why}; all 1024 units are dead"


def test_dead_units_excuse_and_blame_nothing_else() -> None:
    """A live unit, a criterion that holds, one that nobody measured, or one without an interval stays."""
    there = {"agreement": an_estimate(0.5), "dead_units": an_estimate(1023.0)}
    verdict = judge(a_criterion(), there["agreement"])
    assert blame_dead_units(verdict, there, 1024) == verdict
    assert blame_dead_units(verdict, {"agreement": an_estimate(0.5)}, 1024) == verdict
    dead = {"agreement": an_estimate(0.7), "dead_units": an_estimate(1024.0)}
    holds = judge(a_criterion(), dead["agreement"])
    assert blame_dead_units(holds, dead, 1024) == holds
    unknown = judge(a_criterion(measurement="agrement"), None)
    assert blame_dead_units(unknown, dead, 1024) == unknown
    strict = judge(a_criterion(), dead["agreement"], strict=True)
    assert blame_dead_units(strict, dead, 1024).verdict == "error"


# values that are all equal


@pytest.mark.parametrize("reduction", ["mean", "equivalence"])
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
@pytest.mark.parametrize("value", [0.7, 0.1, 0.0])
def test_values_that_are_all_equal_have_an_interval_of_width_0(
    reduction: str, seeds: tuple[int, ...], value: float
) -> None:
    """Equal values give an interval without width, no NaN, and a verdict without a margin (fault 21)."""
    measured = Measurement(
        "agreement", "Agreement", "correlation", True, reduction, np.full(30, value), np.repeat([0, 1, 2], 10)
    )
    estimate = statistics.estimate(
        [measured] * len(seeds), seeds, confidence=0.95, resamples=200, generator=np.random.default_rng(0)
    )
    verdict = judge(a_criterion(), estimate, strict=True)
    assert verdict.estimate == pytest.approx(value, rel=1e-12)
    assert verdict.low == verdict.high == verdict.estimate
    assert verdict.verdict == ("pass" if value >= 0.6 else "fail")
    assert (verdict.margin_se, verdict.minimum_detectable_difference, verdict.marginal) == (None, None, False)


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize("before", WORDS)
def test_shipped_titles_have_the_words_of_the_data(kind: str, before: str) -> None:
    """Whatever the data of the run was whose configuration is run again; a title of one's own stays."""
    mine = Criterion(
        id="accuracy", title="Images named rightly", measurement="accuracy", relation=">=", threshold=1
    )
    asked = (mine, *shipped_criteria(30, WORDS[before])[1:])
    assert titled(asked, 30, WORDS[kind]) == (mine, *shipped_criteria(30, WORDS[kind])[1:])
