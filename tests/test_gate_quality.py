"""Planted faults turn the gate red, each by the gate that is named for it, and nothing else is touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness import attributions, pipeline, samples
from harness.errors import RunError
from harness.pipeline import probes
from harness.pipeline.work import Work
from tests.gate_quality import __main__ as gate_quality
from tests.gate_quality import explainers, runs
from tests.gate_quality.faults import FAULTS, LADDERS, Fault, before
from tests.small import SMALL

GATES = {
    "accuracy",
    "sparsity",
    "agreement",
    "fraction_unexplained",
    "selection",
    "attribution_integrity",
    "attribution_copies",
    "attribution_faithfulness",
    "test_overlap",
}
FLAGS: Mapping[str, Any] = {key: value for key, value in SMALL.items() if key not in ("dataset", "device")}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, finished_output: Path) -> Path:
    """A folder of runs whose cache holds the clean network of seed 0."""
    output = tmp_path_factory.mktemp("gate-quality") / "artifacts"
    output.mkdir()
    (output / "cache").symlink_to(finished_output / "cache", target_is_directory=True)
    return output


@pytest.mark.thorough
def test_a_clean_seed_is_green(shared: Path) -> None:
    """Without a fault every gate holds, so that red means the fault."""
    assert runs.judged(shared, (0,), FLAGS, nullcontext())["verdict"] == "pass"


def ids(faults: Any) -> list[str]:
    return [one.id for one in faults]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", ["weights-0.98", "steps-2", "copy", "unconfident", "decoder-permuted", "criterion-skipped"]
)
def test_a_planted_fault_turns_its_gate_red(shared: Path, name: str) -> None:
    """A fault makes at least one of the gates red that are named for it; one of each way of planting."""
    result = runs.planted(shared, name, 0, FLAGS)
    assert result["verdict"] in ("fail", "error")
    assert set(runs.known_faults()[name].by) & set(result["by"]), result["sentence"]


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["occlusion-shifted", "occlusion-baseline", "occlusion-half"])
def test_a_fault_in_another_explainer_turns_its_gate_red(shared: Path, name: str) -> None:
    """With nothing planted the same gates are green."""
    found = runs.planted(shared, name, 0, FLAGS)
    assert set(runs.known_faults()[name].by) & set(found["by"]), found["sentence"]


@pytest.mark.thorough
def test_another_explainer_with_nothing_planted_is_not_red_by_what_holds_its_maps(shared: Path) -> None:
    """Its other gates may be: two methods of few samples need not agree."""
    assert not set(runs.unspoiled(shared, "occlusion", 0, FLAGS)["by"]) & set(explainers.CHECKED)


@pytest.mark.thorough
def test_a_fault_that_cannot_be_planted_is_no_fault_that_was_caught(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that broke off because planting failed is red for nothing, and says so."""

    def fails(_work: Work) -> None:
        raise RunError("no soil")

    fault = Fault("broken", "nothing", before("probing", fails), ("agreement",))
    monkeypatch.setattr(runs, "known_faults", lambda: {"broken": fault})
    with pytest.raises(RuntimeError, match="could not be planted: no soil"):
        runs.planted(shared, "broken", 0, FLAGS)


