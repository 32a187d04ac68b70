"""How close a decision was, as a measurement."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.measurements import Evidence, measurements
from harness.records import Measurement


@measurements.register("lead")
def lead(evidence: Evidence) -> Iterator[Measurement]:
    """By how much the logit of each explained input's class is above the best other one."""
    logits = evidence.logits[evidence.indices].astype(np.float64)
    rows = np.arange(len(logits))
    chosen = logits[rows, evidence.labels]
    logits[rows, evidence.labels] = -np.inf
    values = chosen - logits.max(axis=1)
    yield Measurement("lead", "Lead over the next class", "logit", True, "mean", values, evidence.labels)
