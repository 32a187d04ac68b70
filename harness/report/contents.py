"""The report's sections, in their order: each says what its template shows, or why there is nothing."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from harness import figures
from harness.artifacts import Folder, RunDirectory
from harness.criteria import show
from harness.measurements import CONTROL_METHOD
from harness.report.page import Chart, Context, section
from harness.runs import Run
from harness.statistics import stratified_mean


def _no_samples(run: Run) -> str | None:
    """Why there are no explanations to show."""
    if not run.estimates:
        return "The run broke off before anything was measured."
    if not len(run.samples):
        agreement = run.estimate("agreement")
        return f"No image was explained: {agreement.reason if agreement else 'none was chosen'}."
    return None


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{show(low)} to {show(high)}"


@section("failure", "What broke off")
def _failure(run: Run) -> Context | str:
    failure = (run.verdict or {}).get("failure")
    return {"failure": failure} if failure else "Nothing: every stage ran to its end."


@section("agreement", "Agreement, beside its controls")
def _agreement(run: Run) -> Context | str:
    agreement = run.estimate("agreement")
    if agreement is None or agreement.estimate is None:
        return _no_samples(run) or f"Agreement could not be measured: {agreement and agreement.reason}."
    names = tuple(name for name in run.config.attribution.methods if name != CONTROL_METHOD)
    pairs = {
        pair: estimate
        for pair in itertools.combinations(names, 2)
        if (estimate := run.estimate(f"agreement_pair.{pair[0]}-{pair[1]}")) is not None
    }
    values = {pair: one.estimate for pair, one in pairs.items() if one.estimate is not None}
    worst = min(values, key=lambda pair: values[pair])
    criteria = {one.measurement: one for one in (run.verdict or {})["criteria"]}
    threshold = criteria["agreement"].threshold if "agreement" in criteria else None
    matrix = Chart(
        "agreement-matrix",
        figures.agreement_matrix(names, values),
        f"The methods' mean correlation is {show(agreement.estimate)}; the worst pair is "
        f"{figures.words(worst[0])} and {figures.words(worst[1])} with {show(values[worst])}.",
        ("pair", "agreement", "interval", "images"),
        [
            (
                f"{figures.words(a)} – {figures.words(b)}",
                show(one.estimate),
                _interval(one.low, one.high),
                one.n,
            )
            for (a, b), one in pairs.items()
        ],
    )
    shown = [
        one
        for one in run.estimates
        if one.estimate is not None
        and (one.seed is None or len(run.config.seeds) == 1)
        and one.name.split(".")[0]
        in ("agreement", "agreement_gradient_family", "agreement_decoder_family", *_CONTROLS)
    ]
    controls = [one for one in shown if one.name.split(".")[0] in _CONTROLS]
    highest = max(controls, key=lambda one: one.estimate or 0.0, default=None)
    beside = (
        f"the highest control is '{highest.title}' with {show(highest.estimate)}"
        if highest is not None
        else "no control could be measured"
    )
    chart = Chart(
        "agreement-controls",
        figures.intervals(
            [(one.title, one.estimate or 0.0, one.low, one.high, one in controls) for one in shown],
            threshold if isinstance(threshold, float) else None,
            "mean correlation of signed contribution maps",
        ),
        f"Agreement is {show(agreement.estimate)}; {beside}.",
        ("what", "mean correlation", "interval", "images"),
        [(one.title, show(one.estimate), _interval(one.low, one.high), one.n) for one in shown],
    )
    beside_rows = [one for name in _BESIDE if (one := run.estimate(name)) is not None]
    return {"matrix": matrix, "controls": chart, "beside": beside_rows, "population": agreement.population}


_CONTROLS = ("control_untrained", "control_repaired", "control_maps")
_BESIDE = (
    "agreement_worst_pair",
    "agreement_sensitivity",
    "agreement_absolute",
    "agreement_foreground",
    "agreement_spearman",
    "agreement_top_pixels",
    "completeness",
    "completeness.percentile_95",
)


@section("explanations", "One decision of each class")
def _explanations(run: Run) -> Context | str:
    if (reason := _no_samples(run)) is not None:
        return reason
    evidence = run.evidence()
    values = run.per_sample("agreement")
    judged = values.shape[1] == len(evidence.labels)
    places = run.typical(run.config.report.figure_samples)
    charts = []
    for place, figure in zip(places, run.explanations(run.config.report.figure_samples), strict=True):
        index, name = int(evidence.indices[place]), evidence.classes[evidence.labels[place]]
        finding = f"Test image {index}, rightly named {name}"
        if judged and np.isfinite(values[0][place]):
            finding += f": its maps agree at {show(float(values[0][place]))}"
        charts.append(Chart(f"sample-{index}", figure, f"{finding}."))
    return {"charts": charts, "seed": evidence.seed}


_WRONG = 4
"""How many wrong predictions are drawn."""


@section("wrong", "The surest wrong predictions")
def _wrong(run: Run) -> Context | str:
    if (reason := _no_samples(run)) is not None:
        return reason
    evidence = run.evidence()
    others = evidence.sanity.get("others")
    if others is None or not (others["kind"] == "wrong").any():
        return "No test image is named wrongly." if others else "Wrong predictions were not explained."
    wrong = np.flatnonzero(others["kind"] == "wrong")
    surest = wrong[np.argsort(-others["confidences"][wrong], kind="stable")][:_WRONG]
    charts = []
    for place in surest.tolist():
        maps = {
            str(name): rows[place].astype(np.float64)
            for name, rows in zip(others["methods"], others["contributions"], strict=True)
        }
        true, named = (evidence.classes[others[key][place]] for key in ("labels", "targets"))
        index, confidence = int(others["indices"][place]), float(others["confidences"][place])
        figure = figures.explanation(
            others["images"][place] / 255,
            maps,
            shape=evidence.shape,
            title=f"{true}, named {named} · test image {index} · {confidence:.1%} sure",
        )
        finding = f"Test image {index}, of class {true}, is named {named}, {confidence:.1%} sure."
        charts.append(Chart(f"wrong-{index}", figure, finding))
    return {"charts": charts, "seed": evidence.seed, "agreement": run.estimate("agreement_wrong")}


@section("class-means", "The mean map of each class")
def _class_means(run: Run) -> Context | str:
    if (reason := _no_samples(run)) is not None:
        return reason
    evidence = run.evidence()
    present = np.unique(evidence.labels)

    def by_class(rows: Any) -> Any:
        return np.stack([rows[evidence.labels == label].mean(axis=0) for label in present])

    contributions = evidence.contributions()
    figure = figures.class_means(
        {name: by_class(maps) for name, maps in contributions.items()},
        by_class(evidence.images),
        [evidence.classes[label] for label in present],
        evidence.shape,
    )
    strength = {
        name: float(stratified_mean(np.abs(maps).mean(axis=1), evidence.labels))
        for name, maps in contributions.items()
    }
    strongest = max(strength, key=lambda name: strength[name])
    finding = (
        f"Mean contribution maps of {len(present)} classes by {len(contributions)} methods; "
        f"{figures.words(strongest)} gives the largest mean absolute contribution, "
        f"{show(strength[strongest])} logits a pixel."
    )
    rows = [
        (
            figures.words(name),
            *(show(_statistic(run, name, rule)) for rule in _STATISTICS),
            show(strength[name]),
        )
        for name in contributions
    ]
    columns = ("method", *(figures.words(rule) for rule in _STATISTICS), "mean of |map|")
    return {"chart": Chart("class-mean-maps", figure, finding, columns, rows), "seed": evidence.seed}


_STATISTICS = ("mean", "maximum", "standard_deviation", "percentile_99")


def _statistic(run: Run, method: str, rule: str) -> float | None:
    estimate = run.estimate(f"map_statistics.{method}.{rule}")
    return None if estimate is None else estimate.estimate


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
    if (reason := _no_samples(run)) is not None:
        return reason
    several = len(run.config.seeds) > 1
    joint = [one for one in run.estimates if one.seed is None or not several]
    questions = {
        question: [one for one in joint if one.name.split(".")[0] in bases]
        for question, bases in _VALIDITY.items()
    }
    return {"questions": {question: rows for question, rows in questions.items() if rows}}


_GATE_QUALITY = "gate-quality.json"


def _kept_gate_quality(run: RunDirectory) -> dict[str, Any] | None:
    """How good the gate is, of the commit it was measured on; None where nobody has measured it.

    What stands beside the runs (`nox -s gate-quality`), else what the release ships, is copied into the run
    directory once, which is whole without either.
    """
    if not (run / _GATE_QUALITY).is_file():
        beside, ours = (
            run.path.parent.parent / _GATE_QUALITY,
            Path(__file__).parents[1] / "data" / _GATE_QUALITY,
        )
        found = next((path for path in (beside, ours) if path.is_file()), None)
        if found is None:
            return None
        run.write_json(_GATE_QUALITY, Folder(found.parent).read_json(_GATE_QUALITY))
    return run.read_json(_GATE_QUALITY)


@section("gate-quality", "The gate itself, judged")
def _gate_quality(run: Run) -> Context | str:
    quality = _kept_gate_quality(run.directory)
    if quality is None:
        return "The gate's own errors have not been measured here; nox -s gate-quality measures them."
    kinds = [
        {
            "kind": kind,
            "nominal": row["nominal"],
            "lowest": min(cell["coverage"] for cell in row["cells"]),
            "highest": max(cell["coverage"] for cell in row["cells"]),
            "repetitions": min(cell["repetitions"] for cell in row["cells"]),
            "exceptions": len(row["exceptions"]),
            "cells": len(row["cells"]),
        }
        for kind, row in quality["coverage"].items()
    ]
    curves = [
        {
            "where": where,
            "images": curve["images_a_class"],
            "rows": [
                (point["distance_se"], point["distance"], point["red"], strict["red"])
                for point, strict in zip(curve["point"], curve["strict"], strict=True)
                if point["distance_se"] == round(point["distance_se"])
            ],
        }
        for where, curve in quality["operating_curves"].items()
    ]
    exceptions = [
        f"{kind}: {sentence}" for kind, row in quality["coverage"].items() for sentence in row["exceptions"]
    ]
    return {
        "quality": quality,
        "kinds": kinds,
        "curves": curves,
        "exceptions": exceptions,
        "same_code": quality["code"] == run.provenance.code,
    }


@section("model", "The model")
def _model(run: Run) -> Context | str:
    if not run.estimates:
        return "The run broke off before the model was measured."
    table = run.training
    names = ("accuracy", "reconstruction", "fraction_unexplained", "sparsity", "below_k", "dead_units")
    found = [one for name in names if (one := run.estimate(name)) is not None]
    width = run.config.model.code_width
    if not len(table):
        return {"chart": None, "estimates": found, "code_width": width}
    last = table.groupby(["seed", "stage"], sort=False).tail(1)
    ends = "; ".join(
        f"seed {row['seed']} {row['stage']} ends at {show(row['loss'])} after {row['epoch']} epochs"
        for row in last.to_dict("records")
    )
    chart = Chart(
        "training",
        figures.training_curves(table),
        f"Loss by epoch: {ends}.",
        ("seed", "stage", "epoch", "loss", "accuracy", "seconds"),
        [
            (
                *(row[key] for key in ("seed", "stage", "epoch")),
                show(row["loss"]),
                _accuracy(row["accuracy"]),
                f"{row['seconds']:.2f}",
            )
            for row in table.to_dict("records")
        ],
    )
    return {"chart": chart, "estimates": found, "code_width": width}


def _accuracy(value: Any) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.1%}"


@section("samples", "The choice of samples")
def _samples(run: Run) -> Context | str:
    if not (run.directory / "samples.json").is_file():
        return "The run broke off before samples were chosen."
    chosen = run.directory.read_json("samples.json")
    return {"yields": chosen["yields"], "confidence": chosen["confidence"], "surest": chosen["surest"]}


@section("measurements", "Everything that was measured")
def _measurements(run: Run) -> Context | str:
    if not run.estimates:
        return "The run broke off before anything was measured."
    return {"estimates": run.estimates}


@section("provenance", "Where these numbers come from")
def _provenance(run: Run) -> Context | str:
    provenance = run.provenance
    return {
        "provenance": provenance,
        "config": (run.directory / "config.toml").read_text(encoding="utf-8"),
        "durations": (run.verdict or {})["duration_s"],
    }
