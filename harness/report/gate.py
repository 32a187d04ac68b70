"""The section on the gate itself: what it lets through, and how often it is red for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness import figures
from harness.figures import Line, Panel
from harness.report.page import Chart, Context, section
from harness.runs import Run

TOLERANCE = 0.02
"""How far an interval's coverage may lie from its nominal confidence without being named."""


@section("gate-quality", "The gate itself, judged")
def _gate_quality(run: Run) -> Context | str:
    quality = run.directory.read_gate_quality()
    if quality is None:
        return "The gate's own errors have not been measured here; nox -s gate-quality measures them."
    coverage = quality["coverage"]
    exceptions = [f"{kind}: {sentence}" for kind, row in coverage.items() for sentence in row["exceptions"]]
    return {
        "quality": quality,
        "curves": _operating_curves(quality["operating_curves"]),
        "coverage": _coverage(coverage),
        "exceptions": exceptions,
        "nights": _nights(quality.get("nightly")),
        "same_code": quality["code"] == run.provenance.gate,
    }


def _nights(nightly: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """False alarms of simulated series by noise, beside the naive rule; how soon 2 sd are found."""
    heads = (
        "noise",
        "false alarms a year",
        "at most (95 %)",
        "red",
        "last night ± 2 sd",
        "2 sd found in",
    )
    rows = []
    for kind, part in nightly["kinds"].items() if nightly else ():
        false = part["false_alarms"]
        found = next((row for row in part["found"] if row["what"] == "step of 2 sd"), None)
        median = None if found is None else found["median"]
        rows.append(
            (
                kind,
                f"{false['a_year']:.2f}",
                f"{false['upper_bound']:.2f}",
                f"{false['red_a_year']:.2f}",
                f"{part['naive']['a_year']:.0f}",
                "–" if median is None else f"{median:.0f}",
            )
        )
    return {"columns": heads, "rows": rows}


def _operating_curves(curves: Mapping[str, Any]) -> Chart:
    """How likely red is, by the true distance of agreement from its threshold."""
    panels, rows, sentences = [], [], []
    for where, curve in curves.items():
        distances = np.array([point["distance_se"] for point in curve["point"]], dtype=np.float64)
        red = {rule: np.array([point["red"] for point in curve[rule]]) for rule in ("point", "strict")}
        panels.append(
            Panel(
                f"{where}, {curve['images_a_class']} images a class",
                "true distance from the threshold [standard errors]",
                [Line(f"red by the {rule} rule", distances, values) for rule, values in red.items()],
                limits=(-0.02, 1.02),
                marked=0,
                y_label="probability of red",
            )
        )
        at, safe = int(np.abs(distances).argmin()), distances[red["strict"] <= 0.01]
        sentence = (
            f"{where}: at {_distance(distances[at])} red is {red['point'][at]:.1%} likely by the "
            f"point rule, {red['strict'][at]:.1%} by the strict one"
        )
        if len(safe):
            sentence += f", which is red in at most 1 % of runs from {safe.min():+g} on"
        sentences.append(f"{sentence}.")
        rows += [
            (
                f"{where}, {point['distance_se']:+.0f}",
                f"{point['distance']:+.4f}",
                f"{point['red']:.1%}",
                f"{strict['red']:.1%}",
            )
            for point, strict in zip(curve["point"], curve["strict"], strict=True)
            if point["distance_se"] == round(point["distance_se"])
        ]
    heads = ("true distance [s.e.]", "[correlation]", "red, point", "red, strict")
    return Chart("operating-curves", figures.lines(panels), " ".join(sentences), heads, rows)


def _distance(number: float) -> str:
    return f"{number:+g} standard errors" if number else "the threshold itself"


def _coverage(coverage: Mapping[str, Any]) -> Chart:
    """How often each kind of interval holds the truth, in simulations."""
    kinds = [
        (kind, [cell["coverage"] for cell in row["cells"]], row["nominal"])
        for kind, row in coverage.items()
        if row["cells"]
    ]
    cells = [(abs(one - nominal), one, kind, nominal) for kind, found, nominal in kinds for one in found]
    outside = sum(miss > TOLERANCE for miss, *_ in cells)
    _, furthest, named, nominal = max(cells)
    finding = (
        f"{len(cells) - outside} of {len(cells)} settings cover within two points of their nominal "
        f"confidence; the furthest off is '{named}' with {furthest:.1%} for {nominal:.0%}."
    )
    rows = [
        (
            kind,
            f"{100 * row['nominal']:.3g} %",
            f"{min(found):.1%}",
            f"{max(found):.1%}",
            len(found),
            len(row["exceptions"]),
            f"{min(cell['repetitions'] for cell in row['cells']):,}",
        )
        for (kind, found, _), row in zip(kinds, (coverage[kind] for kind, *_ in kinds), strict=True)
    ]
    heads = ("interval", "nominal", "lowest", "highest", "settings", "outside 2 points", "repetitions")
    return Chart("coverage", figures.ranges(kinds, TOLERANCE, "coverage"), finding, heads, rows)
