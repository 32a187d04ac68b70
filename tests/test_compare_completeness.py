"""The tool that prices completeness measures each network once, on the images its run selected."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness import config, pipeline
from harness.attributions.switched import ALLOCATIONS
from harness.runs import Run
from tools import compare_completeness as tool

SIZES = """
[data]
dataset = "fashion-mnist-mini"
[model]
code_width = 128
k = 24
[training]
epochs = 3
classifier_epochs = 8
batch_size = 64
[attribution]
methods = ["gradients", "integrated_gradients"]
[selection]
samples_per_class = 3
confidence = 0.3
[statistics]
resamples = 100
"""


@pytest.mark.thorough
def test_each_network_is_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its numbers are those of the run, where the run has them, and of the library; the file keeps them."""
    (tmp_path / "harness.toml").write_text(SIZES)
    flags = dict(seeds="0,1,2", device="cpu", output=tmp_path / "artifacts")
    run = Run.open(pipeline.run(config.load(tmp_path / "harness.toml", flags)))
    place = tmp_path / "kept.json"
    monkeypatch.setattr(tool, "STEPS", (50,))
    monkeypatch.setattr(sys, "argv", ["tool", str(run.directory.path), "--output", str(place)])
    tool.main()
    first = capsys.readouterr().out
    by_seed = list(json.loads(place.read_text()).values())
    assert len(by_seed) == 3
    for number, one in enumerate(by_seed):
        assert set(one) == {
            "integrated_gradients",
            *ALLOCATIONS,
            "deeplift_code",
            "captum, 50 steps",
            "switches",
        }
        for name, theirs in {
            "gap": "completeness",
            "deletion": "deletion.integrated_gradients",
            "insertion": "insertion.integrated_gradients",
            "max_sensitivity": "max_sensitivity.integrated_gradients",
        }.items():
            assert one["integrated_gradients"][name] == pytest.approx(
                list(run.per_sample(theirs)[number]), rel=1e-3, abs=1e-5
            ), name
        assert one["switches"]["share"] == pytest.approx(
            list(run.per_sample("switch_share")[number]), rel=1e-3
        )
        assert one["captum, 50 steps"]["gap"] == pytest.approx(
            one["integrated_gradients"]["gap"], rel=0.05, abs=0.01
        )
        assert np.median(one["evidence"]["gap"]) < np.median(one["integrated_gradients"]["gap"])
        assert one["integrated_gradients"]["correlation"] == pytest.approx([1] * 30)
    medians = [np.median(one["evidence"]["gap"]) for one in by_seed]
    low, high = stats.t.interval(0.95, 2, loc=np.mean(medians), scale=stats.sem(medians))
    assert f"| `evidence` | {np.mean(medians):.3f} [{low:.3f}, {high:.3f}] |" in first
    tool.main()
    second = capsys.readouterr().out
    assert "measured in" in first
    assert "measured in" not in second
    assert second.splitlines()[-5:] == first.splitlines()[-5:]
