"""Where on the image the attribution lies, and on how few pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.capabilities import needs
from harness.measurements.evidence import NO_METHOD, Evidence, measurements, not_finite, sampled
from harness.records import Floats, Measurement

BORDER = 2
"""The border's width in pixels."""


def gini(values: Floats) -> Floats:
    """Gini's index of each row's absolute values, float64 [n]: 0 where all are equal, near 1 where few count.

    Sum over ranks i = 1..p, from the smallest, of (2 i - p - 1) v_i, over p sum v_i. NaN where all are 0.
    """
    ordered = np.sort(np.abs(values.astype(np.float64)), axis=1)
    pixels = ordered.shape[1]
    weights = 2.0 * np.arange(1, pixels + 1) - pixels - 1
    with np.errstate(invalid="ignore"):
        return np.asarray(ordered @ weights / (pixels * ordered.sum(axis=1)))


def centre(weights: Floats, shape: tuple[int, ...]) -> Floats:
    """The centre of mass (row, column; float64 [n, 2], in pixels) of weights float [n, pixels] >= 0.

    Those of all channels and frames together; NaN where all are 0.
    """
    places = np.indices(shape[-2:]).reshape(2, -1).T.astype(np.float64)
    rows = weights.astype(np.float64).reshape(len(weights), -1, len(places)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(rows @ places / rows.sum(axis=1, keepdims=True))


@measurements.register("concentration")
def concentration(evidence: Evidence) -> Iterator[Measurement]:
    """Gini's index of each absolute contribution map (Chalasani et al. 2020), each image on its own.

    Pixels that equal the baseline contribute nothing and count as 0, so an image's background raises it.
    """
    for name, maps in evidence.contributions().items():

        def values(maps: Floats = maps) -> Floats:
            return gini(maps)

        yield sampled(
            evidence,
            f"concentration.{name}",
            f"Concentration of {name} (Gini)",
            values,
            unit="Gini's index",
            reason=not_finite({name: maps}),
        )


@measurements.register("foreground_share")
def foreground_share(evidence: Evidence) -> Iterator[Measurement]:
    """Share of the absolute sensitivity map on pixels that are not 0.

    In contribution space it would be 1 by construction.
    """
    yield from _shares(evidence, "foreground_share", "on the foreground", evidence.images != 0)


@measurements.register("border_share")
@needs("rows")
def border_share(evidence: Evidence) -> Iterator[Measurement]:
    """Share of the absolute sensitivity map on the outer two rows and columns, where images seldom differ."""
    ring = np.ones(evidence.shape, dtype=bool)
    ring[..., BORDER:-BORDER, BORDER:-BORDER] = False
    yield from _shares(evidence, "border_share", "on the border", ring.reshape(1, -1))


def _shares(evidence: Evidence, base: str, where: str, inside: Any) -> Iterator[Measurement]:
    """The share of each method's absolute sensitivity on the pixels inside (bool [n or 1, pixels]); of
    all methods, of each class.
    """

    def share(maps: Floats | None) -> Floats:
        size = np.abs(np.asarray(maps, dtype=np.float64))
        with np.errstate(invalid="ignore"):  # a map of zeros lies nowhere
            return np.asarray((size * inside).sum(axis=1) / size.sum(axis=1))

    for name in evidence.methods:
        maps = evidence.maps[name].sensitivity

        def values(maps: Floats | None = maps) -> Floats:
            return share(maps)

        yield sampled(
            evidence,
            f"{base}.{name}",
            f"Share of {name} {where}",
            values,
            unit="share of |sensitivity|",
            higher_is_better=None,
            reason=f"{name} has no sensitivity form" if maps is None else not_finite({name: maps}),
        )
    there = {name: one for name in evidence.methods if (one := evidence.maps[name].sensitivity) is not None}
    reason = evidence.shortage() or (not_finite(there) if there else NO_METHOD)
    for label, called in enumerate(evidence.classes):
        rows = evidence.labels == label
        yield Measurement(
            f"{base}.{label}",
            f"Share of all methods {where}, {called}",
            "share of |sensitivity|",
            None,
            "mean",
            np.empty(0) if reason else np.mean([share(one) for one in there.values()], axis=0)[rows],
            None if reason else evidence.labels[rows],
            reason,
        )


@measurements.register("centre_of_mass")
@needs("rows")
def centre_of_mass(evidence: Evidence) -> Iterator[Measurement]:
    """How far the absolute contribution's centre of mass lies from the image's own: down, and to the right.

    Of each method over all classes, and of each class (by its number) over all methods.
    """
    maps = evidence.contributions()
    reason = not_finite(maps) if maps else NO_METHOD

    def offsets(names: list[str], rows: Any, axis: int) -> Floats:
        own = centre(evidence.images[rows], evidence.shape)
        found = [centre(np.abs(maps[name][rows]), evidence.shape) - own for name in names]
        return np.asarray(np.mean(found, axis=0)[:, axis])

    for axis, direction in enumerate(("row", "column")):
        for name in maps:
            yield sampled(
                evidence,
                f"centre_of_mass.{name}.{direction}",
                f"Centre of {name} against the {evidence.words.owner} ({direction})",
                lambda name=name, axis=axis: offsets([name], slice(None), axis),  # type: ignore[misc]
                unit=evidence.words.features,
                higher_is_better=None,
                reason=reason,
            )
        for label, called in enumerate(evidence.classes):
            rows = evidence.labels == label
            few = evidence.shortage() or reason
            yield Measurement(
                f"centre_of_mass.{label}.{direction}",
                f"Centre of all methods against the {evidence.words.owner}, {called} ({direction})",
                evidence.words.features,
                None,
                "mean",
                np.empty(0) if few else offsets(list(maps), rows, axis),
                None if few else evidence.labels[rows],
                few,
            )
