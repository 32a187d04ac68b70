"""The gallery: every explained sample with its maps, to be filtered, sorted and looked at large."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness import figures
from harness.criteria import show
from harness.criteria.diagnosis import lowest_agreement
from harness.measurements import correlations
from harness.measurements.agreement import by_pair, pairs
from harness.records import Floats, Ints
from harness.report.page import Context, no_samples, section
from harness.runs import Run
from harness.samples import confidences
from harness.text import clean, sure, words

MOST = 1000
"""Samples of four methods that are shown at most: a page of more is slow to open."""

PLACES = 4 * MOST * 784
"""Places of maps that are shown at most: a page of more is over 5 MB."""

KINDS = {
    "right": "right and sure: judged",
    "wrong": "surest wrong predictions",
    "below": "right, and not sure enough",
}


@dataclass(frozen=True)
class Samples:
    """Explained images, of one kind after another.

    Attributes:
        indices: int [n], positions in the test set.
        labels: int [n], true classes.
        targets: int [n], classes named, which the maps explain.
        kinds: str [n], of `KINDS`.
        confidences: float [n], in the classes named.
        images: float [n, features], as the network sees them.
        maps: Each method's contributions, float [n, features].
        reconstructions: float [of kind right, features]; none where no code gives inputs back.
        grains: Each method's groups, as `Evidence.grains`.
    """

    indices: Ints
    labels: Ints
    targets: Ints
    kinds: Any
    confidences: Floats
    images: Floats
    maps: Mapping[str, Floats]
    reconstructions: Floats
    grains: Mapping[str, Ints | None]

    def chosen(self, places: Ints) -> Samples:
        """Those at some places, which keep their order."""
        of_kind_right = places[places < len(self.reconstructions)]
        return Samples(
            self.indices[places],
            self.labels[places],
            self.targets[places],
            self.kinds[places],
            self.confidences[places],
            self.images[places],
            {name: rows[places] for name, rows in self.maps.items()},
            self.reconstructions[of_kind_right],
            self.grains,
        )


def explained(run: Run) -> Samples:
    """All that the first seed explained: the judged samples, then, where they were looked at, the others."""
    evidence = run.evidence()
    maps = {name: rows.astype(np.float64) for name, rows in evidence.contributions().items()}
    samples = Samples(
        evidence.indices,
        evidence.labels,
        evidence.labels,
        np.full(len(evidence.labels), "right"),
        confidences(evidence.logits[evidence.indices]),
        evidence.images,
        maps,
        np.asarray(evidence.reconstructions, dtype=np.float64),
        evidence.grains(),
    )
    others = evidence.sanity.get("others")
    if others is None or not set(maps) <= set(others["methods"].tolist()):
        return samples
    names = others["methods"].tolist()
    # the surest wrong ones first, and of the right ones the surest last
    order = np.lexsort((-others["confidences"], others["kind"] != "wrong"))
    return Samples(
        np.concatenate([samples.indices, others["indices"][order]]),
        np.concatenate([samples.labels, others["labels"][order]]),
        np.concatenate([samples.targets, others["targets"][order]]),
        np.concatenate([samples.kinds, others["kind"][order]]),
        np.concatenate([samples.confidences, others["confidences"][order]]),
        np.concatenate([samples.images, run.form.inputs(others["images"][order])]),
        {
            name: np.concatenate([rows, others["contributions"][names.index(name)][order]])
            for name, rows in maps.items()
        },
        samples.reconstructions,
        samples.grains,
    )


def spread(strata: Ints, values: Floats, most: int) -> Ints:
    """At most `most` places, as evenly as can be over the strata, and over the values inside each.

    Small strata are taken whole and leave their share to the others; of each the lowest and the highest
    value are among the chosen.

    Args:
        strata: int [n].
        values: float [n]; NaN counts as the lowest.
        most: How many.

    Returns:
        int [at most `most`], rising.
    """
    if len(strata) <= most:
        return np.arange(len(strata))
    names, sizes = np.unique(strata, return_counts=True)
    taken: list[Ints] = []
    left = most
    for done, place in enumerate(np.argsort(sizes, kind="stable")):
        members = np.flatnonzero(strata == names[place])
        ranked = members[np.argsort(np.nan_to_num(values[members], nan=-np.inf), kind="stable")]
        quota = min(len(ranked), left // (len(names) - done))
        ranks = np.linspace(0, len(ranked) - 1, quota).round().astype(np.int64)
        taken.append(ranked[ranks])
        left -= quota
    return np.sort(np.concatenate(taken))


@section("gallery", "Every explained sample")
def _gallery(run: Run) -> Context | str:
    if (reason := no_samples(run)) is not None:
        return reason
    samples, evidence = explained(run), run.evidence()
    table = _pairs(samples)
    agreement = _means(table)
    kinds = {kind: int((samples.kinds == kind).sum()) for kind in KINDS}
    strata = samples.labels + len(evidence.classes) * np.array([list(KINDS).index(k) for k in samples.kinds])
    layout = figures.Layout.of(run.form, samples.images)
    places = spread(strata, agreement, most(layout, len(samples.maps)))
    # the page's head links to it, and over several seeds it need not be the lowest of the first
    if (lowest := lowest_agreement(run.directory)) is not None:
        places = np.union1d(places, np.flatnonzero(samples.indices == lowest.index))
    whole = len(samples.indices)
    # within a kind the lowest agreement comes first; the others keep their order by confidence
    keys = np.where(samples.kinds[places] == "right", np.nan_to_num(agreement[places], nan=-2.0), 0)
    order = places[np.lexsort((keys, strata[places] // len(evidence.classes)))]
    samples, table, agreement = samples.chosen(order), table[order], agreement[order]
    marks = _marks(samples, agreement)
    maps = {name: layout.places(_finite(rows)) for name, rows in samples.maps.items()}
    limits = {name: figures.heat_limits(rows) for name, rows in maps.items()}
    shared = figures.heat_limit(np.stack(list(maps.values())))
    sheets = {name: figures.heat_sheet(layout.laid(rows), limits[name]) for name, rows in maps.items()}
    rebuilt = len(samples.reconstructions) > 0
    if layout.is_picture:
        sheets["image"] = figures.picture_sheet(layout.pictures(samples.images))
        if rebuilt:
            sheets["reconstruction"] = figures.picture_sheet(layout.pictures(samples.reconstructions))
    paths = [] if layout.is_picture else layout.paths(samples.images)
    again = [] if layout.is_picture else layout.paths(samples.reconstructions)
    names = tuple(maps)
    told = {name: _told(rows, limits[name]) for name, rows in samples.maps.items()}
    return {
        "cards": [
            _card(place, samples, told, table, agreement, run)
            | {"mark": marks.get(place, "")}
            | {"path": paths[place] if paths else "", "again": again[place] if place < len(again) else ""}
            for place in range(len(order))
        ],
        "sheet": sheets[names[0]],
        "layout": layout,
        "form": run.form,
        "sheets": sheets,
        "methods": names,
        "pairs": pairs(names),
        "kinds": {kind: (text, kinds[kind]) for kind, text in KINDS.items() if kinds[kind]},
        "classes": {int(label): evidence.classes[label] for label in np.unique(samples.labels)},
        "shape": layout.shape,
        "shared": shared,
        "printed": _limit(shared),
        "levels": " ".join(f"{level:.4g}" for level in figures.LEVELS),
        "palette": " ".join("{:02x}{:02x}{:02x}".format(*colour) for colour in figures.PALETTE),
        "whole": whole,
        "seed": evidence.seed,
        "rebuilt": rebuilt,
    }


def most(layout: figures.Layout, methods: int) -> int:
    """How many samples are shown: fewer of larger ones, and of more methods than four."""
    places = layout.shape[0] * layout.shape[1]
    # a line's point takes as much room as a map's places of four methods
    each = places * max(4, methods) + (0 if layout.is_picture else 4 * places)
    return min(MOST * 4 // max(4, methods), max(1, PLACES // each))


def _finite(rows: Floats) -> Floats:
    """The maps; zeros in place of one that is not finite, which has no correlation and is named so."""
    return np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, 0.0)


def _pairs(samples: Samples) -> Floats:
    """The correlation of each sample's maps by pair of methods: float64 [n, pairs]."""
    if len(samples.maps) < 2:
        return np.empty((len(samples.indices), 0))
    with np.errstate(invalid="ignore"):
        return by_pair(samples.maps, samples.grains, correlations)


