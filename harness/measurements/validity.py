"""Whether each method's maps follow the model, and hold beyond the images that were selected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from harness.measurements.agreement import by_pair, correlations, incomparable
from harness.measurements.evidence import NO_METHOD, Evidence, measurements, not_finite, sampled
from harness.records import Floats, Ints, Measurement
from harness.samples import bins, in_bin

AT_LEAST = 10
"""Fewer images than this, of those that were not selected, speak for nobody."""

CURVES = ("deletion", "insertion")


def _area_unit(evidence: Evidence) -> str:
    return f"share of probability x share of {evidence.words.features}"


def area(curves: Floats) -> Floats:
    """The area under curves of evenly spaced points from 0 to 1 (float [..., points]), by trapezoids."""
    rows = curves.astype(np.float64)
    return np.asarray((rows[..., 1:] + rows[..., :-1]).mean(axis=-1) / 2)


def _areas(evidence: Evidence) -> dict[str, dict[str, Floats]]:
    """The areas (float64 [n]) by curve and by order; empty where no curves were asked for."""
    asked = evidence.sanity.get("curves")
    if asked is None:
        return {}
    names = [str(name) for name in asked["orders"]]
    return {curve: dict(zip(names, area(asked[curve]), strict=True)) for curve in CURVES}


def _unasked(evidence: Evidence, subject: str) -> str | None:
    """Why a probe's answers cannot be measured; None where they can."""
    asked = evidence.sanity.get(subject)
    if asked is None:
        return f"the run holds no answers to the {subject} probe; compute it again"
    names = {str(name) for name in asked["orders" if subject == "curves" else "methods"]}
    if missing := sorted(set(evidence.methods) - names):
        return f"the {subject} probe did not ask {', '.join(missing)}; compute it again"
    return not_finite(evidence.contributions())


def _rows(evidence: Evidence, subject: str) -> Ints | None:
    """The positions of the samples that a probe asked; None where it asked all."""
    rows: Ints | None = evidence.sanity.get(subject, {}).get("rows")
    return rows


def _in_part(evidence: Evidence, subject: str) -> str:
    """What is to be said of a probe that asked fewer, to stay within its budget."""
    rows = _rows(evidence, subject)
    if rows is None:
        return ""
    return f" (asked of {len(rows)} of {len(evidence.labels)} {evidence.words.noun}: probe_budget)"


def _answers(evidence: Evidence, subject: str, what: str, name: str) -> Floats:
    """What a probe found of one method, float64 [n]."""
    asked = evidence.sanity[subject]
    row = [str(one) for one in asked["methods"]].index(name)
    return np.asarray(asked[what][row], dtype=np.float64)


def _broken(curve: str, areas: Mapping[str, Floats]) -> str | None:
    """Why areas by order are no numbers; None where they are."""
    for name, values in areas.items():
        bad = int((~np.isfinite(values)).sum())
        if bad:
            return f"{bad} of {len(values)} {curve} curves by {name} hold NaN or infinite values"
    return None


def _of_curve(evidence: Evidence, curve: str) -> Iterator[Measurement]:
    reason = _unasked(evidence, "curves")
    areas = _areas(evidence).get(curve, {})
    for name in areas or evidence.methods:

        def values(name: str = name) -> Floats:
            return areas[name]

        better = (curve == "insertion") if name in evidence.methods else None
        order = {"image": f"the {evidence.words.one} itself, |x|", "random": "a random order"}.get(name, name)
        yield sampled(
            evidence,
            f"{curve}.{name}",
            f"Area under {curve} by {order}",
            values,
            unit=_area_unit(evidence),
            higher_is_better=better,
            reason=reason or _broken(curve, {name: areas[name]}),
        )


@measurements.register("deletion")
def deletion(evidence: Evidence) -> Iterator[Measurement]:
    """Area under the probability of y as pixels leave (Petsiuk et al. 2018), for each order."""
    return _of_curve(evidence, "deletion")


@measurements.register("insertion")
def insertion(evidence: Evidence) -> Iterator[Measurement]:
    """Area under the probability of y as pixels enter the baseline, for each order."""
    return _of_curve(evidence, "insertion")


def _advantages(evidence: Evidence, methods: tuple[str, ...], rival: str) -> Floats:
    """How much better than a rival's order each method's is, by deletion and insertion: [n, 2 methods]."""
    areas = _areas(evidence)
    columns = []
    for name in methods:
        columns.append(areas["deletion"][rival] - areas["deletion"][name])
        columns.append(areas["insertion"][name] - areas["insertion"][rival])
    return np.stack(columns, axis=1)


