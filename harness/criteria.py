"""A criterion and an estimate become a verdict: the only place where a number meets its threshold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeGuard

from harness.config import Criterion
from harness.records import Estimate, Outcome, Verdict

Threshold = float | tuple[float, float]


def acceptable(relation: str, threshold: Threshold) -> tuple[float, float]:
    """The lowest and the highest value that satisfy `>=`, `<=`, or `within` [low, high].

    Raises:
        ValueError: no such relation, or a threshold that does not fit it.
    """
    if isinstance(threshold, tuple):
        if relation == "within":
            return threshold
    elif relation == ">=":
        return threshold, math.inf
    elif relation == "<=":
        return -math.inf, threshold
    raise ValueError(f"relation must be '>=' or '<=' to a number, or 'within' a pair (got {relation!r})")


def judge(criterion: Criterion, estimate: Estimate | None, strict: bool = False) -> Verdict:
    """The verdict on one criterion.

    By default the point estimate decides. With `strict` both of the interval's bounds must satisfy the
    criterion, which for `within` is the equivalence test of two one-sided tests. Whatever has no finite
    number to judge is an error: neither pass nor fail.
    """
    bounds = None
    if estimate is not None and _finite(estimate.low) and _finite(estimate.high):
        bounds = (estimate.low, estimate.high)
    number = None if estimate is None else estimate.estimate
    outcome: Outcome
    marginal, margin_se = False, None
    if estimate is None:
        outcome, why = "error", f"no measurement is called {criterion.measurement!r}"
    elif number is None or not math.isfinite(number):
        outcome = "error"
        why = f"{criterion.title or criterion.id} could not be judged: {estimate.reason or f'it is {number}'}"
    elif strict and bounds is None:
        outcome = "error"
        why = f"--strict needs an interval, and there is none: {estimate.reason}"
    else:
        lowest, highest = acceptable(criterion.relation, criterion.threshold)
        holds = lowest <= number <= highest
        if bounds is not None:
            inside = lowest <= bounds[0] and bounds[1] <= highest
            outside = bounds[1] < lowest or highest < bounds[0]
            marginal = not inside and not outside
            holds = inside if strict else holds
        if estimate.standard_error and _finite(estimate.standard_error):
            margin_se = min(number - lowest, highest - number) / estimate.standard_error
        outcome = "pass" if holds else "fail"
        why = _sentence(criterion, estimate, holds, strict)
    return Verdict(
        id=criterion.id,
        title=criterion.title or (estimate.title if estimate else criterion.id),
        measurement=criterion.measurement,
        estimate=number if number is not None and math.isfinite(number) else None,
        low=bounds[0] if bounds else None,
        high=bounds[1] if bounds else None,
        confidence=estimate.confidence if estimate else 0.95,
        n=estimate.n if estimate else 0,
        relation=criterion.relation,
        threshold=criterion.threshold,
        unit=estimate.unit if estimate else "",
        margin_se=margin_se,
        gate=criterion.gate,
        verdict=outcome,
        marginal=marginal,
        why=why,
    )


def _finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def overall(verdicts: Iterable[Verdict]) -> Outcome:
    """The run's verdict: among gates error wins over fail, and fail over pass; no gate at all is an error."""
    outcomes = {verdict.verdict for verdict in verdicts if verdict.gate}
    if "error" in outcomes or not outcomes:
        return "error"
    return "fail" if "fail" in outcomes else "pass"


def show(value: float | None) -> str:
    """A number as readers see it everywhere: four significant digits; a dash where there is none."""
    return "–" if value is None else f"{value:.4g}"


def show_threshold(threshold: Threshold) -> str:
    """A threshold as readers see it."""
    if isinstance(threshold, tuple):
        return f"[{threshold[0]:g}, {threshold[1]:g}]"
    return f"{threshold:g}"


def _sentence(criterion: Criterion, estimate: Estimate, holds: bool, strict: bool) -> str:
    shown = [one for one in (estimate.estimate, estimate.low, estimate.high) if _finite(one)]
    limits = criterion.threshold if isinstance(criterion.threshold, tuple) else (criterion.threshold,)
    # more digits where four would show a number as the threshold that it misses
    digits = 4
    while digits < 17 and any(float(f"{x:.{digits}g}") == t != x for x in shown for t in limits):
        digits += 1
    number = f"{shown[0]:.{digits}g}"
    if len(shown) == 3:
        number += f" [{shown[1]:.{digits}g}, {shown[2]:.{digits}g}]"
    if criterion.relation == "within":
        words = "lies within" if holds else "does not lie within"
    elif strict and not holds:  # the number itself may hold
        words = "is not surely at least" if criterion.relation == ">=" else "is not surely at most"
    elif criterion.relation == ">=":
        words = "is at least" if holds else "is under"
    else:
        words = "is at most" if holds else "is over"
    rule = " by its interval" if strict else ""
    return f"{criterion.title or criterion.id}: {number} {words} {show_threshold(criterion.threshold)}{rule}"
