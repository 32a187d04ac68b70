"""The section on each method alone: what it promises, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from harness import figures
from harness.criteria import show
from harness.figures import Line, Panel
from harness.measurements import Evidence
from harness.records import Estimate, Floats
from harness.report.methods import Number, beside, numbers_of, quartiles, worst_of
from harness.report.page import Chart, Context, no_samples, section
from harness.runs import Run
from harness.statistics import stratified_mean
from harness.text import clean, words

_VALIDITY = {
    "Are the maps what they claim to be?": ("attribution_integrity", "attribution_copies"),
    "Do they add up to what they explain?": ("completeness",),
    "Do they name the {features} that the decision rests on?": (
        "attribution_faithfulness",
        "advantage_over_random",
        "deletion",
        "insertion",
    ),
    "Do they follow the model's weights?": ("randomisation",),
    "Are they stable?": ("max_sensitivity",),
    "Are there draws enough, and do sums of groups tell the model?": ("surrogate_fit", "design_spread"),
    "Are they concentrated?": ("concentration",),
    "Where do they lie?": ("foreground_share", "border_share", "centre_of_mass"),
    "Do they lie where the class is known to be told?": (
        "relevance_mass_accuracy",
        "control_relevance_mass",
        "relevance_mass_above_controls",
        "pointing_game",
    ),
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
    names = run.compared
    by_seed = [completeness(run.evidence(seed)) for seed in run.config.seeds]
    gaps = {name: np.concatenate([one[name] for one in by_seed]) for name in names}
    charts = _charts(run, names, joint, gaps) if names else {}
    questions = [
        {
            "question": question.format(features=run.form.features),
            "chart": charts.get(bases[-1]),
            "rows": [one for one in joint.values() if one.name.split(".")[0] in bases],
        }
        for question, bases in _VALIDITY.items()
    ]
    return {
        "questions": [one for one in questions if one["rows"] or one["chart"]],
        "overview": _overview(names, joint, gaps, run.form.features) if len(names) > 1 else None,
    }


def completeness(evidence: Evidence) -> dict[str, Floats]:
    """Each method's gap |sum of contributions - (f_y(x) - f_y(0))| / |f_y(x) - f_y(0)|, float64 [n].

    Integrated gradients, Shapley values and DeepLift promise to add up (Sundararajan et al. 2017); of the
    others the gap says how far their maps are from logits.
    """
    rows = np.arange(len(evidence.labels))
    reached = evidence.logits[evidence.indices][rows, evidence.labels].astype(np.float64)
    change = reached - evidence.baseline_logits[evidence.labels]
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            name: np.abs(maps.sum(axis=1, dtype=np.float64) - change) / np.abs(change)
            for name, maps in evidence.contributions().items()
        }


def _kept(joint: Mapping[str, Estimate], name: str) -> Number:
    """The largest |correlation| that a method's maps keep under new weights, of all cascades."""
    cascades = [
        one
        for one in joint.values()
        if one.name.startswith(f"randomisation.{name}.")
        and not one.name.startswith(f"randomisation.{name}.alone.")
        and one.estimate is not None
    ]
    if not cascades:
        return None, None, None
    most = max(cascades, key=lambda one: abs(one.estimate or 0.0))
    value = abs(most.estimate or 0.0)
    if most.low is None or most.high is None:
        return value, None, None
    low, high = sorted((abs(most.low), abs(most.high)))
    return value, 0.0 if most.low < 0 < most.high else low, high


