"""The criteria as tests over a run directory, and the verdict they add up to."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness import judging
from harness.artifacts import RunDirectory, shipped
from harness.errors import RunError

GATES = ("accuracy", "sparsity", "agreement", "reconstruction", "fraction_unexplained", "selection")


def outcomes(verdict: dict[str, Any]) -> dict[str, str]:
    return {one.id: one.verdict for one in verdict["criteria"]}


def change_estimate(run: RunDirectory, name: str, **change: Any) -> None:
    """Rewrite one estimate on disk."""
    values = json.loads((run / "estimates.json").read_text())
    for row in values["estimates"]:
        if row["name"] == name:
            row |= change
    (run / "estimates.json").write_text(json.dumps(values))


def change_criteria(run: RunDirectory, text: str) -> None:
    """Append to the run's own configuration."""
    (run / "config.toml").write_text((run / "config.toml").read_text() + text)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A copy of the shipped criteria, to plant faults in."""
    return Path(shutil.copytree(shipped("validation"), tmp_path / "suite"))


def test_every_declared_criterion_gets_a_verdict(finished: RunDirectory) -> None:
    """The verdict lists each criterion of the configuration once, in its order."""
    verdict = judging.judge(finished)
    assert list(outcomes(verdict)) == [one.id for one in finished.read_config().criteria]
    assert set(GATES) <= set(outcomes(verdict))
    assert verdict["verdict"] == "pass"


def test_a_failed_gate_is_a_fail(finished: RunDirectory) -> None:
    """One gate under its threshold fails the run, and the sentence says which and by how much."""
    change_estimate(finished, "agreement", estimate=0.57, low=0.54, high=0.6)
    verdict = judging.judge(finished)
    assert outcomes(verdict)["agreement"] == "fail"
    assert verdict["verdict"] == "fail"
    assert "0.57 [0.54, 0.6] is under 0.6" in judging.sentence(verdict)


def test_a_number_that_is_missing_is_an_error(finished: RunDirectory) -> None:
    """A gate without a number is an error, which wins over a fail (fault 18)."""
    change_estimate(finished, "agreement", estimate=None, low=None, high=None, reason="no maps")
    change_estimate(finished, "accuracy", estimate=0.5)
    verdict = judging.judge(finished)
    assert (outcomes(verdict)["agreement"], outcomes(verdict)["accuracy"]) == ("error", "fail")
    assert verdict["verdict"] == "error"
    assert "could not be judged: no maps" in judging.sentence(verdict)


def test_a_watched_criterion_has_no_say(finished: RunDirectory) -> None:
    """A watched criterion that fails or errs is reported, and the run passes all the same."""
    change_estimate(finished, "agreement_worst_pair", estimate=0.1)
    change_estimate(finished, "agreement_sensitivity", estimate=None, reason="no maps")
    verdict = judging.judge(finished)
    assert outcomes(verdict)["agreement_worst_pair"] == "fail"
    assert outcomes(verdict)["agreement_sensitivity"] == "error"
    assert verdict["verdict"] == "pass"


def test_strict_lets_the_bound_decide(finished: RunDirectory) -> None:
    """An interval that straddles its threshold passes by its point, and fails when strict."""
    change_estimate(finished, "agreement", estimate=0.61, low=0.58, high=0.64)
    relaxed, strict = judging.judge(finished), judging.judge(finished, strict=True)
    assert (outcomes(relaxed)["agreement"], outcomes(strict)["agreement"]) == ("pass", "fail")
    assert next(one for one in relaxed["criteria"] if one.id == "agreement").marginal
    assert strict["strict"]


@pytest.mark.parametrize(
    "body",
    [
        "import pytest\npytest.skip('not today', allow_module_level=True)\n",
        "import pytest\n@pytest.mark.skip\n@pytest.mark.criterion('agreement')\n"
        "def test_it(criterion):\n    assert criterion.accepted\n",
        "import pytest\n@pytest.mark.criterion('agreement')\n"
        "def test_it(criterion):\n    pytest.skip('in the midst')\n",
        "import pytest\n@pytest.mark.criterion('agreement')\n@pytest.mark.xfail\n"
        "def test_it(criterion):\n    assert False\n",
        "import pytest\n@pytest.mark.criterion('agreement')\ndef test_it(criterion):\n    1 / 0\n",
        "",
        "this is no Python",
    ],
    ids=["module skipped", "skipped", "skips itself", "expected to fail", "crashes", "empty", "not Python"],
)
def test_a_check_that_did_not_run_is_not_a_check_that_passed(
    finished: RunDirectory, suite: Path, body: str
) -> None:
    """A criterion whose test was skipped, lost or crashed is an error, never a pass (fault 49)."""
    (suite / "test_agreement.py").write_text(body)
    if body == "this is no Python":
        verdict = judging.judge(finished, suite=suite)
        assert verdict["verdict"] == "error"
        return
    verdict = judging.judge(finished, suite=suite)
    assert outcomes(verdict)["agreement"] == "error"
    assert outcomes(verdict)["accuracy"] == "pass"
    assert verdict["verdict"] == "error"


def test_no_criterion_collected_is_an_error(finished: RunDirectory, suite: Path) -> None:
    """A suite without a single test judges nothing, which is an error (fault 49)."""
    for path in suite.glob("test_*.py"):
        path.unlink()
    verdict = judging.judge(finished, suite=suite)
    assert verdict["verdict"] == "error"
    assert set(outcomes(verdict).values()) == {"error"}


def test_a_test_that_asserts_more_can_fail(finished: RunDirectory, suite: Path) -> None:
    """A test may ask more than the threshold, and its refusal is a fail with its own words."""
    (suite / "test_agreement.py").write_text(
        "import pytest\n@pytest.mark.criterion('agreement')\n"
        "def test_it(criterion):\n    assert criterion.n > 10**6, 'too few images'\n"
    )
    verdict = judging.judge(finished, suite=suite)
    assert outcomes(verdict)["agreement"] == "fail"
    assert "too few images" in judging.sentence(verdict)


def test_the_surroundings_cannot_deselect(finished: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of pytest in the environment neither deselect nor skip a criterion."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing_at_all")
    assert judging.judge(finished)["verdict"] == "pass"


def test_a_criterion_from_the_configuration_is_judged(finished: RunDirectory) -> None:
    """A `[[criteria]]` table alone is enough for a gate of one's own."""
    change_criteria(
        finished,
        '\n[[criteria]]\nid = "few_dead"\nmeasurement = "dead_units"\nrelation = "<="\nthreshold = -1\n',
    )
    verdict = judging.judge(finished)
    assert outcomes(verdict)["few_dead"] == "fail"
    assert verdict["verdict"] == "fail"


