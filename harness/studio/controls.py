"""How far the methods' maps of one input agree, beside the controls: as the run measures its own inputs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.forms import Form
from harness.measurements.agreement import by_pair, correlations, incomparable, pairs
from harness.measurements.controls import control_maps, control_untrained
from harness.measurements.evidence import CodeEvidence, Evidence, MethodMaps
from harness.records import Floats, Measurement


def compared(evidence: Evidence) -> dict[str, Any]:
    """The agreement of the methods' maps of one input, of each pair, and of the controls.

    Random maps are those that the run draws for its first input.

    Args:
        evidence: Of `evidence_of`.

    Returns:
        `value`; `pairs` as [method, method, value]; `controls` as `name`, `title`, `value`. Values are None
        where a map is constant, or there are fewer than two methods.
    """
    contributions = evidence.contributions()
    found: dict[str, Any] = {"value": None, "pairs": [], "controls": []}
    if incomparable(contributions) is None:
        by = by_pair(contributions, evidence.grains(), correlations)[0]
        named = zip(pairs(tuple(contributions)), by, strict=True)
        found["value"] = _plain(by.mean())
        found["pairs"] = [[a, b, _plain(value)] for (a, b), value in named]
    of_all = itertools.islice(control_untrained(evidence), 1)  # those of families follow
    for one in (*of_all, *control_maps(evidence)):
        name = one.name.partition(".")[2] or "untrained"
        found["controls"].append({"name": name, "title": one.title, "value": _value(one)})
    return found


def _value(one: Measurement) -> float | None:
    return _plain(one.values[0]) if one.reason is None else None


def _plain(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def evidence_of(
    maps: Mapping[str, MethodMaps],
    untrained: Mapping[str, MethodMaps],
    inputs: Floats,
    reconstruction: Floats | None,
    form: Form,
) -> Evidence:
    """One input as measurements see it: a run of one class, with the input as its only one.

    Args:
        maps: Of the trained network, by method; controls among them.
        untrained: The same of the untrained network.
        inputs: float32 [1, features], as the network sees it.
        reconstruction: Likewise, of a code that gives inputs back.
        form: Of the inputs.
    """
    one, nothing = np.zeros(1, dtype=np.int64), np.zeros((1, 1))
    code = None
    if reconstruction is not None:
        code = CodeEvidence(one, 0, nothing[0], nothing[0], nothing[0], reconstruction)
    return Evidence(
        seed=0,
        logits=nothing,
        test_labels=one,
        baseline_logits=nothing[0],
        images=inputs,
        shape=form.shape,
        indices=one,
        labels=one,
        maps=maps,
        untrained=untrained,
        classes=("",),
        wanted_per_class=1,
        minimum_per_class=1,
        confidence=0.0,
        surest=1.0,
        in_training=None,
        sanity={},
        code=code,
        kind=form.kind,
    )
