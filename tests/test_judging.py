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
from harness.config import Criterion, shipped_criteria
from harness.errors import ConfigurationError, RunError
from harness.records import Verdict
from harness.rows import own_verdict
from tests.written import a_run

GATES = tuple(criterion.id for criterion in shipped_criteria(50) if criterion.gate)


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
    assert f"{len(finished.read_config().criteria)} passed" in good.stdout
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


# what a judgement says, of verdicts made by hand


def a_criterion(name: str = "agreement", gate: bool = True) -> Criterion:
    return Criterion(id=name, title="T", measurement=name, relation=">=", threshold=0.6, gate=gate)


def whole(*criteria: Verdict, **changed: Any) -> dict[str, Any]:
    """What a `verdict.json` would hold of these criteria."""
    known: dict[str, Any] = dict(
        run_id="run",
        verdict="pass",
        dataset={"name": "blobs"},
        notice=None,
        failure=None,
        seeds=[0],
        criteria=list(criteria),
    )
    return known | changed


def one_of(name: str, outcome: Any, gate: bool = True) -> Verdict:
    return own_verdict(name, name, "x.py::x", outcome, f"why {name}", gate)


def test_the_suites_verdict_is_taken_where_it_reached_one() -> None:
    """A declared criterion that a test judged has that test's verdict, whatever it is."""
    row = one_of("agreement", "pass")
    assert judging._verdict(a_criterion(), {"agreement": row, "other": one_of("other", "fail")}, "") is row


@pytest.mark.parametrize("gate", [True, False])
def test_a_declared_criterion_that_no_test_judged_is_an_error(gate: bool) -> None:
    """It keeps threshold and say, has no number, and tells pytest's last words (fault 49)."""
    lost = judging._verdict(
        a_criterion(gate=gate), {"other": one_of("other", "pass")}, "much\nmore\n9 deselected\n"
    )
    assert (lost.id, lost.verdict, lost.gate, lost.threshold) == ("agreement", "error", gate, 0.6)
    assert (lost.estimate, lost.low, lost.high, lost.margin_se, lost.n) == (None, None, None, None, 0)
    assert (lost.title, lost.marginal, lost.confidence) == ("T", False, 0.95)
    assert lost.why == "agreement: no test judged it: not collected, or deselected (pytest: 9 deselected)"
    assert "it printed nothing" in judging._verdict(a_criterion(), {}, " \n").why


def test_the_sentence_of_a_pass_counts_its_gates() -> None:
    """What is only watched is not counted, whatever became of it."""
    criteria = (one_of("a", "pass"), one_of("b", "pass"), one_of("c", "fail", gate=False))
    assert judging.sentence(whole(*criteria)) == "PASS on blobs: all 2 gates hold"


@pytest.mark.parametrize(
    ("outcome", "rows", "text"),
    [
        ("fail", [("a", "pass"), ("b", "fail")], "FAIL on blobs: why b"),
        ("fail", [("a", "fail"), ("b", "fail")], "FAIL on blobs: why a; and 1 more"),
        ("error", [("a", "fail"), ("b", "error"), ("c", "error")], "ERROR on blobs: why b; and 2 more"),
        ("error", [("a", "pass"), ("b", "error")], "ERROR on blobs: why b"),
        ("error", [], "ERROR on blobs: no gate was declared"),
    ],
)
def test_the_sentence_of_a_red_run_is_of_its_first_gate_of_that_kind(
    outcome: str, rows: list[tuple[str, str]], text: str
) -> None:
    """An error is told before the fails in front of it; all other red gates are counted, watches are not."""
    criteria = [one_of("seen", "error", gate=False), *(one_of(*row) for row in rows)]
    assert judging.sentence(whole(*criteria, verdict=outcome)) == text


def test_the_sentence_says_what_broke_off_and_which_data_it_was() -> None:
    """A failure goes before all criteria, and an excerpt never passes for the full data."""
    failure = {"stage": "training", "message": "nan", "kind": "x"}
    broken = whole(one_of("a", "error"), verdict="interrupted", failure=failure, notice="an excerpt")
    text = "INTERRUPTED on blobs (not the full data): the run broke off in stage training: nan"
    assert judging.sentence(broken) == text


def test_an_earlier_judgement_knows_the_tests_of_ones_own(tmp_path: Path) -> None:
    """Of its rows those count that name a test in a file and no declared criterion; no verdict, no rows."""
    run = a_run(tmp_path / "artifacts")
    config = run.read_config()
    assert judging._own_tests(run, config) == []
    own, folder = one_of("x.x", "pass"), own_verdict("gone", "gone", "/gone", "error", "no such folder")
    rows = [one_of("accuracy", "pass"), own, folder]
    values = {"run_id": run.path.name, "criteria": [vars(row) for row in rows]}
    run.write_json("verdict.json", values)
    assert judging._own_tests(run, config) == [own]
    run.write_json("verdict.json", values | {"run_id": "another"})
    assert judging._own_tests(run, config) == []


