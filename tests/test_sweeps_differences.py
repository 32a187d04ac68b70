"""Points less their reference: numbers by hand, what cannot be paired, and what intervals hold together."""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.errors import ConfigurationError
from harness.records import Floats
from harness.statistics import holm, two_way
from harness.statistics.crossed import TWO_SEEDS, Classes, spreads
from harness.statistics.simultaneous import together
from harness.sweeps.differences import ONE_NUMBER, Change, changes_of, common_of, differences, told_together
from harness.sweeps.measured import Inputs, Values
from harness.sweeps.records import Difference
from tests.measured_runs import INDICES, LABELS, TEST, Known, a_point, values_of

SHIFTED, OF_SHIFTED = INDICES[6:], np.arange(24)[6:]
"""The explained images of a point that misses six of the reference's, two of each class."""


def a_base(**changed: Any) -> dict[str, Known]:
    """Measurements of each kind, of three seeds; those named are others."""
    generator = np.random.default_rng(1)
    known = {
        "agreement": Known(generator.normal(0.6, 0.1, (3, 24))),
        "worst": Known(generator.normal([0.9, 0.5, 0.4], 0.1, (3, 24, 3)), "smallest mean"),
        "accuracy": Known((generator.random((3, TEST)) < 0.8) * 1.0, "proportion", by_class=False),
        "unexplained": Known(generator.uniform(1, 2, (3, TEST, 2)), "ratio", by_class=False),
        "dead": Known(generator.uniform(50, 70, (3, 1)), "number", by_class=False),
        "middle": Known(generator.normal(size=(3, 24)), "median"),
    }
    return known | changed


def moved(known: dict[str, Known], draw: int, kept: Any = slice(None)) -> dict[str, Known]:
    """The same measurements, each value moved by a little; those by class of some images alone."""
    generator, found = np.random.default_rng(draw), {}
    for name, one in known.items():
        values = one.values + generator.normal(0.1, 0.05, one.values.shape) * (name != "accuracy")
        found[name] = replace(one, values=values[:, kept] if one.by_class else values)
    return found


def change_of(point: Values, base: Values) -> Change:
    """The change of one measurement."""
    return changes_of({"one": point}, {"one": base})["one"]


def by_point(found: tuple[Difference, ...], point: str) -> dict[str, Difference]:
    """The differences of one point."""
    return {one.measurement: one for one in found if one.point == point}


def howe(values: Floats, labels: Any, miss: float) -> tuple[float, float]:
    """The two-way interval of [seeds, n] with Student's quantile of each part of the variance."""
    seeds, n = values.shape
    groups = [values[:, labels == one] for one in np.unique(labels)]
    of_seeds = np.mean([group.mean(axis=1) for group in groups], axis=0)
    a = of_seeds.var(ddof=1) / seeds
    error = two_way(values, None if len(groups) == 1 else labels, 0.95).standard_error
    assert error is not None
    half = math.sqrt(
        stats.t.isf(miss / 2, seeds - 1) ** 2 * a
        + stats.t.isf(miss / 2, n - len(groups)) ** 2 * max(error**2 - a, 0.0)
    )
    return float(of_seeds.mean() - half), float(of_seeds.mean() + half)


