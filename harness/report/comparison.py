"""Two runs side by side on a page of its own: what moved, in numbers and in the same images' maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness import figures
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder
from harness.config.values import named_place
from harness.environment.state import clean as clean_state
from harness.errors import OutputError, StorageError
from harness.measurements import CONTROL_METHOD, correlations
from harness.records import Floats
from harness.report.differences import criteria, method_pairs, moved, provenance, signed
from harness.report.page import templates
from harness.report.sides import Common, Side, common_samples
from harness.text import clean, words

MOST = 60
"""Images whose maps are shown."""


@clean_state()
def compare(first: RunDirectory, second: RunDirectory, output: str | Path | None = None) -> tuple[Path, str]:
    """Write the page that compares two runs; its path, and what moved in a sentence.

    Args:
        first: Run A; changes are B - A.
        second: Run B.
        output: The page's file; beside the folder of A's `runs`, else in the working directory, by default.

    Raises:
        OutputError: the page cannot be written there.
    """
    name = f"compare-{first.path.name}-{second.path.name}.html"
    path = _place(first) / name if output is None else named_place("--output", output)
    a, b = Side("A", first), Side("B", second)
    common = common_samples(a, b)
    rows = criteria(a, b, common)
    told = moved(a, b, rows)
    environment = templates()
    environment.filters["signed"] = signed
    page = environment.get_template("compare.html.j2").render(
        a=a,
        b=b,
        moved=told,
        noun=a.form.noun if a.form else "inputs",
        rows=rows,
        pairs=method_pairs(a, b, common),
        differing=provenance(a, b),
        common=common,
        maps=_maps(a, b, common),
        # last: what could not be read is known when all was asked for
        gaps=[(side.letter, gap) for side in (a, b) for gap in dict.fromkeys(side.gaps)],
    )
    try:
        Folder(path.parent).write_text(path.name, page)
    except StorageError as error:
        raise OutputError(f"--output {error}, or name another file") from None
    return path, "; ".join(told)


def _place(run: RunDirectory) -> Path:
    return run.path.parent.parent if run.path.parent.name == "runs" else Path()


@dataclass(frozen=True)
class Method:
    """How one method's maps of the same images changed.

    Attributes:
        name: The method.
        median: Of the correlations of A's and B's maps over all common images; None without any.
        low: Their 5th percentile.
        n: How many images have one.
        sheets: Of the shown images: A's maps, B's, and B - A, on one scale for the three.
    """

    name: str
    median: float | None
    low: float | None
    n: int
    sheets: tuple[figures.Sheet, ...]


def _maps(a: Side, b: Side, common: Common) -> dict[str, Any]:
    """The context of the same images' maps, those that changed most first; or why there are none."""
    if common.why:
        return {"why": common.why, "notes": []}
    if not a.seeds or not b.seeds:
        return {"why": "A run does not tell its seeds.", "notes": []}
    shared = [seed for seed in a.seeds if seed in b.seeds]
    seeds = (shared[0], shared[0]) if shared else (a.seeds[0], b.seeds[0])
    names, notes = _methods(a, b, seeds)
    loaded = {name: _pair(a, b, seeds, name, common) for name in names}
    form = a.form
    if form is None or b.form is None:
        return {"why": "A run does not tell what its inputs are.", "notes": notes}
    features = int(np.prod(form.shape))
    for name, pair in list(loaded.items()):
        if any(rows.shape != (len(common.indices), features) for rows in pair):
            notes.append(f"{words(name)}: its maps are of another shape, or of other {form.noun}, in a run.")
            del loaded[name]
    if not loaded:
        return {"why": f"No method has maps of these {form.noun} in both runs.", "notes": notes}
    with np.errstate(invalid="ignore"):
        kept = {name: correlations(*pair) for name, pair in loaded.items()}
    # no correlation counts as the largest change that there can be
    same = {name: (x == y).all(axis=1) for name, (x, y) in loaded.items()}
    by_method = [np.where(same[name], 0.0, 1 - np.nan_to_num(one, nan=-1.0)) for name, one in kept.items()]
    changes = np.mean(by_method, axis=0)
    inputs = form.inputs(a.arrays("samples.npz")["images"][common.first])
    layout = figures.Layout.of(form, inputs)
    places = np.lexsort((common.indices, -changes))[: _most(layout, len(loaded))]
    drawn = {name: [layout.places(rows[places]) for rows in (x, y, y - x)] for name, (x, y) in loaded.items()}
    limits = {
        name: np.array([figures.heat_limit(np.stack(two)) for two in zip(x, y, strict=True)])
        for name, (x, y, _) in drawn.items()
    }
    methods = [
        Method(
            name,
            *_middle(kept[name]),
            tuple(figures.heat_sheet(layout.laid(rows), limits[name]) for rows in three),
        )
        for name, three in drawn.items()
    ]
    known = [one for one in methods if one.median is not None]
    return {
        "why": "",
        "notes": notes,
        "seeds": seeds,
        "methods": methods,
        "lowest": min(known, key=lambda one: one.median or 0.0, default=None),
        "highest": max(known, key=lambda one: one.median or 0.0, default=None),
        "images": figures.picture_sheet(layout.pictures(inputs[places])) if layout.is_picture else None,
        "sheet": methods[0].sheets[0],
        "layout": layout,
        "form": form,
        "whole": len(common.indices),
        "cards": [
            {
                "path": "" if layout.is_picture else layout.paths(inputs[at : at + 1])[0],
                "index": int(common.indices[at]),
                "class": clean(a.dataset["classes"][common.labels[at]], 40),
                "change": float(changes[at]),
                "rows": [
                    (float(kept[name][at]), float(limits[name][row]), bool(same[name][at])) for name in loaded
                ],
            }
            for row, at in enumerate(places)
        ],
    }


