"""The tool that compares the shipped models: agreement above each one's own control, in pairs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import sweeps
from harness.config import Config
from harness.statistics.crossed import two_way
from harness.subjects.shipped import models
from tests.measured_runs import LABELS, Known, a_point
from tools import compare_models as tool

ACTIVE = {"dense": 30.0, "k-sparse": 8.0, "relu-l1": 8.3}


@pytest.fixture(name="points")
def some(tmp_path: Path) -> list[tool.Judged]:
    """Three models: trained, the sparse ones agree 0.3 and 0.1 above their untrained networks; dense 0.2."""
    drawn, found = np.random.default_rng(3), []
    for (model, active), gain in zip(ACTIVE.items(), (0.2, 0.3, 0.1), strict=True):
        untrained = drawn.normal(0.4, 0.05, (3, 24))
        trained = untrained + gain + drawn.normal(0, 0.01, (3, 24))
        measured = {
            "agreement": Known(trained),
            "control_untrained": Known(untrained),
            "agreement_gradient_family": Known(trained),
            "control_untrained.gradient_family": Known(untrained + 0.05),
            "sparsity": Known(np.full((3, 60), active), by_class=False),
        }
        row = a_point(tmp_path / model, measured)
        settings = {"model": {"model": model, "k": 8, "settings": {"l1": 0.5} if model == "relu-l1" else {}}}
        found.append(tool.judged(replace(row, point=replace(row.point, config=Config(**settings)))))
    return found


def numbers(text: str) -> list[float]:
    """The numbers of a cell."""
    return [float(one) for one in re.findall(r"-?\d+\.\d+", text)]


def test_each_is_told_above_its_own_control_and_beside_the_dense_one(points: list[tool.Judged]) -> None:
    """The estimate is the crossed mean; an interval that holds with two others is wider than alone."""
    rows = {
        line.split("|")[1].strip(): line.split("|")
        for line in tool.above_untrained(points, "of all methods").splitlines()[2:]
    }
    assert list(rows) == ["`dense`", "`k-sparse, k 8`", "`relu-l1, l1 0.5`"]
    for one, cells in zip(points, rows.values(), strict=True):
        values = one.above["of all methods"].rows
        assert values is not None
        alone = two_way(values[0], LABELS, 0.95)
        estimate, low, high = numbers(cells[3])
        assert alone.low is not None
        assert alone.high is not None
        assert estimate == pytest.approx(alone.estimate, abs=6e-4)
        assert low < alone.low + 6e-4
        assert high > alone.high - 6e-4
    assert rows["`dense`"][5:8] == [" – "] * 3
    assert numbers(rows["`k-sparse, k 8`"][5])[0] == pytest.approx(0.1, abs=0.01)
    assert numbers(rows["`relu-l1, l1 0.5`"][5])[0] == pytest.approx(-0.1, abs=0.01)
    assert rows["`k-sparse, k 8`"][7].strip() == "24"


def test_pairs_are_of_equal_sparsity(points: list[tool.Judged]) -> None:
    """As many active units within a tenth; each family less its own control."""
    (line,) = tool.at_equal_sparsity(points).splitlines()[2:]
    cells = [cell.strip() for cell in line.split("|")]
    assert cells[1] == "`relu-l1, l1 0.5 less k-sparse, k 8`"
    assert numbers(cells[2])[0] == pytest.approx(-0.2, abs=0.01)
    assert numbers(cells[5])[0] == pytest.approx(-0.2, abs=0.01)
    apart = [replace(one, run=points[0].run) if one.model == "relu-l1" else one for one in points]
    assert tool.at_equal_sparsity(apart).count("\n") == 1


def test_the_page_has_a_place_for_every_table_and_its_sweep_can_be_run() -> None:
    """The marks that the tool looks for, and a configuration whose points all hold."""
    path = tool.PAGE.with_name("matched.toml")
    plan = sweeps.plan(config=path, name=path.stem)
    assert {point.config.model.model for point in plan.points} == set(models)
    text = tool.PAGE.read_text(encoding="utf-8")
    for title in (*tool.COLUMNS, *(f"above untrained, {words}" for words in tool.FAMILIES), "equal sparsity"):
        begin = tool.BEGIN.format(title, path.stem)
        assert text.count(begin) == 1
        assert text.partition(begin)[2].partition(tool.END)[0].count("\n|") > 4, title