def test_each_kind_of_measurement_is_paired_on_what_both_measured(tmp_path: Path) -> None:
    """Of three seeds: means, ratios, smallest means and numbers a seed, against the definitions; what has no
    mean has a reason. Two points make a family of two.
    """
    base = a_base()
    first, second = moved(base, 2, OF_SHIFTED), moved(base, 3)
    rows = [
        a_point(tmp_path, base),
        a_point(tmp_path, first, indices=SHIFTED, labels=LABELS[OF_SHIFTED]),
        a_point(tmp_path, second),
    ]
    found = differences(rows, rows[0].point.id, tuple(base))
    assert [one.point for one in found[:2]] == [rows[1].point.id, rows[2].point.id]
    assert [one.measurement for one in found[::2]] == list(base)
    one = by_point(found, rows[1].point.id)

    values = first["agreement"].values - base["agreement"].values[:, OF_SHIFTED]
    labels = LABELS[OF_SHIFTED]
    means = [[values[seed, labels == name].mean() for name in range(3)] for seed in range(3)]
    assert one["agreement"].change == pytest.approx(np.mean(means))
    assert (one["agreement"].low, one["agreement"].high) == pytest.approx(howe(values, labels, 0.025))
    assert (one["agreement"].n, one["agreement"].reason) == (18, "")

    assert one["accuracy"].change == 0.0
    assert (one["accuracy"].low, one["accuracy"].high, one["accuracy"].p) == (0.0, 0.0, 1.0)
    assert one["accuracy"].n == TEST

    ratios, influences = [], []
    for known in (base, first):
        rows_of = known["unexplained"].values
        ratio = rows_of[..., 0].sum(axis=1) / rows_of[..., 1].sum(axis=1)
        rest = rows_of[..., 0] - ratio[:, None] * rows_of[..., 1]
        influences.append(ratio[:, None] + rest / rows_of[..., 1].mean(axis=1, keepdims=True))
        ratios.append(ratio.mean())
    bounds = howe(influences[1] - influences[0], np.zeros(TEST), 0.025)
    assert one["unexplained"].change == pytest.approx(ratios[1] - ratios[0])
    assert (one["unexplained"].low, one["unexplained"].high) == pytest.approx(bounds)

    whole = base["worst"].values[:, OF_SHIFTED]
    columns = [
        [np.mean([part[:, labels == name].mean() for name in range(3)]) for part in np.moveaxis(side, -1, 0)]
        for side in (whole, first["worst"].values)
    ]
    each = [howe((first["worst"].values - whole)[..., part], labels, 0.025 / 3) for part in range(3)]
    assert one["worst"].change == pytest.approx(min(columns[1]) - min(columns[0]))
    assert one["worst"].low == pytest.approx(min(low for low, _ in each))
    assert one["worst"].high == pytest.approx(max(high for _, high in each))

    numbers = (first["dead"].values - base["dead"].values)[:, 0]
    half = stats.t.isf(0.0125, 2) * numbers.std(ddof=1) / math.sqrt(3)
    assert one["dead"].change == pytest.approx(numbers.mean())
    assert (one["dead"].low, one["dead"].high) == pytest.approx(
        (numbers.mean() - half, numbers.mean() + half)
    )
    assert one["dead"].n == 0
    raw = [
        stats.ttest_1samp((side["dead"].values - base["dead"].values)[:, 0], 0).pvalue
        for side in (first, second)
    ]
    adjusted = holm(np.array(raw))
    assert [row.p for row in found if row.measurement == "dead"] == pytest.approx(adjusted.tolist())

    assert one["middle"] == replace(
        one["middle"], change=None, low=None, high=None, p=None, reason="no mean over images"
    )


def test_one_seed_has_the_paired_interval_of_its_images(tmp_path: Path) -> None:
    """Student's of the images' differences within class; one number a seed has none."""
    base = {name: replace(one, values=one.values[:1]) for name, one in a_base().items()}
    point = moved(base, 4)
    rows = [a_point(tmp_path, base, (7,)), a_point(tmp_path, point, (7,))]
    one = by_point(differences(rows, rows[0].point.id, ["agreement", "dead"]), rows[1].point.id)
    values = (point["agreement"].values - base["agreement"].values)[0]
    groups = [values[name == LABELS] for name in range(3)]
    error = math.sqrt(sum(group.var(ddof=1) / len(group) for group in groups)) / 3
    half = stats.t.isf(0.025, 21) * error
    assert (one["agreement"].low, one["agreement"].high) == pytest.approx(
        (values.mean() - half, values.mean() + half)
    )
    assert one["agreement"].p == pytest.approx(2 * stats.t.sf(abs(values.mean()) / error, 21))
    assert one["dead"].change == pytest.approx(float(point["dead"].values[0, 0] - base["dead"].values[0, 0]))
    assert (one["dead"].low, one["dead"].p, one["dead"].reason) == (None, None, ONE_NUMBER)