def _most(layout: figures.Layout, methods: int) -> int:
    """How many inputs are shown: fewer of those that are larger than the shipped data's."""
    rows, columns = layout.shape
    return min(MOST, max(1, MOST * 4 * 784 // (rows * columns * max(4, methods))))


def _methods(a: Side, b: Side, seeds: Sequence[int]) -> tuple[list[str], list[str]]:
    """The compared methods that both runs have, in A's order; a line for each that only one has."""
    there: list[list[str]] = []
    for side, seed in zip((a, b), seeds, strict=True):
        folder, files = side.directory.seed(seed).path / "attributions", f"seed-{seed}/attributions"
        named = [name for name in side.methods if (folder / f"{name}.npz").is_file()]
        told = {name: side.arrays(f"{files}/{name}.npz").get("control") for name in named}
        there.append([n for n in named if not (n == CONTROL_METHOD if told[n] is None else told[n])])
    notes = [
        f"{words(name)}: only {letter} has its maps."
        for letter, mine, others in ((a.letter, there[0], there[1]), (b.letter, there[1], there[0]))
        for name in mine
        if name not in others
    ]
    return [name for name in there[0] if name in there[1]], notes


def _pair(a: Side, b: Side, seeds: Sequence[int], name: str, common: Common) -> tuple[Floats, Floats]:
    """A method's contributions to the common images in A and in B: float64 [n, pixels] each."""
    first, second = (
        _contributions(side, seed, name, places)
        for side, seed, places in ((a, seeds[0], common.first), (b, seeds[1], common.second))
    )
    return first, second


def _contributions(side: Side, seed: int, name: str, places: Any) -> Floats:
    """Empty where they are not there, not of these images, or not finite."""
    arrays, chosen = side.arrays(f"seed-{seed}/attributions/{name}.npz"), side.arrays("samples.npz")
    own, images = arrays.get("maps"), chosen.get("images")
    if own is None or images is None or side.form is None or own.shape != images.shape or own.ndim != 2:
        return np.empty((0, 0))
    rows = own[places].astype(np.float64)
    if str(arrays.get("space")) == "sensitivity":
        rows *= side.form.inputs(images[places])
    return rows if np.isfinite(rows).all() else np.empty((0, 0))


def _middle(values: Floats) -> tuple[float | None, float | None, int]:
    known = values[np.isfinite(values)]
    if not len(known):
        return None, None, 0
    return float(np.median(known)), float(np.quantile(known, 0.05)), len(known)
