"""What no threshold can say of shoes."""

from __future__ import annotations

import numpy as np

from harness.runs import Run


def test_every_kind_of_shoe_leads(run: Run) -> None:
    """The class of each kind of shoe leads the next one by half a logit, in the mean."""
    labels = run.directory.read_arrays("samples.npz")["labels"]
    leads = run.per_sample("lead").mean(axis=0)
    for label in np.unique(labels):
        assert leads[labels == label].mean() >= 0.5, run.classes[label]