def test_seeds_are_paired_by_their_number(tmp_path: Path) -> None:
    """Of seeds 1, 2, 3 and 3, 2, 0 the common ones are 2 and 3, each with its own; two have no interval."""
    base = {name: a_base()[name] for name in ("agreement", "dead")}
    point = moved(base, 5)
    rows = [a_point(tmp_path, base, (1, 2, 3)), a_point(tmp_path, point, (3, 2, 0))]
    one = by_point(differences(rows, rows[0].point.id, ["agreement", "dead"]), rows[1].point.id)
    for name in ("agreement", "dead"):
        expected = float((point[name].values[[1, 0]] - base[name].values[[1, 2]]).mean())
        assert one[name].change == pytest.approx(expected)
        assert (one[name].low, one[name].high, one[name].p, one[name].reason) == (
            None,
            None,
            None,
            TWO_SEEDS,
        )


def test_what_cannot_be_paired_has_a_reason(tmp_path: Path) -> None:
    """Other data, no seed in common, no run, damage, no such measurement, too few images: a sentence each,
    and no number of any.
    """
    base = {"agreement": a_base()["agreement"]}
    # of class 2 it has a single image of the reference's
    elsewhere = INDICES.copy()
    elsewhere[(LABELS == 2) & (INDICES > 12)] += 24
    made = {
        "the point is of other data than the reference": a_point(tmp_path, base, digest="e" * 64),
        "no seed in common": a_point(tmp_path, base, (4, 5, 6)),
        "the point has not measured it": a_point(tmp_path, {"other": base["agreement"]}),
        "the point has no run directory": a_point(tmp_path, base),
        "cannot be read": a_point(tmp_path, base),
        "a class has fewer than two images in common": a_point(tmp_path, base, indices=elsewhere),
        "no mean over images": a_point(tmp_path, {"agreement": a_base()["middle"]}),
    }
    rows = list(made.values())
    rows[3] = replace(rows[3], run=None)
    assert rows[4].run is not None
    (rows[4].run / "measurements/agreement.npz").write_bytes(b"")
    reference = a_point(tmp_path, base)
    found = differences([reference, *rows], reference.point.id, ["agreement"])
    for one, why in zip(found, made, strict=True):
        assert why in one.reason
        assert (one.change, one.low, one.high, one.p) == (None, None, None, None)


def test_a_reference_without_numbers_leaves_a_reason_to_every_point(tmp_path: Path) -> None:
    """One that was refused, or whose digest nobody wrote down, is none; points that are not finished have no
    row.
    """
    base = {"agreement": a_base()["agreement"]}
    rows = [a_point(tmp_path, base) for _ in range(3)]
    refused = replace(rows[0], state="refused", run=None, estimates={})
    found = differences([refused, *rows[1:]], refused.point.id, ["agreement"])
    assert [one.reason for one in found] == ["the reference is refused"] * 2
    lost = replace(rows[2], state="lost")
    assert len(differences([rows[0], rows[1], lost], rows[0].point.id, ["agreement"])) == 1
    old = a_point(tmp_path, base, digest="")
    found = differences([old, a_point(tmp_path, base, digest="")], old.point.id, ["agreement"])
    assert found[0].reason == "the point is of other data than the reference"


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    """A measurement, or a point, with the nearest that there is."""
    row = a_point(tmp_path, {"agreement": a_base()["agreement"]})
    with pytest.raises(ConfigurationError, match="did you mean 'agreement'"):
        differences([row], row.point.id, ["agreemnt"])
    with pytest.raises(ConfigurationError, match="no point 'nowhere'"):
        differences([row], "nowhere", ["agreement"])


