"""The maps of a saved view: of one run, or of two with their difference, all on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness import figures
from harness.criteria import show
from harness.figures import Layout
from harness.records import Floats
from harness.report.page import Chart
from harness.studio.viewed import Part, View, floats
from harness.text import counted, words


def section(view: View) -> Part:
    """Every method's map, on one scale; of two runs both, and by how much B's is above A's."""
    answers = [view.answer, *([] if view.beside is None else [view.beside[2]])]
    told = [{str(one["method"]): one for one in answer["maps"]} for answer in answers]
    names = list(dict.fromkeys(name for by in told for name in by))
    found = {name: [_flat(by.get(name)) for by in told] for name in names}
    lines = [
        f"{letter}{words(name)}: {_why(by.get(name))}."
        for letter, by in zip(("A, ", "B, ") if len(told) > 1 else ("",), told, strict=True)
        for name in names
        if _flat(by.get(name)) is None
    ]
    if view.beside is not None and (target := view.beside[2]["target"]) != view.answer["target"]:
        lines.insert(0, f"B explains {view.named(target)}, the class that it predicts.")
    lines = [*view.notes, *lines]
    drawn = {name: some for name, some in found.items() if any(one is not None for one in some)}
    if not drawn:
        return Part("maps", "Maps", lines, absent="No method was asked for a map.")
    controls = {name for by in told for name, one in by.items() if one["control"]}
    scale = _scale({name: one for name, one in drawn.items() if name not in controls} or drawn, view.layout)
    finding = (
        f"Contributions of {counted(len(drawn), 'method')} to {view.explained}, all on one scale that ends "
        f"at ±{show(scale)}; red added to the logit, blue took from it."
    )
    if len(told) > 1:
        return Part("maps", "Maps", lines, [_two(view, drawn, scale, finding)])
    maps = {name: one for name, (one,) in drawn.items() if one is not None}
    figure = figures.explanation(
        view.asked.inputs, maps, layout=view.layout, reconstruction=view.again, scale=scale
    )
    rows = [
        (words(name), *(show(float(one)) for one in (map_.sum(), map_.min(), map_.max())))
        for name, map_ in maps.items()
    ]
    chart = Chart("view-maps", figure, finding, ("method", "sum", "lowest", "highest"), rows)
    return Part("maps", "Maps", lines, [chart])


def _flat(told: Mapping[str, Any] | None) -> Floats | None:
    map_ = floats(told["map"]) if told is not None else None
    return None if map_ is None else map_.ravel()


def _why(told: Mapping[str, Any] | None) -> str:
    return "this run does not ask it" if told is None else told.get("reason") or "it has no map here"


def _scale(maps: Mapping[str, Sequence[Floats | None]], layout: Layout) -> float:
    """Where the scale of all maps ends: a control explains nothing, and is not to make the others pale."""
    known = [one for some in maps.values() for one in some if one is not None]
    return figures.heat_limit(layout.places(np.stack(known)))


def _two(view: View, maps: Mapping[str, Sequence[Floats | None]], scale: float, finding: str) -> Chart:
    """Both runs' maps, and by how much B's is above A's."""
    rows, drawn = [], {}
    for name, (one, other) in maps.items():
        less = None if one is None or other is None else other - one
        drawn[name] = (one, other, less)
        sums = [None if each is None else float(each.sum()) for each in drawn[name]]
        most = None if less is None else float(np.abs(less).max())
        rows.append((words(name), *map(show, (*sums, most))))
    figure = figures.side_by_side(view.asked.inputs, drawn, ("A", "B", "B − A"), view.layout, scale)
    columns = ("method", "sum in A", "sum in B", "sum of B − A", "largest difference")
    return Chart("view-maps", figure, finding, columns, rows)
