"""The simulations that judge the intervals: their data are what they claim, and a bad interval shows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import statistics
from harness.records import Floats
from harness.statistics.resampling import Intervals
from tests.gate_quality import coverage, curves
from tests.gate_quality.components import Components, crossed, drawn, key_for, strata_of_size


def components(seeds: int = 5, images: int = 20, classes: int = 4) -> Components:
    """Skewed images, seeds that differ, and a rest: standard deviations 0.03, 0.01 and 0.02."""
    generator, n = np.random.default_rng(0), images * classes
    labels = np.repeat(np.arange(classes), images)
    of_images = 0.03 * (1 - generator.exponential(size=n))
    of_seeds = 0.01 * generator.standard_normal((seeds, 1))
    agreement = 0.8 + 0.05 * labels + of_images + of_seeds + 0.02 * generator.standard_normal((seeds, n))
    deviations = generator.gamma(4.0, 10.0, 300)
    return Components(agreement, labels, deviations * generator.beta(2, 10, 300), deviations)


@pytest.fixture(scope="module")
def small() -> Components:
    return components()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of repetitions."""
    monkeypatch.setattr(coverage, "QUICK_REPETITIONS", 50)
    monkeypatch.setattr(curves, "QUICK_REPETITIONS", 200)
    monkeypatch.setattr(coverage, "QUICK_SIZES", (5,))


def silence(text: str) -> None:
    """Tell nobody."""


# the data


def test_the_components_are_those_that_were_planted() -> None:
    """Of many seeds and images the standard deviations of seeds, images and the rest are found again."""
    found = components(seeds=60, images=200)
    assert found.seed == pytest.approx(0.01, rel=0.25)
    assert found.residual == pytest.approx(0.02, rel=0.05)
    spread = np.sqrt(np.mean([(one**2).mean() for one in found.images]))
    assert spread == pytest.approx(0.03, rel=0.15)


def test_seeds_that_do_not_differ_have_no_spread() -> None:
    """Where the residual alone moves the seeds' means, nothing is left for the seeds, and nothing is NaN."""
    known = components()
    same = replace(known, agreement=np.tile(known.agreement[0], (3, 1)))
    assert (same.seed, same.residual) == (0.0, 0.0)
    assert np.concatenate(same.images) == pytest.approx(np.concatenate(same.of_one_seed))


def test_images_are_drawn_from_those_of_their_class(small: Components) -> None:
    """Each drawn effect is a real one, of its own class, and their truth is 0."""
    values = drawn(small.of_one_seed, 30, 7, np.random.default_rng(1))
    strata = strata_of_size(small, 30)
    assert values.shape == (120, 7)
    for label, pool in enumerate(small.of_one_seed):
        assert set(values[strata == label].ravel().tolist()) <= set(pool.tolist())
        assert pool.mean() == pytest.approx(0, abs=1e-12)


def test_crossed_data_vary_as_much_as_their_components_say(small: Components) -> None:
    """The variance of a mean over 3 seeds and 40 images is the sum of its three parts."""
    generator = np.random.default_rng(2)
    means = [crossed(small, 3, 10, generator).mean() for _ in range(4000)]
    images = np.mean([one.var() for one in small.images])
    expected = small.seed**2 / 3 + images / 40 + small.residual**2 / 120
    assert np.mean(means) == pytest.approx(0, abs=4 * np.sqrt(expected / 4000))
    assert np.var(means) == pytest.approx(expected, rel=0.1)


# coverage


@pytest.mark.thorough
def test_every_kind_of_interval_is_measured_and_none_is_far_off(
    few: None, small: Components, tmp_path: Path
) -> None:
    """With 50 repetitions no kind covers under 80 %, and the result can be written down."""
    found = coverage.measure(small, True, tmp_path, silence)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    kinds = set(found)
    for part in ("mean", "ratio", "proportion", "equivalence", "median", "smallest", "two-way", "all looks"):
        assert any(part in kind for kind in kinds), part
    for kind, row in found.items():
        for cell in row["cells"]:
            assert cell["coverage"] >= 0.8, kind
            assert cell["low"] <= cell["coverage"] <= cell["high"]
        assert row["inside"] == (not row["exceptions"])