def with_gaps(rows: Floats, labels: Any, gone: Any) -> Values:
    """Values of which the first seed lacks some images."""
    rows = rows.copy()
    rows[0, gone] = np.nan
    numbers = [np.mean([np.nanmean(row[labels == label]) for label in np.unique(labels)]) for row in rows]
    one = values_of(np.zeros_like(rows), labels, np.arange(rows.shape[1]))
    return replace(one, rows=rows[None], numbers=np.array(numbers))


def test_images_without_a_value_in_either_are_left_out() -> None:
    """What has no value in one seed of one run is in neither mean; a class that loses too many has a
    reason.
    """
    labels, places = np.arange(40) % 2, np.arange(40)
    mine, its = np.random.default_rng(7).normal(size=(2, 3, 40))
    found = change_of(with_gaps(mine, labels, places == 5), with_gaps(its, labels, places == 8))
    there = (places != 5) & (places != 8)
    expected = np.mean([(mine - its)[:, there & (labels == label)].mean() for label in (0, 1)])
    assert found.change == pytest.approx(expected)
    assert found.n == 38
    odd = labels == 1
    found = change_of(with_gaps(mine, labels, odd & (places > 8)), with_gaps(its, labels, odd & (places < 8)))
    assert found.why == "a class has fewer than two images in common"
    assert found.change is None


def test_measurements_of_the_same_inputs_are_told_as_each_alone() -> None:
    """Some of all images, some with gaps of their own, one of a number a seed, in any order."""
    labels, generator = np.arange(40) % 2, np.random.default_rng(11)
    rows = generator.normal(size=(2, 4, 3, 40))
    sides = [
        {
            "a": with_gaps(side[0], labels, np.zeros(40, dtype=bool)),
            "b": with_gaps(side[1], labels, np.arange(40) == place),
            "number": Values((0, 1, 2), side[2, :, 0]),
            "c": with_gaps(side[3], labels, np.zeros(40, dtype=bool)),
        }
        for place, side in enumerate(rows)
    ]
    # as the measurements of one run share them
    shared = [replace(side["c"], inputs=side["a"].inputs) for side in sides]
    point, base = (side | {"c": one} for side, one in zip(sides, shared, strict=True))
    found = changes_of(point, base)
    assert set(found) == set(point)
    for name, one in found.items():
        alone = change_of(point[name], base[name])
        assert one.change == pytest.approx(alone.change)
        assert one.n == alone.n
        assert astuple(one.spreads[0]) == pytest.approx(astuple(alone.spreads[0]))


def test_common_inputs_are_those_at_the_same_places() -> None:
    """Whatever their order; of all test images and of some there are none; classes of either count."""
    first = Inputs(4, np.array([0, 1, 0, 2]), np.array([9, 3, 5, 7]))
    second = Inputs(3, np.array([1, 0, 0]), np.array([3, 8, 9]))
    common = common_of(first, second)
    assert common is not None
    assert common.first is not None
    assert common.second is not None
    assert common.inputs.labels is not None
    assert (common.first.tolist(), common.second.tolist()) == ([1, 0], [0, 2])
    assert (common.inputs.labels.tolist(), common.classes) == ([1, 0], 3)
    assert common_of(first, Inputs(4)) is None
    assert common_of(Inputs(4), Inputs(5)) is None
    assert common_of(Inputs(4), Inputs(4)) is not None


def test_runs_without_an_image_in_common_have_a_reason() -> None:
    """And so do runs with other parts, and runs of which one alone has all test images."""
    rows = np.random.default_rng(8).normal(size=(3, 12))
    labels = np.arange(12) % 3
    one, other = (values_of(rows, labels, start + np.arange(12)) for start in (0, 50))
    assert change_of(one, other).why == "a class has fewer than two images in common"
    assert change_of(one, values_of(rows)).why == "not on the same images"
    two = np.stack([rows, rows + 1])
    wide = Values(one.seeds, one.numbers, two, one.inputs)
    narrow = Values(one.seeds, one.numbers, two[[0, 1, 1]], one.inputs)
    assert change_of(wide, narrow).why == "not of as many parts as the reference"


