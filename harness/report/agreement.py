"""Sections on how far the methods agree."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from harness import figures
from harness.criteria import show
from harness.measurements.agreement import FAMILIES
from harness.measurements.controls import UNTRAINED
from harness.records import Estimate, Floats, Verdict
from harness.report import classes
from harness.report.page import Chart, Context, interval, no_samples, section, show_finite
from harness.runs import Run
from harness.text import listed, words

Pair = tuple[str, str]


@section("agreement", "Agreement, beside its controls")
def _agreement(run: Run) -> Context | str:
    agreement = run.estimate("agreement")
    names = () if agreement is None else run.compared
    pairs = {
        pair: estimate
        for pair in itertools.combinations(names, 2)
        if (estimate := run.estimate(f"agreement_pair.{pair[0]}-{pair[1]}")) is not None
        and estimate.estimate is not None
    }
    if agreement is None or not pairs:
        return no_samples(run) or f"Agreement could not be measured: {agreement and agreement.reason}."
    criteria: list[Verdict] = (run.verdict or {})["criteria"]
    declared = next((one.threshold for one in criteria if one.measurement == "agreement"), None)
    threshold = declared if isinstance(declared, float) else None
    return {
        "matrix": _matrix(names, pairs, agreement, run.form.noun),
        "by_class": _by_class(run, pairs),
        "spread": _spread(run, pairs, threshold),
        "controls": _controls(run, agreement, threshold),
        "beside": [one for name in _BESIDE if (one := run.estimate(name)) is not None],
        "population": agreement.population,
        "families": _families(run),
        "grains": _grains(run),
        "twice": "decoder_weighted" in names,
        "held": _held(run),
        "jumps": "k" in run.capabilities,
    }


def _grains(run: Run) -> str:
    """The methods that ask of groups, and of how many; empty where none does."""
    asked = {name: one for name, one in run.evidence().grains().items() if one is not None}
    return listed(f"{words(name)} ({int(one.max()) + 1})" for name, one in asked.items())


def _held(run: Run) -> str:
    """The controls that the criterion on the largest of them is of; empty where it was not measured."""
    if run.estimate("agreement_above_controls") is None:
        return ""
    titles = {one.name: one.title for one in run.estimates if one.estimate is not None}
    return listed(titles[name] for name in UNTRAINED if name in titles)


def _families(run: Run) -> str:
    """How families of pairs agree trained and untrained, in a sentence; empty where not measured."""
    told = []
    for family, name in FAMILIES.items():
        trained = run.estimate(f"agreement_{family}_family")
        untrained = run.estimate(f"control_untrained.{family}_family")
        if trained and untrained and trained.estimate is not None and untrained.estimate is not None:
            told.append(
                f"{name} agree at {show(trained.estimate)}, in an untrained network at "
                f"{show(untrained.estimate)}"
            )
    return "; ".join(told)


def _told(agreement: Estimate) -> str:
    return "not measured" if agreement.estimate is None else show(agreement.estimate)


def _named(pair: Pair) -> str:
    return f"{words(pair[0])} – {words(pair[1])}"


def _matrix(names: tuple[str, ...], pairs: dict[Pair, Estimate], agreement: Estimate, noun: str) -> Chart:
    values = {pair: one.estimate for pair, one in pairs.items() if one.estimate is not None}
    worst = min(values, key=lambda pair: values[pair])
    return Chart(
        "agreement-matrix",
        figures.agreement_matrix(
            names, {pair: (values[pair], one.low, one.high) for pair, one in pairs.items()}
        ),
        f"The methods' mean correlation is {_told(agreement)}; the worst pair is "
        f"{words(worst[0])} and {words(worst[1])} with {show(values[worst])}.",
        ("pair", "agreement", "interval", noun),
        [
            (_named(pair), show(one.estimate), interval(one.low, one.high), one.n)
            for pair, one in pairs.items()
        ],
    )


def _by_image(run: Run, name: str) -> Floats:
    """A measurement's mean over seeds for each explained image, float64 [n]; empty where there is none."""
    values = run.per_sample(name)
    return values.mean(axis=0) if values.shape[1] == len(_labels(run)) else np.empty(0)


def _labels(run: Run) -> Any:
    return run.directory.read_arrays("samples.npz")["labels"]


def _by_class(run: Run, pairs: dict[Pair, Estimate]) -> Chart | None:
    """Each class's agreement, of all pairs and of each; None where images have no values."""
    named = {"all pairs": _by_image(run, "agreement")}
    named |= {_named(pair): _by_image(run, f"agreement_pair.{pair[0]}-{pair[1]}") for pair in pairs}
    if not all(len(values) for values in named.values()):
        return None
    labels = _labels(run)
    present = np.unique(labels)
    table = np.array(
        [[_mean(values[labels == label]) for values in named.values()] for label in present], dtype=np.float64
    )
    if np.isnan(table[:, 1:]).all():
        return None
    row, column = np.unravel_index(int(np.nanargmin(table[:, 1:])), table[:, 1:].shape)
    lowest = int(row), int(column) + 1
    columns, several = list(named), [run.classes[label] for label in present]
    overall = int(np.nanargmin(table[:, 0]))
    finding = (
        f"The methods agree least on {several[overall]}, {show(float(table[overall, 0]))} over all pairs; "
        f"of single pairs it is {columns[lowest[1]]} on {several[lowest[0]]}, "
        f"{show(float(table[lowest]))} (framed)."
    )
    drawn = np.flatnonzero(np.isin(present, np.r_[classes.shown(run), present[lowest[0]]]))
    framed = int(np.flatnonzero(drawn == lowest[0])[0]), lowest[1]
    names = [several[place] for place in drawn]
    return Chart(
        "agreement-classes",
        figures.class_table(table[drawn], names, [_broken(name) for name in columns], framed),
        f"{finding}{classes.told(drawn, len(present))}",
        ("class", *columns, run.form.noun),
        [
            (name, *map(show_finite, values), int((labels == label).sum()))
            for name, values, label in zip(several, table, present, strict=True)
        ],
    )


