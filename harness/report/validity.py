"""The section on each method alone: what it promises, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness import figures
from harness.criteria import show
from harness.figures import Column, Line, Panel
from harness.measurements import CONTROL_METHOD, Evidence
from harness.records import Estimate, Floats
from harness.report.page import Chart, Context, interval, no_samples, section
from harness.runs import Run
from harness.statistics import stratified_mean
from harness.text import words

Number = tuple[float | None, float | None, float | None]
"""A number and its interval's bounds."""

_VALIDITY = {
    "Are the maps what they claim to be?": ("attribution_integrity", "attribution_copies"),
    "Do they add up to what they explain?": ("completeness",),
    "Do they name the pixels that the decision rests on?": (
        "attribution_faithfulness",
        "advantage_over_random",
        "deletion",
        "insertion",
    ),
    "Do they follow the model's weights?": ("randomisation",),
    "Are they stable?": ("max_sensitivity",),
    "Are they concentrated?": ("concentration",),
    "Where do they lie?": ("foreground_share", "border_share", "centre_of_mass"),
    "What does the selection leave out?": ("agreement_below", "agreement_wrong"),
    "Are the pairs significant?": ("agreement_significance",),
}
"""The questions that are asked of every method, and the measurements that answer them, by base name."""


@section("validity", "May each method be believed")
def _validity(run: Run) -> Context | str:
    if (reason := no_samples(run)) is not None:
        return reason
    several = len(run.config.seeds) > 1
    joint = {one.name: one for one in run.estimates if one.seed is None or not several}
    names = tuple(name for name in run.config.attribution.methods if name != CONTROL_METHOD)
    gaps = completeness(run.evidence())
    charts = _charts(run, names, joint, gaps) if names else {}
    questions = [
        {
            "question": question,
            "chart": charts.get(bases[-1]),
            "rows": [one for one in joint.values() if one.name.split(".")[0] in bases],
        }
        for question, bases in _VALIDITY.items()
    ]
    return {
        "questions": [one for one in questions if one["rows"] or one["chart"]],
        "overview": _overview(names, joint, gaps) if len(names) > 1 else None,
    }


def completeness(evidence: Evidence) -> dict[str, Floats]:
    """Each method's gap |sum of contributions - (f_y(x) - f_y(0))| / |f_y(x) - f_y(0)|, float64 [n].

    Only integrated gradients promise to add up (Sundararajan et al. 2017); of the others the gap says how far
    their maps are from logits.
    """
    rows = np.arange(len(evidence.labels))
    reached = evidence.logits[evidence.indices][rows, evidence.labels].astype(np.float64)
    change = reached - evidence.baseline_logits[evidence.labels]
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            name: np.abs(maps.sum(axis=1, dtype=np.float64) - change) / np.abs(change)
            for name, maps in evidence.contributions().items()
        }


def _quartiles(values: Floats) -> Number:
    """The median and the middle half of what is finite."""
    there = values[np.isfinite(values)]
    if not len(there):
        return None, None, None
    low, median, high = (float(one) for one in np.quantile(there, (0.25, 0.5, 0.75)))
    return median, low, high


def _worst(numbers: Sequence[Number], higher_is_better: bool) -> int | None:
    """The place of the worst; None where by intervals, or by values, it is not told from the next."""
    known = [place for place, (value, *_) in enumerate(numbers) if value is not None]
    if len(known) < 2:
        return None
    sign = 1 if higher_is_better else -1
    worst, other = sorted(known, key=lambda place: sign * (numbers[place][0] or 0.0))[:2]
    (value, low, high), (rival, lowest, highest) = numbers[worst], numbers[other]
    if low is not None and high is not None and lowest is not None and highest is not None:
        return worst if high < lowest or highest < low else None
    return worst if value != rival else None


def _kept(joint: Mapping[str, Estimate], name: str) -> float | None:
    """The largest |correlation| that a method's maps keep under new weights, of all cascades."""
    kept = [
        abs(one.estimate)
        for one in joint.values()
        if one.name.startswith(f"randomisation.{name}.")
        and not one.name.startswith(f"randomisation.{name}.alone.")
        and one.estimate is not None
    ]
    return max(kept, default=None)


