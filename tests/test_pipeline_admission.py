"""The configuration that a run keeps: what it is judged by, in the words of its data, from anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import datasets
from harness.capabilities import CAPABILITIES, FIRST
from harness.config import Config
from harness.pipeline.admission import settled
from harness.pipeline.started import Silence


class Heard(Silence):
    """What was warned of."""

    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, text: str) -> None:
        self.warned.append(text)


@pytest.fixture
def series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> datasets.Dataset:
    """Series of one's own, named relative to the working folder."""
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).random((40, 2, 5))
    np.savez("walk.npz", x=values, y=np.arange(40) % 2, axes=["channel", "time"])
    return datasets.load("walk.npz")


def test_a_run_keeps_what_means_the_same_anywhere(series: datasets.Dataset, tmp_path: Path) -> None:
    """The data's whole path, and titles of series; nothing else of the configuration changes."""
    config, heard = Config.model_validate({"data": {"dataset": "walk.npz"}}), Heard()
    kept = settled(config, series, FIRST, {}, heard)
    assert kept.data.dataset == str(tmp_path / "walk.npz")
    assert datasets.load(kept.data.dataset).digest == series.digest
    titles = {one.id: one.title for one in kept.criteria}
    assert titles["test_overlap"] == "Test series that stand in the training set"
    assert kept.model_copy(update={"data": config.data, "criteria": config.criteria}) == config
    assert heard.warned == []


def test_what_cannot_be_judged_is_told_once_with_its_reason(series: datasets.Dataset) -> None:
    """It stands in the configuration by name, and its criterion is gone."""
    heard = Heard()
    kept = settled(Config(), series, set(FIRST) - {"k"}, {"float64": CAPABILITIES["float64"]}, heard)
    assert dict(kept.without) == {"float64": CAPABILITIES["float64"], "sparsity": CAPABILITIES["k"]}
    assert "sparsity" not in {one.id for one in kept.criteria}
    assert heard.warned == [f"judged without {name}: {why}" for name, why in kept.without.items()]


def test_what_judges_a_method_goes_with_it(series: datasets.Dataset) -> None:
    """Of a model that the method cannot explain, for the same reason."""
    method, why = "switch_aware_integrated_gradients", CAPABILITIES["k"]
    config = Config.model_validate({"attribution": {"methods": ["gradients", method]}})
    name = f"completeness.{method}"
    assert name in {one.id for one in config.criteria}
    kept = settled(config, series, set(FIRST), {f"methods.{method}": why}, Heard())
    assert kept.without[name] == why
    assert name not in {one.id for one in kept.criteria}
    assert settled(config, series, set(FIRST), {}, Heard()).criteria[-1].id == name
