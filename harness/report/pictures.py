"""Sections that show decisions and their maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness import figures
from harness.criteria import show
from harness.measurements import correlations
from harness.measurements.agreement import at_one_grain, pairs
from harness.records import Floats
from harness.report import classes
from harness.report.page import Chart, Context, no_samples, section, show_finite
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
    chosen, places = classes.shown(run), run.typical(run.config.report.figure_samples)
    places = places[np.isin(evidence.labels[places], chosen)]
    layout = figures.Layout.of(run.form, evidence.images)
    drawn = f" Drawn: {layout.told}." if layout.told else ""
    charts = []
    for place, figure in zip(places, run.explained(places), strict=True):
        index, name = int(evidence.indices[place]), evidence.classes[evidence.labels[place]]
        finding = f"Test {run.form.one} {index}, rightly named {name}"
        if judged and np.isfinite(values[0][place]):
            finding += f": its maps agree at {show(float(values[0][place]))}"
        maps = {one: rows[[place]].astype(np.float64) for one, rows in evidence.contributions().items()}
        told = _rows(maps, evidence.grains())
        charts.append(Chart(f"sample-{index}", figure, f"{finding}.{drawn}", _COLUMNS, told))
    return {
        "charts": charts,
        "seed": evidence.seed,
        "told": classes.told(chosen, len(np.unique(evidence.labels))),
        "form": run.form,
        "layout": layout,
    }


_COLUMNS = ("what", "correlation", "mean", "maximum", "s.d.", "99 % of |map|")


def _rows(maps: Mapping[str, Floats], grains: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What the third row of a sample's figure tells: each pair's correlation, each map's numbers."""
    rows = [
        (
            f"{words(a)} – {words(b)}",
            show_finite(correlations(*at_one_grain(maps, grains, (a, b)))[0]),
            *["–"] * 4,
        )
        for a, b in pairs(tuple(maps))
    ]
    for name, one in maps.items():
        numbers = (one.mean(), one.max(), one.std(), np.quantile(np.abs(one), 0.99))
        rows.append((words(name), "–", *map(show_finite, numbers)))
    return rows


@section("class-means", "The mean map of each class")
def _class_means(run: Run) -> Context | str:
    if (reason := no_samples(run)) is not None:
        return reason
    evidence = run.evidence()
    present = np.unique(evidence.labels)

    def by_class(rows: Any) -> Any:
        return np.stack([rows[evidence.labels == label].mean(axis=0) for label in present])

    contributions = evidence.contributions()
    chosen = classes.shown(run)
    drawn = np.isin(present, chosen)
    figure = figures.class_means(
        {name: by_class(maps)[drawn] for name, maps in contributions.items()},
        by_class(evidence.images)[drawn],
        [evidence.classes[label] for label in chosen],
        figures.Layout.of(run.form, evidence.images),
    )
    strength = {
        name: float(stratified_mean(np.abs(maps).mean(axis=1), evidence.labels))
        for name, maps in contributions.items()
    }
    strongest = max(strength, key=lambda name: strength[name])
    finding = (
        f"Mean contribution maps of {len(present)} classes by {len(contributions)} methods; "
        f"{words(strongest)} gives the largest mean absolute contribution, "
        f"{show(strength[strongest])} logits a {run.form.feature}."
    )
    rows = [
        (
            words(name),
            *(show(_statistic(run, name, rule)) for rule in _STATISTICS),
            show(strength[name]),
        )
        for name in contributions
    ]
    several = f", seed {evidence.seed}" if len(run.config.seeds) > 1 else ""
    columns = ("method", *(words(rule) for rule in _STATISTICS), f"mean of |map|{several}")
    return {
        "chart": Chart("class-mean-maps", figure, finding, columns, rows),
        "seed": evidence.seed,
        "told": classes.told(chosen, len(present)),
        "form": run.form,
    }


_STATISTICS = ("mean", "maximum", "standard_deviation", "percentile_99")


def _statistic(run: Run, method: str, rule: str) -> float | None:
    estimate = run.estimate(f"map_statistics.{method}.{rule}")
    return None if estimate is None else estimate.estimate
