"""Sections on the network: how well it learned, and its code."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness import figures
from harness.criteria import show
from harness.report.page import Chart, Context, section
from harness.runs import Run


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