def _overview(
    names: tuple[str, ...], joint: Mapping[str, Estimate], gaps: Mapping[str, Floats], features: str
) -> Mapping[str, Any]:
    """Methods by questions: each number, and which is worst."""

    def of(base: str) -> Callable[[str], Number]:
        return lambda name: numbers_of(joint, base, (name,))[0]

    asked: list[tuple[str, str, bool, Callable[[str], Number]]] = [
        ("adds up", "gap", False, lambda name: (quartiles(gaps[name])[0], None, None)),
        (f"names the {features}", "advantage over |x|", True, of("faithfulness")),
        (
            "follows the weights",
            "largest |correlation| kept",
            False,
            lambda name: _kept(joint, name),
        ),
        ("is stable", "max-sensitivity", False, of("max_sensitivity")),
        ("is concentrated", "Gini", True, of("concentration")),
    ]
    columns = []
    for question, unit, better, read in asked:
        numbers = [read(name) for name in names]
        columns.append((question, unit, better, numbers, worst_of(numbers, better)))
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
    spread = [quartiles(gaps[name]) for name in names]
    made = {
        "completeness": beside(
            "completeness",
            names,
            {"Completeness gap": (spread, False)},
            f"share of the logit's change; bar: middle half of the {run.form.noun}",
            log=True,
        ),
        "insertion": _faithfulness(run, names, joint),
        "randomisation": _randomisation(run, names, joint),
    }
    families: dict[str, tuple[dict[str, tuple[str, bool | None]], str]] = {
        "max_sensitivity": ({"Max-sensitivity": ("max_sensitivity", False)}, "share of the map's norm"),
        "design_spread": (
            {
                "R-squared of group sums": ("surrogate_fit", True),
                "Spread of another design": ("design_spread", False),
            },
            "share",
        ),
        "concentration": ({"Concentration": ("concentration", True)}, "Gini's index"),
        "centre_of_mass": (
            {"On the foreground": ("foreground_share", None), "On the border": ("border_share", None)},
            "share of |sensitivity|",
        ),
    }
    for key, (asked, unit) in families.items():
        # what is asked of some methods alone has no row of the others
        told = tuple(name for name in names if key != "design_spread" or f"{key}.{name}" in joint)
        columns = {title: (numbers_of(joint, base, told), better) for title, (base, better) in asked.items()}
        made[key] = beside(key.replace("_", "-"), told, columns, unit)
    return {key: chart for key, chart in made.items() if chart is not None}


_BASELINES = {"image": "the {one} itself, |x|", "random": "a random order"}


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

    def called(name: str) -> str:
        return _BASELINES.get(name, words(name)).format(one=run.form.one)

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
                f"{run.form.features} that have {'left' if curve == 'deletion' else 'entered'} [%]",
                [
                    Line(called(name), shares, mean, control=name in _BASELINES)
                    for name, mean in means.items()
                ],
                limits=(0, 1.02),
                y_label="probability of the class",
            )
        )
        tenths = np.linspace(0, len(shares) - 1, 11).round().astype(int)
        rows += [
            (f"{curve}, {called(name)}", *(show(float(mean[one])) for one in tenths))
            for name, mean in means.items()
        ]
        areas = {name: one.estimate for name in orders if (one := joint.get(f"{curve}.{name}")) is not None}
        worst = worst_of(numbers_of(joint, curve, methods), better)
        told = ", ".join(f"{called(name)} {show(area)}" for name, area in areas.items())
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
    kept = {name: number for name in methods if (number := _kept(joint, name))[0] is not None}
    if not kept:
        return None
    sizes = {name: value or 0.0 for name, (value, *_) in kept.items()}
    most = max(sizes, key=lambda name: sizes[name])
    told = worst_of(list(kept.values()), higher_is_better=False) is not None
    finding = (
        f"With new weights from the output backwards no method's maps keep, on average, a correlation of "
        f"more than {show(sizes[most])} in absolute value ({words(most)}"
        f"{', worst' if told else '; none can be told apart as worst'}); 1 were a map that knows no weights."
    )
    left = [clean(str(layer)) for layer in asked.get("kept", ())]
    if left:
        finding += (
            f" No other weights can be drawn for {', '.join(left)}: as they are they stay in all of these."
        )
    return Chart("randomisation", figures.lines(panels), finding, ("correlation kept", *layers), rows)
