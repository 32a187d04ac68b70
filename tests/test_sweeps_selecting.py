"""The best of a sweep: whom it is chosen by, what the others say of it, and that they do not flatter."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.errors import ConfigurationError
from harness.records import Floats
from harness.statistics import two_way
from harness.statistics.crossed import TWO_SEEDS
from harness.sweeps.measured import Values
from harness.sweeps.records import Row, Selected
from harness.sweeps.selecting import ONE_SEED, halves, selected, selected_of
from tests.measured_runs import LABELS, TEST, Known, a_point, values_of

PLACES = np.arange(24)


def points_of(generator: np.random.Generator, points: int, seeds: int, shift: Floats | float = 0.0) -> Floats:
    """Values [points, seeds, 24] of equal points but for a shift of each."""
    values = 0.1 * generator.standard_normal((points, seeds, 24))
    values += 0.2 * generator.standard_normal((points, seeds, 1)) + generator.standard_normal(24)
    return np.asarray(values + np.reshape(shift, (-1, 1, 1)))


def best_of(values: Floats, *, up: bool = True) -> Selected:
    """The best of points `0`, `1` and so on."""
    found = {str(place): values_of(one, LABELS, PLACES) for place, one in enumerate(values)}
    return selected_of(found, "agreement", up=up, confidence=0.95)


def by_class(rows: Floats) -> float:
    """The mean over classes."""
    return float(np.mean([rows[:, one == LABELS].mean() for one in range(3)]))


def test_every_second_seed_chooses() -> None:
    """Half of them, rounded down; of more seeds, none that told before comes to choose."""
    assert halves((4, 7, 1, 9)) == ((7, 9), (4, 1))
    assert halves((4, 7, 1, 9, 3)) == ((7, 9), (4, 1, 3))
    assert halves((5,)) == ((), (5,))
    for seeds in range(2, 12):
        choosing, telling = halves(range(seeds))
        assert len(choosing) == seeds // 2
        assert sorted(choosing + telling) == list(range(seeds))
        assert set(telling) <= set(halves(range(seeds + 3))[1])


@pytest.mark.parametrize("up", [True, False])
def test_the_best_of_the_choosing_seeds_is_told_by_the_others(*, up: bool) -> None:
    """By a loop over points: the mean of two seeds chooses, the two-way interval of three tells."""
    values = points_of(np.random.default_rng(0), 6, 5)
    means = [by_class(one[[1, 3]]) for one in values]
    best = int(np.argmax(means) if up else np.argmin(means))
    told = two_way(values[best][[0, 2, 4]], LABELS, 0.95)
    found = best_of(values, up=up)
    assert (found.point, found.chosen_on, found.told_on) == (str(best), (1, 3), (0, 2, 4))
    assert found.chosen == pytest.approx(means[best])
    assert (found.estimate, found.low, found.high) == pytest.approx((told.estimate, told.low, told.high))
    assert found.reason == ""


@pytest.mark.parametrize(("seeds", "reason"), [(2, ONE_SEED), (3, TWO_SEEDS), (4, TWO_SEEDS)])
def test_few_seeds_tell_without_an_interval(seeds: int, reason: str) -> None:
    """One seed, or two: their number stands, with the reason."""
    values = points_of(np.random.default_rng(1), 3, seeds)
    found = best_of(values)
    assert found.estimate == pytest.approx(by_class(values[int(found.point)][::2]))
    assert (found.low, found.high, found.reason) == (None, None, reason)


def test_the_first_of_equals_is_chosen() -> None:
    """In the order of the points."""
    assert best_of(np.tile(points_of(np.random.default_rng(2), 1, 4), (3, 1, 1))).point == "0"


@pytest.mark.thorough
def test_what_told_is_not_flattered_by_the_choice() -> None:
    """Of 12 equal points in 500 sweeps the number that chose is too high, by the largest of 12 normal errors;
    the told one is the truth within three errors of 500, and its interval holds the truth for other images,
    too, about as often as it says.
    """
    generator, sweeps = np.random.default_rng(3), 500
    seen, kept, held = [], [], 0
    for _ in range(sweeps):
        images = 0.2 * generator.standard_normal(24)
        values = 0.2 * generator.standard_normal((12, 6, 1)) + images + np.zeros((12, 6, 24))
        found = best_of(values)
        truth = by_class(images[None])
        assert found.chosen is not None
        assert found.estimate is not None
        assert found.low is not None
        assert found.high is not None
        seen.append(found.chosen - truth)
        kept.append(found.estimate - truth)
        held += found.low <= 0 <= found.high
    error = 0.2 / math.sqrt(3)
    assert np.mean(seen) == pytest.approx(1.63 * error, rel=0.1)
    assert abs(np.mean(kept)) <= 3 * error / math.sqrt(sweeps)
    assert held >= sweeps * 0.93 - 2 * math.sqrt(sweeps * 0.95 * 0.05)


def a_sweep(output: Path, count: int = 3, seeds: tuple[int, ...] = (0, 1, 2, 3), **changed: Any) -> list[Row]:
    """Points whose agreement rises and whose dead units fall, from one to the next."""
    generator = np.random.default_rng(4)
    rows = []
    for place in range(count):
        parts = generator.normal([0.9, 0.5 + place, 0.8 + place], 0.01, (len(seeds), 24, 3))
        ratio = generator.uniform(1, 2, (len(seeds), TEST, 2)) + np.array([place, 0])
        known = {
            "agreement": Known(generator.normal(place, 0.1, (len(seeds), 24))),
            "worst": Known(parts, "smallest mean"),
            "unexplained": Known(ratio, "ratio", by_class=False, up=False),
            "dead": Known(generator.uniform(9, 10, (len(seeds), 1)) - place, "number", False, up=False),
            "middle": Known(generator.normal(place, 0.1, (len(seeds), 24)), "median"),
            "sparsity": Known(np.full((len(seeds), TEST), 25.0), "equivalence", by_class=False, up=None),
        }
        rows.append(a_point(output, known | changed, seeds))
    return rows


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("by", "place"), [("agreement", 2), ("worst", 1), ("unexplained", 0), ("dead", 2), ("middle", 2)]
)
def test_each_kind_of_measurement_chooses_in_its_direction(tmp_path: Path, by: str, place: int) -> None:
    """The highest agreement and smallest mean, the lowest ratio and count; of a number a seed with Student's
    interval, of a median without one.
    """
    rows = a_sweep(tmp_path, seeds=(3, 1, 4, 5, 9))
    rows += [replace(rows[2], state="lost"), replace(rows[0], state="missing", run=None, estimates={})]
    found = selected(rows, by)
    # of the smallest mean, 0.9 of every point but the first is the one that counts
    assert found.point in ({rows[1].point.id, rows[2].point.id} if by == "worst" else {rows[place].point.id})
    assert (found.chosen_on, found.told_on) == ((1, 5), (3, 4, 9))
    assert found.estimate is not None
    assert found.chosen == pytest.approx(found.estimate, abs=0.6)
    if by == "middle":
        assert (found.low, found.high, found.reason) == (None, None, "no mean over images")
    else:
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.estimate < found.high
    if by == "dead":
        numbers = [one.estimate for one in _by_seed(rows[2], "dead")]
        told = np.array(numbers)[[0, 2, 4]]
        half = stats.t.isf(0.025, 2) * told.std(ddof=1) / math.sqrt(3)
        assert (found.estimate, found.high) == pytest.approx((told.mean(), told.mean() + half))


def _by_seed(row: Row, name: str) -> list[Any]:
    from harness.artifacts.directories import RunDirectory

    assert row.run is not None
    estimates = RunDirectory.open(row.run).read_estimates()
    return [one for one in estimates if one.name == name and one.seed is not None]


def test_without_a_direction_or_seeds_none_is_chosen(tmp_path: Path) -> None:
    """Neither end better, one seed, other seeds, a run that cannot be read, no finished point: no point, and
    the reason.
    """
    rows = a_sweep(tmp_path, 2)
    assert selected(rows, "sparsity") == Selected("sparsity", "", reason="neither end of it is better")
    assert selected([], "agreement") == Selected("agreement", "", reason="no point is finished")
    one = a_sweep(tmp_path, 2, seeds=(0,))
    assert selected(one, "agreement").reason == "one seed cannot both choose and tell"
    others = a_sweep(tmp_path, 1, seeds=(0, 1, 2, 4))
    assert selected([*rows, *others], "agreement").reason == "the points are of different seeds"
    gone = replace(rows[0], run=None)
    assert "has no run directory" in selected([gone, rows[1]], "agreement").reason
    assert rows[0].run is not None
    (rows[0].run / "samples.npz").unlink()
    assert "cannot be read" in selected(rows, "agreement").reason


def test_a_point_without_the_number_is_left_out_and_counted(tmp_path: Path) -> None:
    """The choice is among the others; where none is left, there is none."""
    rows = a_sweep(tmp_path, 2)
    broken = a_sweep(tmp_path, 1, agreement=Known(np.full((4, 24), np.nan)))
    found = selected([*broken, *rows], "agreement")
    assert found.point == rows[1].point.id
    assert found.reason == f"{TWO_SEEDS}; 1 point without a number"
    assert selected(broken, "agreement").reason == "no point has a number in every seed"


def test_an_unknown_measurement_is_refused(tmp_path: Path) -> None:
    """With the nearest that there is."""
    with pytest.raises(ConfigurationError, match="did you mean 'agreement'"):
        selected(a_sweep(tmp_path, 1), "agreemnt")


def test_images_without_a_value_in_a_half_are_left_out_of_it() -> None:
    """An image that one choosing seed lacks is told all the same."""
    rows = np.random.default_rng(5).normal(size=(4, 24))
    whole = values_of(rows, LABELS, PLACES)
    rows = rows.copy()
    rows[1, 3] = np.nan
    there = [rows[1, (one == LABELS) & (PLACES != 3)].mean() for one in range(3)]
    numbers = np.concatenate([whole.numbers[:1], [np.mean(there)], whole.numbers[2:]])
    one = Values(whole.seeds, numbers, rows[None], whole.inputs)
    found = selected_of({"a": one}, "agreement", up=True, confidence=0.95)
    kept = PLACES != 3
    expected = np.mean([rows[[1, 3]][:, kept & (label == LABELS)].mean() for label in range(3)])
    assert found.chosen == pytest.approx(expected)
    assert found.estimate == pytest.approx(by_class(rows[[0, 2]]))