def _overview(
    names: tuple[str, ...], joint: Mapping[str, Estimate], gaps: Mapping[str, Floats]
) -> Mapping[str, Any]:
    """Methods by questions: each number, and which is worst."""

    def of(base: str) -> Callable[[str], Number]:
        return lambda name: _numbers(joint, base, (name,))[0]

    asked: list[tuple[str, str, bool, Callable[[str], Number]]] = [
        ("adds up", "gap", False, lambda name: (_quartiles(gaps[name])[0], None, None)),
        ("names the pixels", "advantage over |x|", True, of("faithfulness")),
        (
            "follows the weights",
            "largest |correlation| kept",
            False,
            lambda name: (_kept(joint, name), None, None),
        ),
        ("is stable", "max-sensitivity", False, of("max_sensitivity")),
        ("is concentrated", "Gini", True, of("concentration")),
    ]
    columns = []
    for question, unit, better, read in asked:
        numbers = [read(name) for name in names]
        columns.append((question, unit, better, numbers, _worst(numbers, better)))
    rows = [
        {
            "method": words(name),
            "cells": [(show(numbers[place][0]), worst == place) for *_, numbers, worst in columns],
            "worst": [question for question, *_, worst in columns if worst == place],
        }
        for place, name in enumerate(names)
    ]
    heads = [
        (question, f"{unit}, {'higher' if better else 'lower'} is better")
        for question, unit, better, *_ in columns
    ]
    return {"heads": heads, "rows": rows}


def _charts(
    run: Run, names: tuple[str, ...], joint: Mapping[str, Estimate], gaps: Mapping[str, Floats]
) -> dict[str, Chart]:
    """The chart of each question that has one, by the last of the question's measurements."""
    spread = [_quartiles(gaps[name]) for name in names]
    made = {
        "completeness": _beside(
            "completeness",
            names,
            {"Completeness gap": (spread, False)},
            "share of the logit's change; bar: middle half of the images",
            log=True,
        ),
        "insertion": _faithfulness(run, names, joint),
        "randomisation": _randomisation(run, names, joint),
    }
    families: dict[str, tuple[dict[str, tuple[str, bool | None]], str]] = {
        "max_sensitivity": ({"Max-sensitivity": ("max_sensitivity", False)}, "share of the map's norm"),
        "concentration": ({"Concentration": ("concentration", True)}, "Gini's index"),
        "centre_of_mass": (
            {"on the foreground": ("foreground_share", None), "on the border": ("border_share", None)},
            "share of |sensitivity|",
        ),
    }
    for key, (asked, unit) in families.items():
        columns = {title: (_numbers(joint, base, names), better) for title, (base, better) in asked.items()}
        made[key] = _beside(key.replace("_", "-"), names, columns, unit)
    return {key: chart for key, chart in made.items() if chart is not None}


def _numbers(joint: Mapping[str, Estimate], base: str, names: tuple[str, ...]) -> list[Number]:
    found = [joint.get(f"{base}.{name}") for name in names]
    return [(None, None, None) if one is None else (one.estimate, one.low, one.high) for one in found]


def _beside(
    name: str,
    methods: tuple[str, ...],
    columns: Mapping[str, tuple[list[Number], bool | None]],
    unit: str,
    log: bool = False,
) -> Chart | None:
    """Methods beside one another; None where nothing was measured."""
    if not any(value is not None for numbers, _ in columns.values() for value, *_ in numbers):
        return None
    drawn, sentences = [], []
    for title, (numbers, better) in columns.items():
        values = [value for value, *_ in numbers]
        # the bars of a logarithmic chart are no intervals, but where the images lie
        told = [(value, None, None) for value in values] if log else numbers
        worst = None if better is None else _worst(told, better)
        end = {True: ", higher is better", False: ", lower is better", None: ""}[better]
        drawn.append(Column(title, unit + end, numbers, log=log, worst=worst))
        sentences.append(_sentence(title, methods, values, worst, better))
    rows = [
        (words(method), *(cell for numbers, _ in columns.values() for cell in _cells(numbers[place])))
        for place, method in enumerate(methods)
    ]
    heads = [head for title in columns for head in (title, "from – to")]
    figure = figures.beside(
        [words(method) for method in methods], drawn, width=9 if len(drawn) == 1 else 10.5
    )
    return Chart(name, figure, " ".join(sentences), ("method", *heads), rows)


def _cells(number: Number) -> tuple[str, str]:
    return show(number[0]), interval(number[1], number[2])


def _sentence(
    title: str,
    methods: tuple[str, ...],
    values: list[float | None],
    worst: int | None,
    better: bool | None,
) -> str:
    known = {words(method): value for method, value in zip(methods, values, strict=True) if value is not None}
    if not known:
        return f"{title}: not measured."
    if worst is not None:
        bad = words(methods[worst])
        rest = {name: value for name, value in known.items() if name != bad}
        others = f"the others have {show(min(rest.values()))} to {show(max(rest.values()))}"
        return f"{title}: {bad} is worst with {show(known[bad])}; {others}."
    title = title if better is None else f"{title}: none can be told apart as worst"
    least, most = min(known, key=lambda one: known[one]), max(known, key=lambda one: known[one])
    return f"{title}: from {show(known[least])} ({least}) to {show(known[most])} ({most})."


