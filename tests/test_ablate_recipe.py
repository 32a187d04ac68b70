"""The ablation's tool measures what a run measures, keeps what it finished, and pairs by seed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness import config, pipeline
from harness.artifacts.directories import RunDirectory
from harness.subjects.interpretable import PARTS, REFERENCE
from tools import ablate_recipe
from tools.tables import markdown

pytestmark = pytest.mark.thorough

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
engine = "stacked"
[attribution]
attribution_steps = 5
smoothgrad_samples = 3
[selection]
samples_per_class = 3
confidence = 0.3
[statistics]
resamples = 100
"""

Tool = Callable[..., tuple[dict[str, Any], str]]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tool:
    """Runs the tool on the excerpt, small; its file and what it printed."""
    (tmp_path / "harness.toml").write_text(SIZES)
    place = tmp_path / "rows.json"

    def run(*arguments: str) -> tuple[dict[str, Any], str]:
        flags = ["--config", str(tmp_path / "harness.toml"), "--output", str(place), "--seeds", "0,1"]
        monkeypatch.setattr(sys, "argv", ["ablate_recipe", *flags, "--device", "cpu", *arguments])
        ablate_recipe.main()
        return json.loads(place.read_text()), capsys.readouterr().out

    return run


def test_the_rows_leave_out_one_part_each() -> None:
    """Each but the two that ship differs from the second in one field, and all of its fields are left out."""
    changed = [
        [name for name in vars(PARTS) if getattr(parts, name) != getattr(PARTS, name)]
        for name, parts in ablate_recipe.ROWS.items()
        if name not in ("reference", "interpretable")
    ]
    assert all(len(one) == 1 for one in changed)
    off = {name for name in vars(PARTS) if getattr(PARTS, name) != getattr(REFERENCE, name)}
    assert {one[0] for one in changed} == off


def test_a_row_has_the_numbers_of_a_run(tool: Tool, tmp_path: Path) -> None:
    """Every value of a seed is the estimate that a run of the same recipe and seeds makes of it."""
    kept, _ = tool("--rows", "interpretable")
    flags = dict(seeds="0,1", recipe="interpretable", device="cpu", output=tmp_path / "artifacts")
    run = RunDirectory.open(pipeline.run(config.load(tmp_path / "harness.toml", flags)))
    known = {(one.name, one.seed): one.estimate for one in run.read_estimates()}
    compared = 0
    for name, values in kept["rows"]["interpretable"]["values"].items():
        if name.startswith("agreement_pair_sensitivity."):  # no run measures these by themselves
            continue
        for seed, value in zip((0, 1), values, strict=True):
            assert known[name, seed] == pytest.approx(value, rel=1e-3, abs=1e-5), name
            compared += 1
    assert compared == 2 * (8 + 6 + 3 * 4)


def test_a_finished_row_is_not_computed_again(tool: Tool) -> None:
    """It stands in the file; one that is missing is computed beside it, and held against the reference."""
    first, printed = tool("--rows", "reference", "--validation")
    assert "less the reference's" not in printed
    both, printed = tool("--rows", "reference,untied", "--validation")
    assert both["rows"]["reference"] == first["rows"]["reference"]
    assert "reference: taken from" in printed
    assert "untied: trained in" in printed
    assert "less the reference's" in printed
    assert both["of"]["validation"]
    with pytest.raises(SystemExit):
        tool("--rows", "reference")  # of the test set, into the same file
    with pytest.raises(SystemExit):
        tool("--rows", "none")


def test_validation_never_sees_the_test_set() -> None:
    """A tenth of the training set is judged; the rest is trained on; no test image is among them."""
    data = pipeline.loaded(config.load(flags={"dataset": "fashion-mnist-mini"}, folder=Path("/nowhere")))
    held = ablate_recipe.held_out(data)
    assert (len(held.train_images), len(held.test_images)) == (4500, 500)
    rows = np.concatenate([held.train_images, held.test_images])
    assert sorted(map(bytes, rows)) == sorted(map(bytes, data.train_images))


def test_intervals_are_students() -> None:
    """Of five values, by scipy's own; of one there is none."""
    values = [0.1, 0.4, 0.2, 0.5, 0.3]
    mean, half = ablate_recipe.interval(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert math.isnan(ablate_recipe.interval([0.3])[1])


def test_a_table_has_a_row_for_each_name() -> None:
    """With its head, as Markdown wants it."""
    assert (
        markdown("x", ["a", "b"], {"one": ["1", "2"]})
        == "| x | a | b |\n| --- | --- | --- |\n| `one` | 1 | 2 |"
    )
