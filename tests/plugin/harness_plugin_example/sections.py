"""The closest decisions, as a section of the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.report.page import section
from harness.runs import Run

SHOWN = 5


@section("close-decisions", "The closest decisions", templates=Path(__file__).parent / "templates")
def close_decisions(run: Run) -> Mapping[str, Any] | str:
    """The explained inputs whose class leads least, the mean over seeds."""
    leads = run.per_sample("lead")
    if not leads.size:
        return "This run did not measure by how much a class leads."
    mean = leads.mean(axis=0)
    chosen = run.directory.read_arrays("samples.npz")
    rows = [
        (int(chosen["indices"][place]), run.classes[chosen["labels"][place]], f"{mean[place]:.3g}")
        for place in np.argsort(mean, kind="stable")[:SHOWN]
    ]
    return {"rows": rows}
