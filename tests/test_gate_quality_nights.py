"""The simulated nights: noise is what it claims, rates are bounded exactly, and what is planted is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.history.charts import SILENT, Spell
from tests.gate_quality import __main__ as gate_quality
from tests.gate_quality import nights

ESTIMATES = {
    "accuracy": np.random.default_rng(0).normal(0.85, 0.006, 12).tolist(),
    "agreement": np.random.default_rng(1).normal(0.82, 0.005, 12).tolist(),
    "sparsity": [50.0] * 12,
}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of everything."""
    for name in ("QUICK_SERIES", "QUICK_FAMILIES", "QUICK_SEARCHES"):
        monkeypatch.setattr(nights, name, 3)
    monkeypatch.setattr(nights, "NIGHTS", 120)


@pytest.mark.parametrize("name", nights.NOISES)
def test_noise_has_the_spread_that_it_claims(name: str) -> None:
    """By which changes are planted."""
    noise = nights.NOISES[name]
    found = noise.draw(np.random.default_rng(0), 400_000)
    tolerance = 0.15 if "t3" in name or "lognormal" in name else 0.02
    assert found.std() == pytest.approx(noise.sd, rel=tolerance)


def test_a_rate_is_bounded_by_the_exact_poisson() -> None:
    """Of nine alarms in ten years the bounds are those that make nine as rare as 5 %."""
    spell = Spell(1, True, "drift", 20, 15, 14, 16, [0.0, 1.0], 1.0, (), red=True, ended=30)
    rate = nights._rate([nights._Seen([spell] * 9, 2)], 10.0, 100)
    assert (rate["a_year"], rate["red_a_year"], rate["nights_open"]) == (0.9, 0.9, 10)
    assert stats.poisson.cdf(9, 10 * rate["upper_bound"]) == pytest.approx(0.05)
    assert stats.poisson.sf(8, 10 * rate["lower_bound"]) == pytest.approx(0.05)
    nothing = nights._rate([], 10.0, 100)
    assert nothing["lower_bound"] == 0
    assert nothing["upper_bound"] == pytest.approx(-np.log(0.05) / 10)


def test_the_naive_rule_is_written_out() -> None:
    """Last night plus twice the standard deviation of all nights up to it."""
    numbers = np.random.default_rng(2).standard_normal(60)
    expected = [
        numbers[index] > numbers[index - 1] + 2 * numbers[:index].std(ddof=1) for index in range(SILENT, 60)
    ]
    assert nights._naive(numbers).tolist() == expected


@pytest.mark.thorough
def test_what_is_planted_is_found_and_noise_bounds_are_kept(few: None, tmp_path: Path) -> None:
    """Every kind of noise, on a few short series; each part is whole, and serves again."""
    told: list[str] = []
    tasks = dict(nights.tasks(ESTIMATES, True, tmp_path, told.append))
    found = {name: task() for name, task in tasks.items()}
    result = nights.gathered(found)
    json.dumps(result, allow_nan=False)
    assert len(told) == len(tasks) == len(nights.NOISES) + 2
    for part in result["kinds"].values():
        gross = [row for row in part["found"] if row["what"] == "step of 5 sd"]
        assert [row["within_90"] for row in gross] == [1.0, 1.0]
    real = result["kinds"]["real seeds, 3 a night"]
    assert (real["charts"], real["seeds"]) == (4, 12)
    again = {name: task() for name, task in nights.tasks(ESTIMATES, True, tmp_path, told.append)}
    assert again == found
    assert len(told) == len(tasks)


def test_a_night_of_real_seeds_is_of_different_ones(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of three: as often as not no single seed's number, and within their range."""
    seen: list[Any] = []

    def keep(numbers: Any, *_: Any, **__: Any) -> nights._Seen:
        seen.append(numbers)
        return nights._Seen([], 0)

    monkeypatch.setattr(nights, "_seen", keep)
    nights._of_seeds({"accuracy": [0.0, 1.0, 10.0]} | {"agreement": [0.0, 1.0, 10.0]}, 3, True)
    assert np.concatenate(seen[:2]) == pytest.approx(11 / 3)


def test_too_many_false_alarms_are_a_problem_and_a_sample_must_prove_them() -> None:
    """The whole measurement must show that there are few; a quick one is red for what is certain."""
    part = {"false_alarms": {"a_year": 1.2, "lower_bound": 1.1, "upper_bound": 1.3}}
    assert len(nights.problems({"kinds": {"normal": part}})) == 1
    assert nights.problems({"kinds": {"normal": part}}, quick=True) == []
    part["false_alarms"] |= {"lower_bound": 1.21}
    assert len(nights.problems({"kinds": {"normal": part}}, quick=True)) == 1


@pytest.mark.thorough
def test_the_part_alone_takes_the_seeds_of_the_last_measurement(
    few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No network is trained where their numbers are known; the table of it can be read."""
    monkeypatch.setattr(gate_quality, "_all", lambda tasks, **_: {name: task() for name, task in tasks})
    output = tmp_path / "gate-quality.json"
    output.write_text(json.dumps({"false_alarms": {"estimates": ESTIMATES}}), encoding="utf-8")
    result = gate_quality.measure_nights(output, quick=True, fresh=False)
    assert result["nightly"]["commit"]
    assert len(result["nightly"]["kinds"]) == len(nights.NOISES) + 2
    nights.show(result["nightly"])
