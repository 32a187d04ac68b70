"""What a sweep's points pay for agreement: one measurement against another, and the Pareto front."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness import figures
from harness.figures import Traded
from harness.records import Floats
from harness.report.page import Chart
from harness.sweeps.charts import spoken, with_interval
from harness.sweeps.grids import STABILITY, Grid, Measured
from harness.text import clean, counted, words

AGREEMENT = "agreement_above_controls"
"""Of the methods, less what their largest control reaches: that of maps alone grows with every blur."""

PRICES = ("fraction_unexplained", "accuracy")
"""What it is held against, beside the stability."""

LABELLED, BARRED, DRAWN = 14, 60, 300
"""Points that bear their names, and their intervals, and that are drawn at all."""

Bools = npt.NDArray[np.bool_]


class Trade(NamedTuple):
    """A trade-off, or why there is none."""

    title: str
    chart: Chart | None
    doubt: str = ""
    why: str = ""


def front(x: Floats, y: Floats) -> Bools:
    """Whether no other point is as good in both and better in one, bool [n]; more is better in both.

    The maxima of a set of vectors (Kung, Luccio and Preparata 1975): from the greatest x on, a point is one
    if its y passes all before it.
    """
    found = np.zeros(len(x), dtype=bool)
    order = np.lexsort((-y, -x))
    highest = -np.inf
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and x[order[end]] == x[order[start]]:
            end += 1
        of_equal = order[start:end]
        top = y[of_equal[0]]
        if top > highest:
            found[of_equal[y[of_equal] == top]] = True
            highest = top
        start = end
    return found


def surely_beaten(x: Floats, y: Floats) -> Bools:
    """Whether some other point's interval lies above a point's in both, bool [n].

    Args:
        x: Lower and upper bounds, float64 [n, 2], more is better; NaN where there are none.
        y: Likewise.
    """
    known = np.flatnonzero(np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1))
    found = np.zeros(len(x), dtype=bool)
    if len(known):
        order = known[np.argsort(-x[known, 0], kind="stable")]
        highest = np.maximum.accumulate(y[order, 0])
        # as many points have a lower bound above this one's upper bound
        above = np.searchsorted(-x[order, 0], -x[known, 1], side="left")
        there = above > 0
        found[known[there]] = highest[above[there] - 1] > y[known[there], 1]
    return found


def trades(grid: Grid) -> list[Trade]:
    """Agreement above its control against each price."""
    prices = [*PRICES, grid.stability or STABILITY]
    return [_trade(grid, name, f"trade-off-{place}") for place, name in enumerate(prices, start=1)]


def _trade(grid: Grid, name: str, anchor: str) -> Trade:
    if name == STABILITY:
        return Trade("stability", None, why="No method's stability is known of all points.")
    method = name.removeprefix(STABILITY)
    title = f"stability of {clean(words(method), 40)}" if method != name else words(name)
    price, agreement = grid.of(name), grid.of(AGREEMENT)
    across, up = grid.numbers(name), grid.numbers(AGREEMENT)
    known = np.flatnonzero(np.isfinite(across[:, 0]) & np.isfinite(up[:, 0]))
    if len(known) < 2:
        return Trade(title, None, why=f"{counted(len(known), 'point')} with both numbers: too few to weigh.")
    oriented = (_more_is_better(across[known], price, name), _more_is_better(up[known], agreement, AGREEMENT))
    best = front(oriented[0][:, 0], oriented[1][:, 0])
    beaten = surely_beaten(oriented[0][:, 1:], oriented[1][:, 1:])
    order = np.argsort(-oriented[1][:, 0], kind="stable")
    leading = [grid.title(int(known[at])) for at in order if best[at]]
    doubtful = [grid.title(int(known[at])) for at in order if not best[at] and not beaten[at]]
    told = f"Pareto front: {spoken(leading)}."
    doubt = "The front is of estimates"
    if doubtful:
        doubt += f"; intervals overlap, or there are none, so that it is open whether {spoken(doubtful)} "
        doubt += ("is" if len(doubtful) == 1 else "are") + " dominated."
    elif best.all():
        doubt += "; nobody is dominated by them."
    else:
        doubt += "; whoever is dominated is so by intervals that lie apart, too."
    chart = _chart(grid, known[order], best[order], (price, agreement), f"{title}. {told}", anchor)
    return Trade(title, chart, doubt)


def _more_is_better(numbers: Floats, one: Measured, name: str) -> Floats:
    """Estimates and bounds turned so that more is better."""
    lower = one.better is False or (one.better is None and name not in (AGREEMENT, "accuracy"))
    return -numbers[:, [0, 2, 1]] if lower else numbers


def _chart(
    grid: Grid,
    points: npt.NDArray[np.int64],
    best: Bools,
    pair: tuple[Measured, Measured],
    told: str,
    name: str,
) -> Chart:
    """Points, those of greater agreement first."""
    is_reference = np.array([at == grid.reference for at in points.tolist()])
    # the front and the reference before others, of which so many as there is room for lie evenly
    first = np.flatnonzero(best | is_reference)[:DRAWN]
    others = np.flatnonzero(~(best | is_reference))
    room = DRAWN - len(first)
    spread = others[np.unique(np.linspace(0, len(others) - 1, min(len(others), room)).astype(int))]
    kept = np.concatenate([first, spread])
    labelled = set((kept if len(points) <= LABELLED else first)[:LABELLED].tolist())
    across, up = (grid.numbers(one.name) for one in pair)
    drawn, rows = [], []
    for place in kept.tolist():
        at = int(points[place])
        bars = len(kept) <= BARRED
        drawn.append(
            Traded(
                grid.short(at) if place in labelled else "",
                _bounded(across[at], bars),
                _bounded(up[at], bars),
                bool(best[place]),
                at == grid.reference,
            )
        )
        word = "on it" if best[place] else "dominated"
        rows.append((grid.title(at), with_interval(across[at]), with_interval(up[at]), word))
    x = across[points[kept], 0]
    figure = figures.trade_off(
        drawn, *(f"{clean(one.title, 120)} [{clean(one.label, 80)}]" for one in pair), log=_wide(x)
    )
    finding = f"{clean(pair[1].title, 60)} against {told}"
    if len(kept) < len(points):
        finding += f" Drawn are {len(kept)} of {len(points):,} points."
    columns = ("point", *(clean(one.title, 60) for one in pair), "Pareto front")
    return Chart(name, figure, finding, columns, rows[:100])


def _bounded(numbers: Floats, bars: bool) -> tuple[float, float | None, float | None]:
    value, low, high = numbers.tolist()
    return (value, low, high) if bars and np.isfinite([low, high]).all() else (value, None, None)


def _wide(x: Floats) -> bool:
    """Whether numbers span more than a factor of ten."""
    return bool(x.min() > 0 and x.max() > 10 * x.min())