def _mean(values: Floats) -> float:
    """The mean of what is a number; NaN where nothing is."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else float("nan")


def _broken(name: str) -> str:
    """A column's name in short lines."""
    return name.replace(" ", "\n").replace("\n–", " –")


def _spread(run: Run, pairs: dict[Pair, Estimate], threshold: float | None) -> Chart | None:
    """How images differ in agreement, with the same images' controls; None where images have no values."""
    agreed = _by_image(run, "agreement")
    if not np.isfinite(agreed).any():
        return None
    rows = {"mean of the pairs": (agreed, False)}
    rows |= {_named(pair): (_by_image(run, f"agreement_pair.{pair[0]}-{pair[1]}"), False) for pair in pairs}
    titles = {one.name: one.title for one in run.estimates if one.name.split(".")[0] in _CONTROLS}
    measured = {name: values for name in titles if np.isfinite(values := _by_image(run, name)).any()}
    controls = {titles[name]: (values, True) for name, values in measured.items()}
    finding = (
        f"Half of the {run.form.noun} lie between {show(_quantile(agreed, 0.25))} and "
        f"{show(_quantile(agreed, 0.75))}, one in twenty under {show(_quantile(agreed, 0.05))}; "
        f"the lowest reaches {show(_quantile(agreed, 0))}"
    )
    if threshold is not None:
        under = int((agreed < threshold).sum())
        finding += f", and {under:,} of {len(agreed):,} are under the threshold of {threshold:g}"
    finding += "."
    held, highest = _highest({name: _mean(values) for name, values in measured.items()})
    if held:
        over = int((agreed > measured[held]).sum())
        finding += (
            f" On {over:,} of {len(agreed):,} {run.form.noun} it is over the highest control of all pairs "
            f"without training, '{titles[held]}'."
        )
    if highest != held:
        over = int((agreed > measured[highest]).sum())
        finding += f" On {over:,} it is over '{titles[highest]}', the highest that is only shown."
    shares = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
    return Chart(
        "agreement-spread",
        figures.distributions(rows | controls, threshold, f"correlation of {run.form.owner} maps"),
        finding,
        ("what", "lowest", "5 %", "25 %", "median", "75 %", "95 %", "highest"),
        [
            (name, *(show(_quantile(values, share)) for share in shares))
            for name, (values, _) in (rows | controls).items()
        ],
    )


def _quantile(values: Floats, share: float) -> float | None:
    there = values[np.isfinite(values)]
    return float(np.quantile(there, share)) if len(there) else None


def _controls(run: Run, agreement: Estimate, threshold: float | None) -> Chart:
    shown = [
        one
        for one in run.estimates
        if one.estimate is not None
        and (one.seed is None or len(run.config.seeds) == 1)
        and one.name.split(".")[0]
        in ("agreement", *(f"agreement_{family}_family" for family in FAMILIES), *_CONTROLS)
    ]
    controls = [one for one in shown if one.name.split(".")[0] in _CONTROLS]
    by_name = {one.name: one for one in controls}
    held, highest = _highest({name: one.estimate or 0.0 for name, one in by_name.items()})
    beside = "" if controls else "; no control could be measured"
    if held:
        beside += (
            f"; the highest control of all pairs without training is '{by_name[held].title}' with "
            f"{show(by_name[held].estimate)}"
        )
    if highest != held:
        beside += (
            f"; '{by_name[highest].title}', which is only shown, reaches {show(by_name[highest].estimate)}"
        )
    return Chart(
        "agreement-controls",
        figures.intervals(
            [(one.title, one.estimate or 0.0, one.low, one.high, one in controls) for one in shown],
            threshold,
            "mean correlation of signed contribution maps",
        ),
        f"Agreement is {_told(agreement)}{beside}.",
        ("what", "mean correlation", "interval", run.form.noun),
        [(one.title, show(one.estimate), interval(one.low, one.high), one.n) for one in shown],
    )


def _highest(reached: Mapping[str, float]) -> tuple[str, str]:
    """The highest of the controls that the criterion is of, and the highest of all; empty where none is."""
    held = {name: value for name, value in reached.items() if name in UNTRAINED}
    first, of_all = (max(some, key=lambda name: some[name], default="") for some in (held, reached))
    # at equal heights the one that counts
    return first, first if held and held[first] == reached[of_all] else of_all


_CONTROLS = ("control_untrained", "control_repaired", "control_maps")
_BESIDE = (
    "agreement_worst_pair",
    "agreement_sensitivity",
    "agreement_worst_pair_sensitivity",
    "agreement_absolute",
    "agreement_foreground",
    "agreement_spearman",
    "agreement_top_pixels",
    "completeness",
    "completeness.percentile_95",
)