def _advantage(
    evidence: Evidence, name: str, title: str, methods: tuple[str, ...], rival: str
) -> Measurement:
    reason = _unasked(evidence, "curves")
    if not methods:
        reason = NO_METHOD
    if reason is None:
        broken = [_broken(curve, areas) for curve, areas in _areas(evidence).items()]
        reason = next(filter(None, broken), None)
    return sampled(
        evidence,
        name,
        title,
        lambda: _advantages(evidence, methods, rival),
        unit=_area_unit(evidence),
        reduction="smallest mean",
        reason=reason,
    )


@measurements.register("attribution_faithfulness")
def attribution_faithfulness(evidence: Evidence) -> Iterator[Measurement]:
    """The smallest advantage over the order by |x|, of methods from the baseline, by deletion and insertion.

    What beats |x| knows more of the model than that bright pixels matter. To put features at the baseline is
    the question of methods that start from there: one that starts from the data, or says where and not how
    much, ranks features high whose loss changes nothing, and is asked only where there is no other.
    """
    yield _advantage(
        evidence,
        "attribution_faithfulness",
        f"Smallest advantage over ordering {evidence.words.features} by |x|",
        _from_the_baseline(evidence),
        "image",
    )


@measurements.register("faithfulness")
def faithfulness(evidence: Evidence) -> Iterator[Measurement]:
    """The smaller advantage over the order by |x|, of deletion and insertion, of each method asked."""
    for name in _from_the_baseline(evidence):
        yield _advantage(evidence, f"faithfulness.{name}", f"Advantage of {name} over |x|", (name,), "image")


def _from_the_baseline(evidence: Evidence) -> tuple[str, ...]:
    """The methods whose maps are shares against the baseline; all of them where none is."""
    return tuple(name for name in evidence.methods if evidence.maps[name].missingness) or evidence.methods


@measurements.register("advantage_over_random")
def advantage_over_random(evidence: Evidence) -> Iterator[Measurement]:
    """The smallest advantage over a random order, of all methods, by deletion and by insertion."""
    yield _advantage(
        evidence,
        "advantage_over_random",
        f"Smallest advantage over a random order of {evidence.words.features}",
        evidence.methods,
        "random",
    )


@measurements.register("randomisation")
def randomisation(evidence: Evidence) -> Iterator[Measurement]:
    """Correlation of each method's maps with those under new weights (Adebayo et al. 2018).

    `randomisation.<method>.<layer>` with this layer and all after it new, `.alone.` with it alone. A method
    that keeps its maps explains something else than the weights.
    """
    reason = _unasked(evidence, "randomisation")
    asked: Mapping[str, Any] = evidence.sanity.get("randomisation", {"layers": [], "methods": []})
    part, rows = _in_part(evidence, "randomisation"), _rows(evidence, "randomisation")
    for name in evidence.methods:
        row = [str(one) for one in asked["methods"]].index(name) if reason is None else 0
        for number, layer in enumerate(asked["layers"] if len(asked["layers"]) else ["any"]):
            for kind in ("cascading", "alone"):

                def values(kind: str = kind, row: int = row, number: int = number) -> Floats:
                    return np.asarray(asked[kind][row, number], dtype=np.float64)

                alone = kind == "alone"
                yield sampled(
                    evidence,
                    f"randomisation.{name}.{'alone.' if alone else ''}{layer}",
                    f"{name} with new weights in {layer} {'alone' if alone else 'and all after it'}{part}",
                    values,
                    higher_is_better=False,
                    reason=reason,
                    rows=rows,
                )


@measurements.register("max_sensitivity")
def max_sensitivity(evidence: Evidence) -> Iterator[Measurement]:
    """The largest relative change of a map, in its own space, as pixels move a little (Yeh et al. 2019)."""
    reason = _unasked(evidence, "stability")
    for name in evidence.methods:
        yield sampled(
            evidence,
            f"max_sensitivity.{name}",
            f"Max-sensitivity of {name}{_in_part(evidence, 'stability')}",
            partial(_answers, evidence, "stability", "max_sensitivity", name),
            unit="share of the map's norm",
            higher_is_better=False,
            reason=reason,
            rows=_rows(evidence, "stability"),
        )