def test_a_broken_off_run_is_an_error_with_its_reason(finished: RunDirectory) -> None:
    """A run that broke off is judged an error that names the stage; an interrupted one is interrupted."""
    finished.write_json(
        "failure.json", {"stage": "training", "kind": "TrainingDiverged", "message": "nan", "trace": None}
    )
    (finished / "estimates.json").unlink()
    verdict = judging.judge(finished)
    assert verdict["verdict"] == "error"
    assert "broke off in stage training: nan" in judging.sentence(verdict)
    finished.write_json(
        "failure.json", {"stage": "training", "kind": "interrupted", "message": "interrupted", "trace": None}
    )
    assert judging.judge(finished)["verdict"] == "interrupted"


def test_a_suite_that_cannot_start_is_an_error(finished: RunDirectory, suite: Path) -> None:
    """A suite whose set-up is broken raises, with what pytest printed."""
    (suite / "conftest.py").write_text("raise RuntimeError('broken set-up')")
    with pytest.raises(RunError, match="broken set-up"):
        judging.judge(finished, suite=suite)


def test_all_outputs_bear_the_same_numbers(finished: RunDirectory) -> None:
    """verdict.json, junit.xml, summary.md and metrics.csv agree with one another."""
    verdict = judging.judge(finished)
    written = json.loads((finished / "verdict.json").read_text())
    suite = ElementTree.parse(finished / "junit.xml")
    junit = {}
    for case in suite.iter("testcase"):
        row = {one.get("name"): one.get("value") for one in case.iter("property")}
        junit[row["criterion"]] = row
    with (finished / "metrics.csv").open() as stream:
        metrics = {row["measurement"]: row for row in csv.DictReader(stream)}
    summary = (finished / "summary.md").read_text()
    assert len(junit) == len(written["criteria"]) == len(verdict["criteria"])
    for one, row in zip(verdict["criteria"], written["criteria"], strict=True):
        twin = junit[one.id]
        assert row["estimate"] == one.estimate == float(str(twin["estimate"]))
        assert str(twin["n"]) == str(one.n) == metrics[one.measurement]["n"]
        assert float(metrics[one.measurement]["estimate"]) == one.estimate
        assert twin["relation"] == one.relation
        assert twin["verdict"] == one.verdict
        assert {"low", "high", "threshold"} <= set(twin)
        assert f"{one.estimate:.4g}" in summary
    assert written["dataset"]["name"] in summary
    assert written["schema"] == 1


def test_the_suite_stands_alone(finished: RunDirectory) -> None:
    """`pytest validation --run RUN` judges without the harness's command, and ends with 0 or 1."""

    def alone(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", str(shipped("validation")), *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    good = alone("--run", str(finished.path))
    assert good.returncode == 0, good.stdout
    assert "11 passed" in good.stdout
    change_estimate(finished, "accuracy", estimate=0.5)
    bad = alone("--run", str(finished.path))
    assert bad.returncode == 1
    assert "is under 0.75" in bad.stdout
    none = alone("--run", str(finished.path / "nothing"))
    assert none.returncode == 4
    assert "is no run directory" in none.stderr


def test_a_criterion_may_bear_any_id(finished: RunDirectory) -> None:
    """A criterion named after the file that judges all others is judged like them."""
    table = 'id = "others"\nmeasurement = "accuracy"\nrelation = ">="\nthreshold = 0.5\n'
    change_criteria(finished, f"\n[[criteria]]\n{table}")
    assert outcomes(judging.judge(finished.path))["others"] == "pass"


def test_the_summary_keeps_foreign_text_as_text() -> None:
    """Markup and table bars in foreign text stay text in the summary (fault 44)."""
    text = judging._markdown("<img src=x>|a`b`*c*\n[d](e)")
    assert "<" not in text
    assert "\n" not in text
    assert r"\|a\`b\`\*c\*" in text
