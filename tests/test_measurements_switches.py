"""How much of a decision happened at switches of the code."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from harness.capabilities import lacking
from harness.measurements import Evidence, measurements
from harness.records import Measurement
from tests.evidence import an_evidence, probed

BASES = ("switch_share", "switch_count", "switch_movement")
N = 12


def asked(**arrays: Any) -> Evidence:
    """Evidence with these answers of the probe."""
    return dataclasses.replace(an_evidence(), sanity={"switches": arrays})


def by_hand(jumps: list[float], start: float, end: float) -> Evidence:
    """Every sample with the same path; a change at level 0 jumps nowhere."""
    along = np.linspace(start, end, 200)
    return asked(
        jumps=np.tile([*jumps, 0.0], (N, 1)).astype(np.float32),
        levels=np.tile([*(1.5 for _ in jumps), 0.0], (N, 1)).astype(np.float32),
        along=np.tile(along, (N, 1)).astype(np.float32),
    )


def measured(evidence: Evidence) -> dict[str, Measurement]:
    return {one.name: one for base in BASES for one in measurements[base](evidence)}


@pytest.mark.parametrize(
    ("jumps", "start", "end", "share", "movement"),
    [
        ([1.0, 2.0], 0.0, 10.0, 0.3, 0.3),
        ([1.0, -2.0], 1.0, 11.0, -0.1, 0.3),  # switches take from what slopes give
        ([9.0, 6.0], -2.0, 8.0, 1.5, 1.5),  # slopes take from what switches give
        ([-3.0], 4.0, -2.0, 0.5, 0.5),  # the class loses
        ([], 0.0, 5.0, 0.0, 0.0),
    ],
)
def test_the_share_is_signed_and_the_movement_is_not(
    jumps: list[float], start: float, end: float, share: float, movement: float
) -> None:
    """The jumps' sum over the change, and their sizes over its size."""
    found = measured(by_hand(jumps, start, end))
    assert found["switch_share"].values == pytest.approx(np.full(N, share), abs=1e-6)
    assert found["switch_movement"].values == pytest.approx(np.full(N, movement), abs=1e-6)
    assert found["switch_count"].values.tolist() == [float(len(jumps))] * N


def test_each_says_its_unit_its_rule_and_its_direction() -> None:
    """A share has no good end, as switches may work for or against slopes; less movement is smoother."""
    found = measured(probed())
    told = {name: (one.unit, one.reduction, one.higher_is_better) for name, one in found.items()}
    part = "share of the logit's change"
    assert told == {
        "switch_share": (part, "median", None),
        "switch_share.percentile_95": (part, "95th percentile", None),
        "switch_count": ("switches", "mean", None),
        "switch_movement": (part, "median", False),
    }
    assert all(one.strata is not None and one.reason is None for one in found.values())


def test_why_nothing_can_be_said_is_said() -> None:
    """The probe was not asked, the model has no such code, the logit is no number."""
    finite = np.ones((N, 3), dtype=np.float32)
    bad = finite.copy()
    bad[4, 1] = np.nan
    for evidence, said in (
        (an_evidence(), "the run holds no answers to the switches probe"),
        (asked(reason=np.array("switches of a code: the model must be")), "switches of a code"),
        (asked(jumps=bad, levels=finite, along=finite), "NaN or infinite on the way to 1 of 12 images"),
    ):
        for one in measured(evidence).values():
            assert said in str(one.reason)
            assert len(one.values) == 0


def test_models_without_a_code_of_k_units_are_not_asked() -> None:
    """For the reason that the verdict tells."""
    for base in BASES:
        assert "k active units" in lacking(measurements[base], ("code", "gradient"))
        assert lacking(measurements[base], ("code", "k")) == ""
