"""A criterion and an estimate become a verdict: the only place where a number meets its threshold."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from statistics import NormalDist
from typing import TypeGuard

from harness.capabilities import CAPABILITIES
from harness.config import Config
from harness.config.parameters import Criterion, Model, Selection, Statistics, shipped_criteria
from harness.kinds import WORDS, Words
from harness.records import Estimate, Outcome, Verdict

Threshold = float | tuple[float, float]

POWER = 0.8
"""In how many cases of all a difference has to be told apart to count as detectable (Cohen 1988)."""


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
    bounds = None if estimate is None else _interval(estimate)
    number = None if estimate is None else estimate.estimate
    outcome: Outcome
    marginal, margin_se, detectable = False, None, None
    if estimate is None:
        outcome, why = "error", f"no measurement is called {criterion.measurement!r}"
    elif number is None or not math.isfinite(number):
        outcome = "error"
        why = f"{criterion.title or criterion.id} could not be judged: {estimate.reason or f'it is {number}'}"
    elif strict and bounds is None:
        outcome = "error"
        there = estimate.reason or f"it is [{estimate.low}, {estimate.high}]"
        why = f"{criterion.title or criterion.id}: --strict needs an interval, and there is none: {there}"
    else:
        lowest, highest = acceptable(criterion.relation, criterion.threshold)
        holds = lowest <= number <= highest
        if bounds is not None:
            inside = lowest <= bounds[0] and bounds[1] <= highest
            outside = bounds[1] < lowest or highest < bounds[0]
            marginal = not inside and not outside
            holds = inside if strict else holds
        if (error := _spread(estimate.standard_error, number, criterion.threshold)) is not None:
            margin_se = min(number - lowest, highest - number) / error
            detectable = minimum_detectable_difference(estimate)
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
        minimum_detectable_difference=detectable,
    )


def _spread(error: float | None, number: float, threshold: Threshold) -> float | None:
    """The standard error; None where it is unknown, or 0 but for the rounding of equal values: up to a
    millionth of the threshold, or of the number where that is larger.
    """
    limits = threshold if isinstance(threshold, tuple) else (threshold,)
    return error if _finite(error) and error > 1e-6 * max(map(abs, (number, *limits))) else None


def minimum_detectable_difference(estimate: Estimate) -> float | None:
    """The smallest true distance from a threshold that is told apart with 80 % power, in the number's unit.

    A number is told apart from its threshold when its interval lies on one side. That takes the interval's
    reach to a side, z_(1+c)/2 standard errors (a quantile of t where seeds are few), and z_0.8 more for it
    to happen in four cases of five (Bloom 1995; Cohen 1988). Each relation meets the interval with one
    bound at a time, so the bound's quantile serves all three; `within` has the 90 % interval of its two
    one-sided tests. None where the error is 0 or unknown.
    """
    error, bounds = estimate.standard_error, _interval(estimate)
    if not error or not _finite(error):
        return None
    if bounds is None:
        reach = NormalDist().inv_cdf((1 + estimate.confidence) / 2) * error
    else:
        reach = (bounds[1] - bounds[0]) / 2
    return reach + NormalDist().inv_cdf(POWER) * error


def _interval(estimate: Estimate) -> tuple[float, float] | None:
    """The interval's bounds; None where one is missing or not finite, or where they are out of order."""
    low, high = estimate.low, estimate.high
    return (low, high) if _finite(low) and _finite(high) and low <= high else None


def _finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def overall(verdicts: Iterable[Verdict]) -> Outcome:
    """The run's verdict: among gates error wins over fail, and fail over pass; no gate at all is an error."""
    outcomes = {verdict.verdict for verdict in verdicts if verdict.gate}
    if "error" in outcomes or not outcomes:
        return "error"
    return "fail" if "fail" in outcomes else "pass"


def blame_dead_units(verdict: Verdict, estimates: Mapping[str, Estimate], code_width: int) -> Verdict:
    """The verdict, with the cause where no unit of the code is ever active.

    Such a network decides nothing and has no maps: that there is no number to judge is then its fault, which
    is a fail, and no riddle, which were an error.
    """
    dead, judged = estimates.get("dead_units"), estimates.get(verdict.measurement)
    if verdict.holds or dead is None or judged is None or dead.estimate != code_width:
        return verdict
    changed: dict[str, object] = {"why": f"{verdict.why}; all {code_width} units are dead"}
    if judged.estimate is None:
        changed["verdict"] = "fail"
    return Verdict(**vars(verdict) | changed)


WITHOUT = "judged without "
"""How the announcement begins that names what cannot apply to a model."""


def judged_without(reasons: Mapping[str, str]) -> list[str]:
    """The announcements of what cannot apply to a model: of each reason, the names that it is given for."""
    by_reason: dict[str, list[str]] = {}
    for name, why in reasons.items():
        by_reason.setdefault(why, []).append(name)
    return [f"{WITHOUT}{', '.join(names)}: {why}" for why, names in by_reason.items()]


def announcements(config: Config, there: Collection[str] | None = None) -> list[str]:
    """What a configuration asks less of than the harness as it ships, a sentence each.

    Args:
        config: The configuration.
        there: What its model has (`harness.capabilities`); None where nobody has looked yet, and then nothing
            is said that rests on what another than the shipped one has.
    """
    looser = [
        one
        for one in loosened(config.criteria, config.model.k, config.attribution.methods, config.recipe)
        if one.split(":")[0] not in config.without
    ]
    return (
        judged_without(config.without)
        + looser
        + loosened_selection(config.selection)
        + _loosened_comparison(config, there)
    )