def test_a_size_without_an_interval_is_an_exception(few: None, small: Components, tmp_path: Path) -> None:
    """Twenty values do not bound a 95th percentile, which is said, and not left out in silence."""
    row = coverage.measure(small, True, tmp_path, silence)["95th percentile"]
    assert row["cells"] == []
    assert row["exceptions"] == ["5 images a class: no interval"]
    assert not row["inside"]


def only(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    monkeypatch.setattr(coverage, "KINDS", {kind: coverage.KINDS[kind] for kind in kinds})


def test_an_interval_that_is_too_narrow_is_an_exception(
    few: None, small: Components, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounds at half their distance cover about 67 %, which is named with its size."""
    sound = statistics.mean_intervals

    def narrow(*arguments: Any) -> Intervals:
        found = sound(*arguments)
        middle = found.estimate
        return Intervals(middle, (found.low + middle) / 2, (found.high + middle) / 2, found.standard_error)

    monkeypatch.setattr(coverage, "mean_intervals", narrow)
    only(monkeypatch, "mean, percentile", "all looks, percentile")
    for row in coverage.measure(small, True, tmp_path, silence).values():
        assert row["cells"][0]["coverage"] < 0.85
        assert len(row["exceptions"]) == 1
        assert row["exceptions"][0].startswith("5 images a class: ")


def test_a_measurement_that_was_broken_off_goes_on_where_it_was(
    few: None, small: Components, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kind that is done is not simulated again, and other values or other code are another matter."""
    only(monkeypatch, "mean, percentile", "ratio, bca")
    told: list[str] = []
    before = coverage.measure(small, True, tmp_path, told.append)
    assert len(told) == 2
    (tmp_path / "ratio-bca.json").unlink()
    assert coverage.measure(small, True, tmp_path, told.append) == before
    assert len(told) == 3
    assert "ratio, bca" in told[2]
    other = replace(small, squared_errors=2 * small.squared_errors)
    coverage.measure(other, True, tmp_path, told.append)
    assert len(told) == 5


def test_the_key_knows_values_settings_and_code(
    small: Components, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything that a result depends on changes its key."""
    key = key_for(small, 1)
    assert key == key_for(replace(small), 1)
    assert key != key_for(small, 2)
    assert key != key_for(replace(small, labels=small.labels[::-1]), 1)
    (tmp_path / "criteria.py").write_text("changed", encoding="utf-8")
    monkeypatch.setattr("harness.criteria.__file__", str(tmp_path / "criteria.py"))
    assert key != key_for(small, 1)


def test_both_kinds_of_interval_meet_the_same_data(few: None, small: Components) -> None:
    """So their difference is theirs, and not the draws'."""
    seen: list[Floats] = []
    for kind in ("mean, percentile", "mean, bca"):
        generator = coverage._generator(kind, 5)
        seen.append(drawn(small.of_one_seed, 5, 25, generator))
    assert seen[0].tolist() == seen[1].tolist()


# operating curves


def test_red_grows_from_never_to_always_as_the_truth_falls(
    few: None, small: Components, tmp_path: Path
) -> None:
    """On the threshold half the point estimates are red, and 97.5 % of the bounds, whatever the seeds."""
    found = coverage.operating_curves(small, True, tmp_path, silence)
    assert set(found) == {"1 seed", "3 seeds"}
    for curve in found.values():
        point, strict = ([row["red"] for row in curve[rule]] for rule in ("point", "strict"))
        assert point == sorted(point, reverse=True)
        assert strict == sorted(strict, reverse=True)
        assert all(a <= b for a, b in zip(point, strict, strict=True))
        assert (point[0], point[-1], strict[0]) == (1.0, 0.0, 1.0)
        middle = [row["distance_se"] for row in curve["point"]].index(0.0)
        assert point[middle] == pytest.approx(0.5, abs=0.12)
        assert strict[middle] == pytest.approx(0.975, abs=0.04)
    assert [row["red"] for row in found["1 seed"]["strict"]][-1] == 0.0
    assert coverage.operating_curves(small, True, tmp_path, silence) == found