@pytest.mark.thorough
def test_a_run_that_broke_off_says_nothing_of_the_gate(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only of a fault that has to break the run off is an error without verdicts the gate's own."""

    def fails(*_: object) -> None:
        raise RunError("the disk is full")

    monkeypatch.setitem(
        probes.PROBES, "integrity", (fails, ("samples",))
    )  # another key than the one that is kept
    with pytest.raises(RuntimeError, match="broke off in stage probing"):
        runs.judged(shared, (0,), FLAGS, nullcontext())


@pytest.mark.thorough
def test_a_fault_leaves_nothing_behind(shared: Path) -> None:
    """What a fault replaced is back afterwards, and the shared cache holds no spoiled map."""
    before = (pipeline.execute, samples.select, dict(attributions.methods._entries))
    entries = sorted((shared / "cache").rglob("*"))
    runs.planted(shared, "sign", 0, FLAGS)
    assert (pipeline.execute, samples.select, dict(attributions.methods._entries)) == before
    assert sorted((shared / "cache").rglob("*")) == entries


def test_faults_are_told_apart_and_name_gates_that_exist() -> None:
    """Ids differ; each fault names a gate, or says why none can see it."""
    faults = (*FAULTS, *explainers.FAULTS)
    assert len(set(ids(faults))) == len(faults)
    for fault in faults:
        assert set(fault.by) <= GATES
        assert bool(fault.by) != bool(fault.invisible)
    assert all(ladder for ladder in LADDERS.values())


def test_results_are_taken_from_a_measurement_of_the_same_code_alone(tmp_path: Path) -> None:
    """A stored result serves again under its key, and never under another."""
    runs.store(tmp_path, "clean-0", "key", {"verdict": "pass"})
    assert runs.stored(tmp_path, "clean-0", "key") == {"verdict": "pass"}
    assert runs.stored(tmp_path, "clean-0", "another") is None
    assert runs.stored(tmp_path, "clean-1", "key") is None


def test_false_alarms_are_bounded_by_the_exact_binomial() -> None:
    """No red run of 60 bounds the rate by 1 - 0.05^(1/60)."""
    clean = {"verdict": "pass", "gates": {"accuracy": {"estimate": 0.8, "margin_se": 3.0}}, "sentence": ""}
    found = gate_quality._false_alarms([clean] * 60)
    assert found["red"] == 0
    assert found["estimates"] == {"accuracy": [0.8] * 60}
    assert found["upper_bound"] == pytest.approx(1 - 0.05 ** (1 / 60), rel=1e-6)
    red = gate_quality._false_alarms([clean] * 59 + [clean | {"verdict": "fail"}])
    assert red["red"] == 1
    assert stats.binom.cdf(1, 60, red["upper_bound"]) == pytest.approx(0.05, rel=1e-4)


def test_rows_count_what_was_red() -> None:
    """A fault that one of three seeds let through is not caught."""
    found = {
        f"fault-sign-{seed}": {"verdict": verdict, "by": by, "sentence": "words"}
        for seed, verdict, by in (
            (0, "fail", ["attribution_integrity"]),
            (1, "pass", []),
            (2, "error", ["agreement"]),
        )
    }
    row = gate_quality._of_fault(runs.known_faults()["sign"], (0, 1, 2), found)
    assert (row["red"], row["seeds"]) == (2, [0, 1, 2])
    assert row["by"] == ["agreement", "attribution_integrity"]
    assert not row["as_expected"]
    assert row["low"] < 2 / 3 < row["high"]
    of_few = gate_quality._of_fault(runs.known_faults()["sign"], (0, 1, 2), found, ["attribution_integrity"])
    assert (of_few["red"], of_few["by"]) == (1, ["attribution_integrity"])


def test_a_ladder_tells_caught_from_missed() -> None:
    """Sizes of a fault go where their verdict sends them."""
    ladder = LADDERS["k while explaining (50 declared)"]
    found = {
        f"ladder-{fault.id}": {"verdict": "fail" if size < 45 else "pass"} for size, fault in ladder.items()
    }
    sizes = gate_quality._smallest("k", ladder, found)
    assert sizes == {"caught": [25, 40], "missed": [45, 48, 49]}


def test_what_a_gate_must_not_do_is_a_problem() -> None:
    """A fault let through, a fault caught by chance elsewhere, a mutant alive, or too many false alarms."""
    row = {"id": "sign", "seeds": [0, 1], "red": 2, "by": ["a"], "expected": ["a"], "as_expected": True}
    sound: dict[str, Any] = {
        "false_alarms": {"runs": 60, "red": 1, "sentences": ["red for nothing"]},
        "planted_faults": [row | {"invisible": ""}, row | {"red": 0, "by": [], "invisible": "for a reason"}],
        "mutation": {"survivors": []},
        "explainers": {"seeds": [0, 1], "unspoiled": {"lime": 0}, "planted_faults": []},
        "nightly": {"kinds": {}},
        "quick": False,
    }
    alarming = {"false_alarms": {"a_year": 1.1, "lower_bound": 1.0, "upper_bound": 1.3}}
    assert gate_quality.problems(sound) == []
    for change, word in (
        ({"planted_faults": [row | {"red": 1, "invisible": ""}]}, "1 of 2 seeds red"),
        ({"planted_faults": [row | {"by": ["b"], "as_expected": False, "invisible": ""}]}, "by b"),
        ({"mutation": {"survivors": ["judge:12"]}}, "judge:12 survives"),
        ({"false_alarms": {"runs": 60, "red": 9, "sentences": ["red for nothing"]}}, "red for nothing"),
        ({"explainers": sound["explainers"] | {"unspoiled": {"lime": 1}}}, "lime: 1 of 2 seeds red"),
        ({"nightly": {"kinds": {"normal": alarming}}}, "normal: 1.10 false alarms a year"),
    ):
        (sentence,) = gate_quality.problems(sound | change)
        assert word in sentence


@pytest.mark.slow
def test_the_quick_measurement_is_whole(tmp_path: Path) -> None:
    """`--quick` yields every part of `gate-quality.json`."""
    result = gate_quality.measure(tmp_path / "gate-quality.json", quick=True, fresh=False)
    assert gate_quality.problems(result) == []
    json.dumps(result, allow_nan=False)
    assert result["false_alarms"]["red"] == 0
    assert result["kill_rate"]["caught"] + result["kill_rate"]["invisible"] == result["kill_rate"]["planted"]
    assert np.isfinite(result["false_alarms"]["upper_bound"])
