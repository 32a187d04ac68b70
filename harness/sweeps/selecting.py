"""The best point of a sweep, told by seeds that had no part in the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.errors import HarnessError
from harness.kinds import IMAGES, Words
from harness.statistics.crossed import TWO_SEEDS, across_seeds, two_way
from harness.statistics.reductions import Reduced
from harness.sweeps.measured import Measured, Values, means_of, measured, number_of, refuse_unknown
from harness.sweeps.records import Row, Selected
from harness.text import clean, counted

ONE_SEED = "one seed gives no interval for the recipe"

_REDUCTIONS = {"mean": "mean", "ratio": "ratio", "smallest": "smallest mean", "largest": "largest mean"}
"""By the rule of a measurement's means, the reduction that gives several seeds' interval."""


def selected(rows: Sequence[Row], by: str, confidence: float = 0.95) -> Selected:
    """The best finished point by one half of the seeds, and what the other half says of it.

    The best of several numbers is, in part, the luckiest: it promises more than it keeps. The other half of
    the seeds had no part in the luck of networks. It has one in that of images, which both halves share: of
    points that differ in which images suit them, some flattery stays.

    Args:
        rows: The points, and what is known of them; one run after the other is read.
        by: The measurement.
        confidence: Nominal, of the interval.

    Raises:
        ConfigurationError: no finished point has such a measurement.
    """
    finished = [row for row in rows if row.state == "finished"]
    refuse_unknown([by], finished)
    if not finished:
        return Selected(by, "", reason="no point is finished")
    up = next((row.estimates[by].higher_is_better for row in finished if by in row.estimates), None)
    if up is None:
        return Selected(by, "", reason="neither end of it is better")
    found, words = {}, IMAGES
    for row in finished:
        one = _read(row, by)
        if isinstance(one, str):
            return Selected(by, "", reason=f"{row.point.title} {one}")
        found[row.point.id], words = one.values[by], one.words
    return selected_of(found, by, up=up, confidence=confidence, words=words)


def _read(row: Row, by: str) -> Measured | str:
    if row.run is None:
        return "has no run directory"
    try:
        return measured(row.run, [by])
    except HarnessError as error:
        return f"cannot be read: {clean(error)}"


def halves(seeds: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The seeds that choose, every second one, and those that tell: the first, the third and so on.

    So a seed that has told never comes to choose when further ones are added after it.
    """
    return tuple(seeds[1::2]), tuple(seeds[::2])


def selected_of(
    points: Mapping[str, Values], by: str, *, up: bool, confidence: float, words: Words = IMAGES
) -> Selected:
    """The best of several points' values, by their ids; points without a number are not chosen among.

    Args:
        points: What each measured.
        by: The measurement.
        up: Whether higher is better.
        confidence: Nominal, of the interval.
        words: What the inputs are called.
    """
    there = {point: one for point, one in points.items() if one.seeds and np.isfinite(one.numbers).all()}
    lacking = len(points) - len(there)
    without = f"{counted(lacking, 'point')} without a number" if lacking else ""
    if not there:
        return Selected(by, "", reason="no point has a number in every seed")
    seeds = next(iter(there.values())).seeds
    if any(one.seeds != seeds for one in there.values()):
        return Selected(by, "", reason="the points are of different seeds")
    if len(seeds) < 2:
        return Selected(by, "", reason="one seed cannot both choose and tell")
    choosing, telling = halves(seeds)
    chosen = {point: _number(one, choosing) for point, one in there.items()}
    best = (max if up else min)(chosen, key=chosen.__getitem__)
    told = _told(there[best], telling, confidence, words)
    reason = "; ".join(filter(None, [told.reason, without]))
    return Selected(by, best, choosing, telling, chosen[best], told.estimate, told.low, told.high, reason)


def _number(one: Values, seeds: Sequence[int]) -> float:
    """The number of some of the seeds together; of what is no mean, the mean of theirs."""
    if not one.rules:
        return float(one.numbers[[one.seeds.index(seed) for seed in seeds]].mean())
    rows, inputs = one.of_seeds(seeds)
    return number_of(means_of(rows, inputs.classes), one.rules[0])


def _told(one: Values, seeds: Sequence[int], confidence: float, words: Words) -> Reduced:
    """The number of the seeds that tell, with an interval for the recipe where there is one."""
    if len(seeds) < 3:
        return Reduced(_number(one, seeds), reason=TWO_SEEDS if len(seeds) == 2 else ONE_SEED)
    if one.rows is None:
        return two_way(one.numbers[[one.seeds.index(seed) for seed in seeds], None], None, confidence)
    if not one.rules:
        return Reduced(_number(one, seeds), reason=f"no mean over {words.noun}")
    rows, inputs = one.of_seeds(seeds)
    by_seed = list(rows[0] if len(rows) == 1 else rows.transpose(1, 2, 0))
    return across_seeds(_REDUCTIONS[one.rules[0]], by_seed, inputs.labels, confidence, words)
