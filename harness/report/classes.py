"""Many classes: which of them are shown one by one, and the sentence that says so."""

from __future__ import annotations

import numpy as np

from harness.records import Ints
from harness.runs import Run

MOST = 20
"""Classes that are drawn one by one; tables and the run directory hold all."""


def shown(run: Run, most: int = MOST) -> Ints:
    """The classes with explained samples, rising; of more than `most` those whose maps agree least."""
    labels = run.directory.read_arrays("samples.npz")["labels"]
    present = np.unique(labels)
    if len(present) <= most:
        return present
    values = run.per_sample("agreement")
    if values.shape[1] != len(labels):
        return present[:most]
    # maps without a correlation count as the worst
    each = np.nan_to_num(values.mean(axis=0), nan=-2.0)
    means = np.array([each[labels == label].mean() for label in present])
    return np.sort(present[np.argsort(means, kind="stable")[:most]])


def told(chosen: Ints, whole: int) -> str:
    """Which classes are shown, in a sentence with a space before it; empty where all are."""
    if len(chosen) >= whole:
        return ""
    return f" Shown are the {len(chosen)} of {whole} classes whose maps agree least."
