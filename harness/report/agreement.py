"""Sections on how far the methods agree."""

from __future__ import annotations

import itertools

from harness import figures
from harness.criteria import show
from harness.measurements import CONTROL_METHOD
from harness.report.page import Chart, Context, interval, no_samples, section
from harness.runs import Run
from harness.text import words


@section("agreement", "Agreement, beside its controls")
def _agreement(run: Run) -> Context | str:
    agreement = run.estimate("agreement")
    if agreement is None or agreement.estimate is None:
        return no_samples(run) or f"Agreement could not be measured: {agreement and agreement.reason}."
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
        f"{words(worst[0])} and {words(worst[1])} with {show(values[worst])}.",
        ("pair", "agreement", "interval", "images"),
        [
            (
                f"{words(a)} – {words(b)}",
                show(one.estimate),
                interval(one.low, one.high),
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
        [(one.title, show(one.estimate), interval(one.low, one.high), one.n) for one in shown],
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