def lacking_threshold(criterion: Criterion, k: int, there: Collection[str]) -> str:
    """Why a shipped threshold says nothing of a model that has the capabilities `there`; empty where it does.

    The band of the sparsity is one around k; of a code without a k only a band of one's own can be judged.
    """
    shipped = next(one for one in shipped_criteria(k) if one.id == "sparsity")
    banded = criterion.measurement == shipped.measurement and criterion.threshold == shipped.threshold
    return CAPABILITIES["k"] if banded and "k" not in there else ""


def titled(criteria: Iterable[Criterion], k: int, words: Words) -> tuple[Criterion, ...]:
    """The criteria, with the titles that ship in the words of the data; a title of one's own stays."""
    wanted = {one.id: one.title for one in shipped_criteria(k, words)}
    known = {(one.id, one.title) for kind in WORDS.values() for one in shipped_criteria(k, kind)}
    return tuple(
        one.model_copy(update={"title": wanted[one.id]}) if (one.id, one.title) in known else one
        for one in criteria
    )


def loosened(
    criteria: Iterable[Criterion], k: int, methods: Collection[str] = (), recipe: str = "reference"
) -> list[str]:
    """What the criteria ask less of than the shipped ones, a sentence for each id.

    A shipped id is looser where it accepts a value that the shipped one refuses, judges by another relation
    or of another measurement, has lost its say, or is gone. The shipped band of the sparsity follows `k`, and
    which criteria are gates the recipe and `methods`.
    """
    declared = {criterion.id: criterion for criterion in criteria}
    shipped = shipped_criteria(k, methods=methods, recipe=recipe)
    found = {one.id: "; ".join(_loosenings(one, declared.get(one.id))) for one in shipped}
    return [f"{name}: looser than shipped: {text}" for name, text in found.items() if text]


def _loosenings(shipped: Criterion, mine: Criterion | None) -> Iterator[str]:
    if mine is None:
        yield "it is not judged at all"
        return
    if mine.measurement != shipped.measurement:
        yield f"it judges {mine.measurement}, not {shipped.measurement}"
    if mine.relation != shipped.relation or not _inside(mine, shipped):
        yield (
            f"{mine.relation} {show_threshold(mine.threshold)}, "
            f"not {shipped.relation} {show_threshold(shipped.threshold)}"
        )
    if shipped.gate and not mine.gate:
        yield "it is watched, not a gate"


def _inside(mine: Criterion, shipped: Criterion) -> bool:
    """Whether every value that satisfies `mine` satisfies `shipped`; a last digit's rounding is forgiven."""
    low, high = acceptable(mine.relation, mine.threshold)
    lowest, highest = acceptable(shipped.relation, shipped.threshold)
    return (low >= lowest or math.isclose(low, lowest)) and (high <= highest or math.isclose(high, highest))


def loosened_selection(selection: Selection) -> list[str]:
    """The conditions of the explained images that are under the shipped ones, a sentence each."""
    shipped = Selection()
    return [
        f"selection.{key}: looser than shipped: {getattr(selection, key)}, not {getattr(shipped, key)}"
        for key in ("confidence", "minimum_per_class")
        if getattr(selection, key) < getattr(shipped, key)
    ]


EARNED = frozenset({"gradient", "reconstruction"})
"""What `decoder_weighted` needs, the method whose agreement with others training has to earn."""


def _loosened_comparison(config: Config, there: Collection[str] | None) -> list[str]:
    """What makes the comparison itself easier: narrower intervals, or no pair that training has to earn."""
    mine, shipped = config.statistics.interval_confidence, Statistics().interval_confidence
    found = []
    if mine < shipped:
        found.append(f"statistics.interval_confidence: looser than shipped: {mine:g}, not {shipped:g}")
    paired = any(name.startswith("decoder_weighted") for name in config.attribution.methods)
    applies = config.model.model == Model().model if there is None else set(there) >= EARNED
    if applies and not paired and "methods.decoder_weighted" not in config.without:
        found.append(
            "attribution.methods: looser than shipped: without decoder_weighted; "
            "the gradient methods agree in an untrained network too"
        )
    return found


def show(value: float | None) -> str:
    """A number as readers see it everywhere: four significant digits; a dash where there is none."""
    return "–" if value is None else f"{value:.4g}"


def show_threshold(threshold: Threshold | None) -> str:
    """A threshold as readers see it; a dash where there is none."""
    if threshold is None:
        return "–"
    if isinstance(threshold, tuple):
        return f"[{threshold[0]:g}, {threshold[1]:g}]"
    return f"{threshold:g}"


def show_rule(relation: str, threshold: Threshold | None) -> str:
    """How a number must stand to its threshold; a dash where there is none, as of a test of one's own."""
    return "–" if threshold is None else f"{relation} {show_threshold(threshold)}"


def show_count(n: int) -> str:
    """How many values stand behind a number; a dash where none do."""
    return f"{n:,}" if n else "–"


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
    least, most = acceptable(criterion.relation, criterion.threshold)
    if criterion.relation == "within":
        words = "lies within" if holds else "does not lie within"
    elif strict and not holds and least <= shown[0] <= most:  # the number itself holds
        words = "is not surely at least" if criterion.relation == ">=" else "is not surely at most"
    elif criterion.relation == ">=":
        words = "is at least" if holds else "is under"
    else:
        words = "is at most" if holds else "is over"
    rule = " by its interval" if strict else ""
    return f"{criterion.title or criterion.id}: {number} {words} {show_threshold(criterion.threshold)}{rule}"