_BASELINES = {"image": "the image itself, |x|", "random": "a random order"}


def _probes(run: Run, subject: str) -> Iterator[Mapping[str, Any]]:
    """What each seed answered to a probe, where it was asked."""
    for seed in run.config.seeds:
        folder = run.directory.seed(seed)
        if (folder / f"sanity/{subject}.npz").is_file():
            yield folder.read_arrays(f"sanity/{subject}.npz")


def _faithfulness(run: Run, methods: tuple[str, ...], joint: Mapping[str, Estimate]) -> Chart | None:
    """The mean probability of y as pixels leave and enter, by the order they go in; None where unasked."""
    asked = list(_probes(run, "curves"))
    if not asked:
        return None
    labels = run.directory.read_arrays("samples.npz")["labels"]
    orders = [str(name) for name in asked[0]["orders"]]
    orders = [name for name in (*methods, *_BASELINES) if name in orders]
    panels, rows, sentences = [], [], []
    for curve, better in (("deletion", False), ("insertion", True)):
        means = {
            name: np.mean([stratified_mean(one[curve][_place(one, name)], labels) for one in asked], axis=0)
            for name in orders
        }
        shares = 100 * np.linspace(0, 1, len(means[orders[0]]))
        panels.append(
            Panel(
                f"{curve}: {'higher' if better else 'lower'} is better",
                "pixels that have left [%]" if curve == "deletion" else "pixels that have entered [%]",
                [
                    Line(_BASELINES.get(name, words(name)), shares, mean, control=name in _BASELINES)
                    for name, mean in means.items()
                ],
                limits=(0, 1.02),
                y_label="probability of the class",
            )
        )
        tenths = np.linspace(0, len(shares) - 1, 11).round().astype(int)
        rows += [
            (f"{curve}, {_BASELINES.get(name, words(name))}", *(show(float(mean[one])) for one in tenths))
            for name, mean in means.items()
        ]
        areas = {name: one.estimate for name in orders if (one := joint.get(f"{curve}.{name}")) is not None}
        worst = _worst(_numbers(joint, curve, methods), better)
        told = ", ".join(f"{_BASELINES.get(name, words(name))} {show(area)}" for name, area in areas.items())
        sentence = f"Area under {curve}: {told}"
        sentences.append(f"{sentence}{f'; {words(methods[worst])} is worst' if worst is not None else ''}.")
    heads = ("mean probability of the class", *(f"{share} %" for share in range(0, 101, 10)))
    return Chart(
        "faithfulness",
        figures.lines(panels),
        " ".join(sentences),
        heads,
        rows,
    )


def _place(asked: Mapping[str, Any], name: str) -> int:
    return [str(one) for one in asked["orders"]].index(name)


def _randomisation(run: Run, methods: tuple[str, ...], joint: Mapping[str, Estimate]) -> Chart | None:
    """How much of each method's maps is kept under new weights, layer by layer; None where unasked."""
    asked = next(_probes(run, "randomisation"), None)
    if asked is None:
        return None
    layers = [str(layer) for layer in asked["layers"]]
    panels, rows = [], []
    for kind, title in (("", "this layer and all after it new"), ("alone.", "this layer alone new")):
        found = []
        for name in methods:
            numbers = [joint.get(f"randomisation.{name}.{kind}{layer}") for layer in layers]
            values = [np.nan if one is None or one.estimate is None else one.estimate for one in numbers]
            found.append(
                Line(words(name), np.arange(len(layers) + 1, dtype=np.float64), np.array([1, *values]))
            )
            rows.append(
                (f"{words(name)}, {title}", *("–" if one is None else show(one.estimate) for one in numbers))
            )
        ticks = ("trained", *(layer.replace("classifier.", "layer ") for layer in layers))
        panels.append(Panel(title, "new weights in", found, y_label="correlation with the map", ticks=ticks))
    kept = [_kept(joint, name) for name in methods]
    worst = _worst([(value, None, None) for value in kept], higher_is_better=False)
    known = {words(name): value for name, value in zip(methods, kept, strict=True) if value is not None}
    if not known:
        return None
    most = words(methods[worst]) if worst is not None else next(iter(known))
    finding = (
        f"With new weights from the output backwards {most} keeps most of its maps: "
        f"a correlation of {show(known[most])} in absolute value, where 1 is a map that knows no weights."
    )
    return Chart("randomisation", figures.lines(panels), finding, ("correlation kept", *layers), rows)
