"""The baseline of a run: kept where the record of its data cannot tell it, and sealed with the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.directories import RunDirectory
from harness.artifacts.forms import form_of, keep
from harness.artifacts.sealing import rests_a_gate_on
from harness.errors import DamageError, RunError
from harness.forms import Form

REFERENCE = np.array([0.25, 0.5, 0.75], dtype=np.float32)


def form(baseline: str | float, reference: Any) -> Form:
    return Form("series", ("time",), (3,), 1.0, "V", baseline, reference)


@pytest.mark.parametrize(
    ("baseline", "reference", "kept"),
    [
        ("zero", 0 * REFERENCE, False),
        (0.5, 0 * REFERENCE + np.float32(0.5), False),
        ("mean", REFERENCE, True),
        ("array", REFERENCE, True),
    ],
)
def test_what_was_kept_is_read(baseline: str | float, reference: Any, kept: bool, tmp_path: Path) -> None:
    """To the last bit, from a file where the record does not suffice."""
    run, one = RunDirectory(tmp_path), form(baseline, reference)
    keep(run, one)
    again = form_of(run, one.as_record())
    assert again.as_record() == one.as_record()
    assert np.array_equal(again.reference, reference)
    assert (tmp_path / "baseline.npz").is_file() == kept


def test_a_baseline_that_is_gone_or_changed_is_damage(tmp_path: Path) -> None:
    """A gate rests on it: contributions are of inputs less the baseline."""
    run, one = RunDirectory(tmp_path), form("array", REFERENCE)
    with pytest.raises(RunError, match=r"baseline\.npz"):
        form_of(run, one.as_record())
    run.write_json("environment.json", {})
    keep(run, one)
    run.finish()
    keep(run, form("array", 2 * REFERENCE))
    with pytest.raises(DamageError, match=r"baseline\.npz: is not as it was computed"):
        form_of(RunDirectory.open(tmp_path), one.as_record())
    assert rests_a_gate_on("baseline.npz")
