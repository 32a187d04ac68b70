"""The section that shows every criterion's distance from its threshold on one axis."""

from __future__ import annotations

import math
from collections.abc import Callable

from harness import figures
from harness.criteria import acceptable, show, show_threshold
from harness.figures import Margin
from harness.records import Verdict
from harness.report.page import Chart, Context, interval, section
from harness.runs import Run
from harness.text import clean


@section("forest", "How far every criterion is from its threshold")
def _forest(run: Run) -> Context | str:
    if not run.estimates:
        return "The run broke off before anything was measured."
    criteria: list[Verdict] = (run.verdict or {})["criteria"]
    margins = {one.id: margin(run, one) for one in criteria}
    order = sorted(criteria, key=lambda one: _rank(margins[one.id]))
    rows = [
        (
            one.title,
            "gate" if one.gate else "watched",
            one.verdict,
            show(one.estimate),
            show_threshold(one.threshold),
            _in_words(margins[one.id], one),
            interval(margins[one.id].low, margins[one.id].high),
            ", ".join(f"{seed:+.1f}" for seed in margins[one.id].seeds) or "–",
        )
        for one in order
    ]
    columns = ("criterion", "kind", "verdict", "estimate", "threshold", "margin [s.e.]", "interval", "seeds")
    figure = figures.forest([margins[one.id] for one in order])
    chart = Chart("forest-plot", figure, _finding(list(margins.values())), columns, rows)
    return {"chart": chart, "several": any(one.seeds for one in margins.values())}


def margin(run: Run, criterion: Verdict) -> Margin:
    """A criterion's distance from its threshold, its interval's and its seeds', in joint standard errors.

    Of the two bounds of `within` the nearer one decides.
    """
    estimate = run.estimate(criterion.measurement)
    error = None if estimate is None else estimate.standard_error
    value = low = high = None
    seeds: tuple[float, ...] = ()
    side = 0
    if criterion.estimate is not None and criterion.threshold is not None:
        distance = _distance(criterion)
        side = 1 if distance(criterion.estimate) >= 0 else -1
        if criterion.margin_se is not None and error:
            value = distance(criterion.estimate) / error
            if criterion.low is not None and criterion.high is not None:
                low, high = sorted(distance(bound) / error for bound in (criterion.low, criterion.high))
            own = [one for one in run.estimates if one.name == criterion.measurement and one.seed is not None]
            if len(run.config.seeds) > 1:
                seeds = tuple(distance(one.estimate) / error for one in own if one.estimate is not None)
    return Margin(
        title=clean(criterion.title, 60),
        gate=criterion.gate,
        word=criterion.verdict,
        red=not criterion.holds,
        value=value,
        low=low,
        high=high,
        seeds=seeds,
        side=side,
    )


def _distance(criterion: Verdict) -> Callable[[float], float]:
    """The signed distance of a number from the bound that is nearest to the estimate."""
    if criterion.estimate is None or criterion.threshold is None:
        raise ValueError(f"{criterion.id}: a distance needs an estimate and a threshold")
    lowest, highest = acceptable(criterion.relation, criterion.threshold)
    if criterion.estimate - lowest <= highest - criterion.estimate:
        return lambda number: number - lowest
    return lambda number: highest - number


def _rank(one: Margin) -> tuple[bool, bool, float]:
    """Gates first; of each kind what is without a number, then the smallest margin, then what is exact."""
    known = one.value if one.value is not None else {0: -math.inf, -1: -1e308, 1: math.inf}[one.side]
    return not one.gate, one.side != 0, known


def _in_words(one: Margin, criterion: Verdict) -> str:
    if one.value is not None:
        return f"{one.value:+.1f}"
    if not one.side:
        return "no number"
    what = "exact" if criterion.low == criterion.high else "no standard error"
    return f"{what}, {'good' if one.side > 0 else 'bad'} side"


def _finding(margins: list[Margin]) -> str:
    gates = [one for one in margins if one.gate and one.side]
    good = sum(one.side > 0 for one in gates)
    text = f"{good} of {len(gates)} gates with a threshold lie on its good side." if gates else ""
    for kind, of_kind in (("gates", True), ("watched criteria", False)):
        measured = [(one.value, one) for one in margins if one.gate is of_kind and one.value is not None]
        if measured:
            value, first = min(measured, key=lambda pair: pair[0])
            how = "nearest to its threshold" if value >= 0 else "furthest beyond its threshold"
            text += (
                f" Of the {kind} '{first.title}' is {how}, {abs(value):.1f} standard errors {_side(value)}."
            )
    if silent := [one.title for one in margins if not one.side]:
        text += f" Without a number: {', '.join(silent)}."
    return text.strip()


def _side(value: float) -> str:
    return "on the good side" if value >= 0 else "on the bad side"
