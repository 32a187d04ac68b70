"""Whether each map is what it claims to be; what agreement between methods cannot see."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.measurements.agreement import by_pair, correlations, incomparable
from harness.measurements.evidence import NO_METHOD, Evidence, measurements, sampled
from harness.records import Floats, Measurement

TOLERANCE = {"float64": 1e-3, "float32": float(np.finfo(np.float32).eps) ** 0.25}
"""The largest error, relative to the map's norm, of a map that satisfies its definition, by the precision in
which it was asked: `harness.subjects.precision` tells why."""


@measurements.register("attribution_integrity")
def attribution_integrity(evidence: Evidence) -> Iterator[Measurement]:
    """The smallest share, over methods, of samples whose map is what it claims to be.

    A map is, if its inner product with random directions equals what forward passes say (to 1e-3 of its
    norm), if it adds nothing where the image equals the baseline (of a method that claims so), and if its
    file names this image, this class and the method's space. The stored predictions are asked as well: they
    must be those of the stored
    weights. A method that declares no identity is held to the other conditions alone.
    """
    errors = _errors(evidence)
    known = [name for name in evidence.methods if name not in errors]
    undefined = f" (no definition is known of {', '.join(known)})" if errors and known else ""
    yield sampled(
        evidence,
        "attribution_integrity",
        f"Samples whose maps satisfy their definitions{undefined}{_coarsely(evidence)}{_in_part(evidence)}",
        lambda: _holds(evidence, errors),
        unit="share of samples",
        reduction="smallest proportion",
        reason=_unasked(evidence),
    )
    for name, rows in errors.items():
        bad = int((~np.isfinite(rows)).sum())

        def values(rows: Floats = rows) -> Floats:
            return rows

        yield sampled(
            evidence,
            f"attribution_integrity.{name}",
            f"Error of {name} against forward passes (median)",
            values,
            unit="share of the map's norm",
            higher_is_better=False,
            reduction="median",
            reason=f"{bad} of {len(rows)} errors of {name} are not finite" if bad else None,
        )


def _unasked(evidence: Evidence) -> str | None:
    """Why nobody can say whether the maps hold; None where every method was asked."""
    asked = evidence.sanity.get("integrity")
    if asked is None:
        return "the run holds no answers to the integrity check"
    missing = [name for name in evidence.methods if name not in asked["methods"]]
    if missing:
        return f"the integrity check was not made of {', '.join(missing)}"
    return None if evidence.methods else NO_METHOD


def _precision(evidence: Evidence) -> str:
    """The one that maps were asked in; of runs of before there were two, float64."""
    return str(evidence.sanity["integrity"].get("precision", "float64"))


def _coarsely(evidence: Evidence) -> str:
    """What is to be said of maps that were not asked in float64."""
    if "integrity" not in evidence.sanity or (precision := _precision(evidence)) == "float64":
        return ""
    return f" (asked in {precision}, to {100 * TOLERANCE[precision]:.2g} %)"


def _in_part(evidence: Evidence) -> str:
    """What is to be said of samples that lie on a kink of the model; runs of before it was told have none."""
    along = evidence.sanity.get("integrity", {}).get("along")
    if along is None or (np.asarray(along) == 1).all():
        return ""
    count = int((np.asarray(along) < 1).any(axis=0).sum())
    return f" ({count} of {along.shape[1]} on a kink, asked where the model has a derivative)"


def _errors(evidence: Evidence) -> dict[str, Floats]:
    """Each map's error against forward passes, float64 [n], by method; `predictions` stands among them."""
    asked = evidence.sanity.get("integrity")
    return {} if asked is None else dict(zip(map(str, asked["names"]), asked["errors"], strict=True))


def _holds(evidence: Evidence, errors: dict[str, Floats]) -> Floats:
    """Whether the predictions and each method's map of each sample hold: float64 [n, 1 + methods]."""
    tolerance = TOLERANCE[_precision(evidence)]
    columns = [errors["predictions"] <= tolerance]
    blank = evidence.images == 0
    asked = evidence.sanity["integrity"]
    spaces = dict(zip(map(str, asked["methods"]), map(str, asked["spaces"]), strict=True))
    for name in evidence.methods:
        maps = evidence.maps[name]
        holds = errors.get(name, np.zeros(len(blank))) <= tolerance  # NaN does not
        if maps.missingness:
            holds &= ~(blank & (maps.contribution(evidence.images) != 0)).any(axis=1)
        holds &= maps.space == spaces[name]
        for said, true in ((maps.targets, evidence.labels), (maps.indices, evidence.indices)):
            holds &= np.zeros(len(true), dtype=bool) if said is None else said == true
        columns.append(holds)
    return np.stack(columns, axis=1).astype(np.float64)


@measurements.register("attribution_copies")
def attribution_copies(evidence: Evidence) -> Iterator[Measurement]:
    """The largest of the pairs' agreements: two methods that never differ are one method, counted twice."""
    yield sampled(
        evidence,
        "attribution_copies",
        "Largest correlation of two methods",
        lambda: by_pair(evidence.contributions(), evidence.grains(), correlations),
        higher_is_better=False,
        reduction="largest mean",
        reason=incomparable(evidence.contributions()),
    )