def test_a_ratio_over_nothing_has_a_reason() -> None:
    """Where what both measured has no denominator, there is no number."""
    parts = np.ones((2, 3, 6))
    parts[1, :, :3] = 0
    places = np.arange(6)
    inputs = Inputs(6, np.zeros(6, dtype=np.int64), places)
    one = Values((0, 1, 2), np.full(3, 2.0), parts, inputs)
    other = replace(one, rows=parts, inputs=Inputs(6, inputs.labels, np.array([0, 1, 2, 7, 8, 9])))
    assert change_of(one, other).why == "no ratio of what both measured"


# what the intervals hold


def swept(
    generator: np.random.Generator, points: int, seeds: int, spread: tuple[float, float, float]
) -> Floats:
    """Values [1 + points, seeds, 200] of truth 0 of equal recipes, the first being the reference.

    The spreads are those of a network's seed, of how an image suits a recipe, and of the rest.
    """
    of_seeds, images, rest = spread
    values = rest * generator.standard_normal((1 + points, seeds, 200))
    values += images * generator.standard_normal((1 + points, 1, 200))
    return np.asarray(values + of_seeds * generator.standard_normal((1 + points, seeds, 1)))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("points", "seeds", "spread"),
    [
        (4, 5, (0.2, 0.1, 0.05)),
        (24, 5, (0.2, 0.1, 0.05)),
        (99, 5, (0.2, 0.1, 0.05)),
        (4, 5, (0.01, 0.05, 0.05)),
        (24, 5, (0.02, 0.05, 0.1)),
        (24, 3, (0.2, 0.1, 0.05)),
        (4, 1, (0.0, 0.05, 0.05)),
        (24, 1, (0.0, 0.05, 0.05)),
    ],
)
def test_intervals_of_a_measurement_hold_together(
    points: int, seeds: int, spread: tuple[float, float, float]
) -> None:
    """In 95 % of sweeps or more all intervals hold the truth, and in as many no p is 0.05 or less: 400 sweeps
    of points that share their reference, 10 classes of 20 images, within two binomial errors.
    """
    generator, classes, sweeps = np.random.default_rng(9), Classes.of(np.arange(200) % 10, 200), 400
    held, quiet = 0, 0
    for _ in range(sweeps):
        values = swept(generator, points, seeds, spread)
        found = together([(one,) for one in spreads(values[1:] - values[0], classes)], 0.95)
        held += bool(((found.low <= 0) & (found.high >= 0)).all())
        quiet += bool((found.p > 0.05).all())
    least = sweeps * 0.95 - 2 * math.sqrt(sweeps * 0.95 * 0.05)
    assert least <= quiet <= held


def test_a_difference_is_what_the_simulations_simulate() -> None:
    """A point's change has the spread of its values less the reference's, whatever the images' order."""
    generator, labels = np.random.default_rng(10), np.arange(200) % 10
    base, one = swept(generator, 1, 5, (0.2, 0.1, 0.05))
    order = generator.permutation(200)
    expected = spreads((one - base)[None], Classes.of(labels, 200))[0]
    mixed = values_of(one[:, order], labels[order], np.arange(200)[order])
    found = change_of(mixed, values_of(base, labels, np.arange(200)))
    assert found.change == pytest.approx(expected.estimate)
    assert astuple(found.spreads[0]) == pytest.approx(astuple(expected))
    told = told_together([found, Change(why="nothing")], 0.95)
    assert told[1] == (None, None, None, None, 0, "nothing")
    alone = together([(expected,)], 0.95)
    assert told[0][1:4] == pytest.approx((alone.low[0], alone.high[0], alone.p[0]))