def test_a_test_of_an_earlier_judgement_that_is_gone_is_an_error() -> None:
    """It keeps its id, title, place and say, and tells pytest's last words."""
    known = one_of("x.x", "pass", gate=False)
    lost = judging._lost(known, "much\nmore\n1 passed\n")
    assert (lost.id, lost.title, lost.measurement, lost.gate) == ("x.x", "x.x", "x.py::x", False)
    assert lost.verdict == "error"
    assert lost.why == "x.x: x.py::x judged this run before, and is gone (pytest: 1 passed)"
    assert "it printed nothing" in judging._lost(known, "").why


def test_a_looser_rule_is_told_in_sentence_and_summary(tmp_path: Path) -> None:
    """A threshold looser than the shipped one stands in verdict.json, sentence and summary (fault 15)."""
    config = {"criteria": [{"id": "accuracy", "threshold": 0.5}], "selection": {"confidence": 0.7}}
    run = a_run(tmp_path / "artifacts", config=config)
    verdict = judging.judge(run)
    assert verdict["announcements"] == [
        "accuracy: looser than shipped: >= 0.5, not >= 0.75",
        "selection.confidence: looser than shipped: 0.7, not 0.8",
    ]
    gates = sum(one.gate for one in verdict["criteria"])
    loose = "(looser than shipped: accuracy, selection.confidence)"
    assert judging.sentence(verdict) == f"PASS on blobs: all {gates} gates hold {loose}"
    assert json.loads((run / "verdict.json").read_text())["announcements"] == verdict["announcements"]
    summary = (run / "summary.md").read_text()
    assert loose in summary
    assert "> **accuracy: looser than shipped: &gt;= 0.5, not &gt;= 0.75**" in summary


def test_the_shipped_rules_announce_nothing(tmp_path: Path) -> None:
    """A run by the shipped criteria says nothing of looser ones."""
    verdict = judging.judge(a_run(tmp_path / "artifacts"))
    assert verdict["announcements"] == []
    assert "looser" not in judging.sentence(verdict)


def test_strict_of_two_seeds_is_refused_in_words(tmp_path: Path) -> None:
    """Two seeds give the recipe no interval: that is said before anything is judged."""
    run = a_run(tmp_path / "artifacts", config={"seeds": [0, 1]})
    with pytest.raises(
        ConfigurationError, match=r"two seeds of .* give none for the recipe: judge without it"
    ):
        judging.judge(run, strict=True)
    assert run.read_verdict() is None
    assert judging.judge(run)["verdict"] == "pass"


def test_a_run_of_dead_units_fails_and_says_so(tmp_path: Path) -> None:
    """With all units dead the run is a fail, no error, and the sparsity's sentence says why (fault 19)."""
    dead = {"sparsity": 0.0, "accuracy": 0.1, "dead_units": 1024.0, "agreement": None, "selection": None}
    verdict = judging.judge(a_run(tmp_path / "artifacts", dead))
    rows = {one.id: one for one in verdict["criteria"]}
    assert verdict["verdict"] == "fail"
    assert rows["sparsity"].why.endswith("; all 1024 units are dead")
    assert rows["agreement"].verdict == "fail"
    assert "all 1024 units are dead" in judging.sentence(verdict)


def test_a_number_that_is_not_finite_is_an_error_of_the_run(tmp_path: Path) -> None:
    """NaN is stored as null with a reason, and judged an error, never compared (fault 18)."""
    run = a_run(tmp_path / "artifacts", {"accuracy": float("nan"), "agreement": 0.1})
    verdict = judging.judge(run)
    assert outcomes(verdict)["accuracy"] == "error"
    assert verdict["verdict"] == "error"
    assert "not finite (nan)" in judging.sentence(verdict)


def test_what_a_run_could_have_told_apart_stands_in_every_output(tmp_path: Path) -> None:
    """The detectable difference is in verdict.json, junit.xml and the summary's table."""
    run = a_run(tmp_path / "artifacts")
    verdict = judging.judge(run)
    known = {one.id: one.minimum_detectable_difference for one in verdict["criteria"]}
    assert known["accuracy"] == pytest.approx(0.02 + 0.00841621, rel=1e-5)
    written = json.loads((run / "verdict.json").read_text())["criteria"]
    assert {row["id"]: row["minimum_detectable_difference"] for row in written} == known
    cases = ElementTree.parse(run / "junit.xml").iter("testcase")
    rows = [{one.get("name"): one.get("value") for one in case.iter("property")} for case in cases]
    assert {row["criterion"]: float(str(row["minimum_detectable_difference"])) for row in rows} == known
    assert "| 0.02842 |" in (run / "summary.md").read_text()