@measurements.register("surrogate_fit")
def surrogate_fit(evidence: Evidence) -> Iterator[Measurement]:
    """How much of what the model says of fresh coalitions the sums of a method's groups explain.

    R-squared, with a fitted constant, at coalitions in which each group stays by a fair coin: the smallest of
    the methods', and each one's; nothing of methods that draw no coalitions. A map may be the best fit that
    there is and the fit be poor.
    """
    names = [name for name in _drawing(evidence) if evidence.maps[name].groups is not None]

    def fits(asked: list[str]) -> Floats:
        return np.stack([_answers(evidence, "coalitions", "fit", name) for name in asked], axis=1)

    for name, title, asked in [
        ("surrogate_fit", "Fit of group sums at fresh coalitions", names),
        *((f"surrogate_fit.{name}", f"Fit of {name} at fresh coalitions", [name]) for name in names),
    ]:
        if asked:
            yield sampled(
                evidence,
                name,
                title + _in_part(evidence, "coalitions"),
                partial(fits, asked),
                unit="R-squared",
                reduction="smallest mean",
                reason=next(filter(None, (_no_fit(evidence, one) for one in asked)), None),
                rows=_rows(evidence, "coalitions"),
            )


@measurements.register("design_spread")
def design_spread(evidence: Evidence) -> Iterator[Measurement]:
    """How far a map is from that of another design, in parts of its norm: what its draws add by chance."""
    for name in _drawing(evidence):
        yield sampled(
            evidence,
            f"design_spread.{name}",
            f"Monte-Carlo spread of {name}{_in_part(evidence, 'coalitions')}",
            partial(_answers, evidence, "coalitions", "spread", name),
            unit="share of the map's norm",
            higher_is_better=False,
            rows=_rows(evidence, "coalitions"),
        )


def _drawing(evidence: Evidence) -> list[str]:
    """The methods that draw coalitions or references, as the probe found."""
    asked = evidence.sanity.get("coalitions", {"methods": ()})
    return [name for name in map(str, asked["methods"]) if name in evidence.methods]


def _no_fit(evidence: Evidence, name: str) -> str | None:
    bad = int((~np.isfinite(_answers(evidence, "coalitions", "fit", name))).sum())
    return f"of {bad} {evidence.words.noun} the model says one thing at every coalition" if bad else None


@measurements.register("agreement_below")
def agreement_below(evidence: Evidence) -> Iterator[Measurement]:
    """Agreement on rightly named images that are not sure enough to be selected, by bin of confidence.

    What is selected is what is clear; this is how much that flatters. A bin's images are each seed's own.
    """
    for one in bins(evidence.confidence):
        low, high = one
        asked = evidence.sanity.get("others", {})
        inside = (
            (asked["kind"] == "below") & in_bin(asked["confidences"], one, evidence.confidence)
            if asked
            else np.zeros(0, dtype=bool)
        )
        yield _elsewhere(
            evidence,
            f"agreement_below.{100 * low:.6g}-{100 * high:.6g}",
            f"Agreement on right {evidence.words.noun} that are {100 * low:.6g} to {100 * high:.6g} % sure",
            inside,
        )


@measurements.register("agreement_wrong")
def agreement_wrong(evidence: Evidence) -> Iterator[Measurement]:
    """Agreement on the surest wrongly named images, on why they have the class that they were given."""
    asked = evidence.sanity.get("others", {})
    inside = asked["kind"] == "wrong" if asked else np.zeros(0, dtype=bool)
    yield _elsewhere(evidence, "agreement_wrong", "Agreement on the surest wrong predictions", inside)


def _elsewhere(evidence: Evidence, name: str, title: str, inside: Any) -> Measurement:
    """Agreement on some of the images that were not selected; each seed has its own.

    As everywhere, each class that is there weighs the same. A class of one image is left out, for its
    doubt cannot be told.
    """
    reason, values, labels = evidence.shortage() or _unasked(evidence, "others"), np.empty(0), None
    if reason is None:
        asked = evidence.sanity["others"]
        rows = dict(zip(map(str, asked["methods"]), asked["contributions"], strict=True))
        several = np.bincount(asked["labels"][inside], minlength=len(evidence.classes)) > 1
        inside = inside & several[asked["labels"]]
        maps = {method: rows[method][inside].astype(np.float32) for method in evidence.methods}
        few = int(inside.sum())
        reason = incomparable(maps)
        if few < AT_LEAST:
            reason = f"{few} such {evidence.words.noun}; {AT_LEAST} are needed to speak of them"
    if reason is None:
        values, labels = by_pair(maps, evidence.grains(), correlations).mean(axis=1), asked["labels"][inside]
    return Measurement(name, title, "correlation", True, "mean", values, labels, reason=reason, crossed=False)