def _means(table: Floats) -> Floats:
    return table.mean(axis=1) if table.shape[1] else np.full(len(table), np.nan)


def _marks(samples: Samples, agreement: Floats) -> dict[int, str]:
    """The judged samples of lowest and of median agreement in each class, by place."""
    marks = {}
    judged = (samples.kinds == "right") & np.isfinite(agreement)
    for label in np.unique(samples.labels[judged]):
        members = np.flatnonzero(judged & (samples.labels == label))
        ranked = members[np.argsort(agreement[members], kind="stable")].tolist()
        marks[ranked[len(ranked) // 2]] = "median of its class"
        marks[ranked[0]] = "lowest of its class"
    return marks


def _told(rows: Floats, limits: Floats) -> list[dict[str, str]]:
    """What is written of each of a method's maps: its scale, its numbers, and what it is where blank."""
    finite: Any = np.isfinite(rows).all(axis=1)
    zero: Any = (rows == 0).all(axis=1)
    with np.errstate(invalid="ignore"):
        numbers = np.stack([rows.mean(axis=1), rows.max(axis=1), rows.std(axis=1)], axis=1)
    return [
        {
            "limit": _limit(limit),
            "numbers": " ".join(map(_number, three)),
            "blank": "" if shown and not empty else "all zero" if shown else "not finite",
        }
        for limit, three, shown, empty in zip(
            limits.tolist(), numbers.tolist(), finite.tolist(), zero.tolist(), strict=True
        )
    ]


def _card(
    place: int,
    samples: Samples,
    told: Mapping[str, list[dict[str, str]]],
    table: Floats,
    agreement: Floats,
    run: Run,
) -> dict[str, Any]:
    """What the template says of one sample."""
    names = tuple(told)
    true, named = run.classes[samples.labels[place]], run.classes[samples.targets[place]]
    index, confidence = int(samples.indices[place]), float(samples.confidences[place])
    finding = f"Test {run.form.one} {index}, {true}"
    finding += f", named {named}" if true != named else ""
    finding += f", {sure(confidence)} sure. "
    if np.isfinite(agreement[place]):
        lowest = pairs(names)[int(table[place].argmin())]
        finding += (
            f"Its maps agree at {show(float(agreement[place]))}, "
            f"least {words(lowest[0])} and {words(lowest[1])}, at {show(float(table[place].min()))}."
        )
    elif len(names) > 1:
        finding += "Its maps have no correlation."
    return {
        "index": index,
        "label": int(samples.labels[place]),
        "kind": str(samples.kinds[place]),
        "true": true,
        "named": named if true != named else "",
        "confidence": confidence,
        "agreement": _number(agreement[place]),
        "finding": clean(finding.strip(), 400),
        "pairs": " ".join(map(_number, table[place].tolist())),
        "numbers": ";".join(rows[place]["numbers"] for rows in told.values()),
        "maps": [{"name": name} | rows[place] for name, rows in told.items()],
    }


def _limit(value: float) -> str:
    """A scale's end in two digits, and never fewer than there are before the point."""
    return f"{value:.0f}" if value >= 10 else f"{value:#.2g}"


def _number(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 0.1 else f"{value:.3g}" if math.isfinite(value) else "–"
