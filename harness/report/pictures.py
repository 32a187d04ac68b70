"""Sections that show decisions and their maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness import figures
from harness.criteria import show
from harness.report.page import Chart, Context, no_samples, section
from harness.runs import Run
from harness.statistics import stratified_mean
from harness.text import words


@section("explanations", "One decision of each class")
def _explanations(run: Run) -> Context | str:
    if (reason := no_samples(run)) is not None:
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


@section("class-means", "The mean map of each class")
def _class_means(run: Run) -> Context | str:
    if (reason := no_samples(run)) is not None:
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
        f"{words(strongest)} gives the largest mean absolute contribution, "
        f"{show(strength[strongest])} logits a pixel."
    )
    rows = [
        (
            words(name),
            *(show(_statistic(run, name, rule)) for rule in _STATISTICS),
            show(strength[name]),
        )
        for name in contributions
    ]
    columns = ("method", *(words(rule) for rule in _STATISTICS), "mean of |map|")
    return {"chart": Chart("class-mean-maps", figure, finding, columns, rows), "seed": evidence.seed}


_STATISTICS = ("mean", "maximum", "standard_deviation", "percentile_99")


def _statistic(run: Run, method: str, rule: str) -> float | None:
    estimate = run.estimate(f"map_statistics.{method}.{rule}")
    return None if estimate is None else estimate.estimate
