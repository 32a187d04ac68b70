"""How much of a decision happened where the code's k changed: what no gradient sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from harness.capabilities import needs
from harness.measurements.evidence import Evidence, measurements, sampled
from harness.records import Floats, Measurement

UNIT = "share of the logit's change"


def _reason(evidence: Evidence) -> str | None:
    """Why switches cannot be measured; None where they can."""
    asked = evidence.sanity.get("switches")
    if asked is None:
        return "the run holds no answers to the switches probe; compute it again"
    if "reason" in asked:
        return str(asked["reason"])
    known = np.isfinite(np.asarray(asked["jumps"])).all(axis=1) & np.isfinite(asked["along"]).all(axis=1)
    bad = int((~known).sum())
    if bad:
        return f"the logit is NaN or infinite on the way to {bad} of {len(known)} {evidence.words.noun}"
    return None


def change(asked: Mapping[str, Any]) -> Floats:
    """f_y(x) - f_y(x0) of each sample, float64 [n]."""
    along = np.asarray(asked["along"], dtype=np.float64)
    return np.asarray(along[:, -1] - along[:, 0])


def _jumps(asked: Mapping[str, Any]) -> Floats:
    return np.asarray(asked["jumps"], dtype=np.float64)


def share(asked: Mapping[str, Any]) -> Floats:
    """The jumps' sum in parts of the logit's change, signed: float64 [n]."""
    return np.asarray(_jumps(asked).sum(axis=1) / change(asked))


def count(asked: Mapping[str, Any]) -> Floats:
    """Switches on the way to each sample at which the code jumps: float64 [n]."""
    return np.asarray((np.asarray(asked["levels"]) > 0).sum(axis=1), dtype=np.float64)


def movement(asked: Mapping[str, Any]) -> Floats:
    """The jumps' absolute values, added up, in parts of the logit's absolute change: float64 [n]."""
    return np.asarray(np.abs(_jumps(asked)).sum(axis=1) / np.abs(change(asked)))


def _measured(
    evidence: Evidence,
    name: str,
    title: str,
    values: Callable[[Mapping[str, Any]], Floats],
    reduction: str,
    unit: str = UNIT,
    higher_is_better: bool | None = None,
) -> Measurement:
    return sampled(
        evidence,
        name,
        title,
        lambda: values(evidence.sanity["switches"]),
        unit=unit,
        higher_is_better=higher_is_better,
        reduction=reduction,
        reason=_reason(evidence),
    )


@measurements.register("switch_share")
@needs("code", "k")
def switch_share(evidence: Evidence) -> Iterator[Measurement]:
    """The part of f_y(x) - f_y(x0) that happened at switches: the sum of all jumps over the change.

    Signed: under 0 where switches take from what slopes give, over 1 where slopes take from what switches
    give. The rest is what gradients on the path see.
    """
    for rule, name in (("median", "switch_share"), ("95th percentile", "switch_share.percentile_95")):
        title = f"Part of the logit's change that happened at switches ({rule})"
        yield _measured(evidence, name, title, share, rule)


@measurements.register("switch_count")
@needs("code", "k")
def switch_count(evidence: Evidence) -> Iterator[Measurement]:
    """How often, on the straight path from the baseline, a unit takes another's place among the k."""
    title = "Switches on the path from the baseline"
    yield _measured(evidence, "switch_count", title, count, "mean", unit="switches")


@measurements.register("switch_movement")
@needs("code", "k")
def switch_movement(evidence: Evidence) -> Iterator[Measurement]:
    """By how much the logit moved at switches, up and down, over how far it came: sum |D| / |change|.

    Jumps that cancel in `switch_share` add up here.
    """
    title = "Movement of the logit at switches, up and down (median)"
    yield _measured(evidence, "switch_movement", title, movement, "median", higher_is_better=False)
