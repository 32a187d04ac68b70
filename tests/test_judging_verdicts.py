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

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import shipped
from harness.artifacts.model import ModelRecord
from harness.config.parameters import Criterion, shipped_criteria
from harness.criteria import diagnosis
from harness.criteria.rows import own_verdict
from harness.errors import ConfigurationError, RunError
from harness.judging import publishing, verdicts
from harness.judging import suite as suite_runner
from harness.records import Verdict
from tests.written import a_run, sealed_anew

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
    sealed_anew(run)


def change_criteria(run: RunDirectory, text: str) -> None:
    """Append to the run's own configuration."""
    (run / "config.toml").write_text((run / "config.toml").read_text() + text)
    sealed_anew(run)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A copy of the shipped criteria, to plant faults in."""
    return Path(shutil.copytree(shipped("validation"), tmp_path / "suite"))


@pytest.mark.thorough
def test_every_declared_criterion_gets_a_verdict(finished: RunDirectory) -> None:
    """The verdict lists each criterion of the configuration once, in its order."""
    verdict = verdicts.judge(finished)
    assert list(outcomes(verdict)) == [one.id for one in finished.read_config().criteria]
    assert set(GATES) <= set(outcomes(verdict))
    assert verdict["verdict"] == "pass"


def test_a_failed_gate_is_a_fail(finished: RunDirectory) -> None:
    """One gate under its threshold fails the run, and the sentence says which and by how much."""
    change_estimate(finished, "agreement", estimate=0.57, low=0.54, high=0.6)
    verdict = verdicts.judge(finished)
    assert outcomes(verdict)["agreement"] == "fail"
    assert verdict["verdict"] == "fail"
    assert "0.57 [0.54, 0.6] is under 0.6" in diagnosis.sentence(verdict)


def test_a_number_that_is_missing_is_an_error(finished: RunDirectory) -> None:
    """A gate without a number is an error, which wins over a fail (fault 18)."""
    change_estimate(finished, "agreement", estimate=None, low=None, high=None, reason="no maps")
    change_estimate(finished, "accuracy", estimate=0.5)
    verdict = verdicts.judge(finished)
    assert (outcomes(verdict)["agreement"], outcomes(verdict)["accuracy"]) == ("error", "fail")
    assert verdict["verdict"] == "error"
    assert "could not be judged: no maps" in diagnosis.sentence(verdict)


def test_a_watched_criterion_has_no_say(finished: RunDirectory) -> None:
    """A watched criterion that fails or errs is reported, and the run passes all the same."""
    change_estimate(finished, "agreement_worst_pair", estimate=0.1)
    change_estimate(finished, "agreement_sensitivity", estimate=None, reason="no maps")
    verdict = verdicts.judge(finished)
    assert outcomes(verdict)["agreement_worst_pair"] == "fail"
    assert outcomes(verdict)["agreement_sensitivity"] == "error"
    assert verdict["verdict"] == "pass"


@pytest.mark.thorough
def test_strict_lets_the_bound_decide(finished: RunDirectory) -> None:
    """An interval that straddles its threshold passes by its point, and fails when strict."""
    change_estimate(finished, "agreement", estimate=0.61, low=0.58, high=0.64)
    relaxed, strict = verdicts.judge(finished), verdicts.judge(finished, strict=True)
    assert (outcomes(relaxed)["agreement"], outcomes(strict)["agreement"]) == ("pass", "fail")
    assert next(one for one in relaxed["criteria"] if one.id == "agreement").marginal
    assert strict["strict"]


@pytest.mark.thorough
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
        verdict = verdicts.judge(finished, suite=suite)
        assert verdict["verdict"] == "error"
        return
    verdict = verdicts.judge(finished, suite=suite)
    assert outcomes(verdict)["agreement"] == "error"
    assert outcomes(verdict)["accuracy"] == "pass"
    assert verdict["verdict"] == "error"


def test_no_criterion_collected_is_an_error(finished: RunDirectory, suite: Path) -> None:
    """A suite without a single test judges nothing, which is an error (fault 49)."""
    for path in suite.glob("test_*.py"):
        path.unlink()
    verdict = verdicts.judge(finished, suite=suite)
    assert verdict["verdict"] == "error"
    assert set(outcomes(verdict).values()) == {"error"}


@pytest.mark.thorough
def test_a_test_that_asserts_more_can_fail(finished: RunDirectory, suite: Path) -> None:
    """A test may ask more than the threshold, and its refusal is a fail with its own words."""
    (suite / "test_agreement.py").write_text(
        "import pytest\n@pytest.mark.criterion('agreement')\n"
        "def test_it(criterion):\n    assert criterion.n > 10**6, 'too few images'\n"
    )
    verdict = verdicts.judge(finished, suite=suite)
    assert outcomes(verdict)["agreement"] == "fail"
    assert "too few images" in diagnosis.sentence(verdict)


@pytest.mark.thorough
def test_the_surroundings_cannot_deselect(finished: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of pytest in the environment neither deselect nor skip a criterion."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing_at_all")
    assert verdicts.judge(finished)["verdict"] == "pass"


def test_a_criterion_from_the_configuration_is_judged(finished: RunDirectory) -> None:
    """A `[[criteria]]` table alone is enough for a gate of one's own."""
    change_criteria(
        finished,
        '\n[[criteria]]\nid = "few_dead"\nmeasurement = "dead_units"\nrelation = "<="\nthreshold = -1\n',
    )
    verdict = verdicts.judge(finished)
    assert outcomes(verdict)["few_dead"] == "fail"
    assert verdict["verdict"] == "fail"


@pytest.mark.thorough
def test_a_broken_off_run_is_an_error_with_its_reason(finished: RunDirectory) -> None:
    """A run that broke off is judged an error that names the stage; an interrupted one is interrupted."""
    finished.write_json(
        "failure.json", {"stage": "training", "kind": "TrainingDiverged", "message": "nan", "trace": None}
    )
    (finished / "estimates.json").unlink()
    verdict = verdicts.judge(sealed_anew(finished))
    assert verdict["verdict"] == "error"
    assert "broke off in stage training: nan" in diagnosis.sentence(verdict)
    finished.write_json(
        "failure.json", {"stage": "training", "kind": "interrupted", "message": "interrupted", "trace": None}
    )
    assert verdicts.judge(sealed_anew(finished))["verdict"] == "interrupted"


@pytest.mark.thorough
def test_a_suite_that_cannot_start_is_an_error(finished: RunDirectory, suite: Path) -> None:
    """A suite whose set-up is broken raises, with what pytest printed."""
    (suite / "conftest.py").write_text("raise RuntimeError('broken set-up')")
    with pytest.raises(RunError, match="broken set-up"):
        verdicts.judge(finished, suite=suite)


def test_all_outputs_bear_the_same_numbers(finished: RunDirectory) -> None:
    """verdict.json, junit.xml, summary.md and metrics.csv agree with one another."""
    verdict = verdicts.judge(finished)
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


@pytest.mark.thorough
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
    assert outcomes(verdicts.judge(finished.path))["others"] == "pass"


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
    assert verdicts._verdict(a_criterion(), {"agreement": row, "other": one_of("other", "fail")}, "") is row


@pytest.mark.parametrize("gate", [True, False])
def test_a_declared_criterion_that_no_test_judged_is_an_error(gate: bool) -> None:
    """It keeps threshold and say, has no number, and tells pytest's last words (fault 49)."""
    lost = verdicts._verdict(
        a_criterion(gate=gate), {"other": one_of("other", "pass")}, "much\nmore\n9 deselected\n"
    )
    assert (lost.id, lost.verdict, lost.gate, lost.threshold) == ("agreement", "error", gate, 0.6)
    assert (lost.estimate, lost.low, lost.high, lost.margin_se, lost.n) == (None, None, None, None, 0)
    assert (lost.title, lost.marginal, lost.confidence) == ("T", False, 0.95)
    assert lost.why == "agreement: no test judged it: not collected, or deselected (pytest: 9 deselected)"
    assert "it printed nothing" in verdicts._verdict(a_criterion(), {}, " \n").why


def test_the_sentence_of_a_pass_counts_its_gates() -> None:
    """What is only watched is not counted, whatever became of it."""
    criteria = (one_of("a", "pass"), one_of("b", "pass"), one_of("c", "fail", gate=False))
    assert diagnosis.sentence(whole(*criteria)) == "PASS on blobs: all 2 gates hold"


@pytest.mark.parametrize(
    ("outcome", "rows", "text"),
    [
        ("fail", [("a", "pass"), ("b", "fail")], "FAIL on blobs: why b"),
        ("fail", [("a", "fail"), ("b", "fail")], "FAIL on blobs: why a; also b"),
        ("error", [("a", "fail"), ("b", "error"), ("c", "error")], "ERROR on blobs: why b; also a, c"),
        ("error", [("a", "pass"), ("b", "error")], "ERROR on blobs: why b"),
        ("error", [], "ERROR on blobs: no gate was declared"),
    ],
)
def test_the_sentence_of_a_red_run_is_of_its_first_gate_of_that_kind(
    outcome: str, rows: list[tuple[str, str]], text: str
) -> None:
    """An error is told before the fails in front of it; all other red gates are named, watches are not."""
    criteria = [one_of("seen", "error", gate=False), *(one_of(*row) for row in rows)]
    assert diagnosis.sentence(whole(*criteria, verdict=outcome)) == text


def test_the_sentence_of_many_red_gates_is_a_line() -> None:
    """As many names as a line has room for, then how many there are besides."""
    names = [f"gate_of_a_long_name_{number:02}" for number in range(30)]
    told = diagnosis.sentence(whole(*(one_of(name, "fail") for name in names), verdict="fail"))
    assert told.startswith(f"FAIL on blobs: why {names[0]}; also {names[1]}, {names[2]}")
    assert told.endswith(f"{names[6]} and 23 more")
    assert len(told) < 250


def test_the_sentence_says_what_broke_off_and_which_data_it_was() -> None:
    """A failure goes before all criteria, and an excerpt never passes for the full data."""
    failure = {"stage": "training", "message": "nan", "kind": "x"}
    broken = whole(one_of("a", "error"), verdict="interrupted", failure=failure, notice="an excerpt")
    text = "INTERRUPTED on blobs (not the full data): the run broke off in stage training: nan"
    assert diagnosis.sentence(broken) == text


def test_an_earlier_judgement_knows_the_tests_of_ones_own(tmp_path: Path) -> None:
    """Of its rows those count that name a test in a file and no declared criterion; no verdict, no rows."""
    run = a_run(tmp_path / "artifacts")
    config = run.read_config()
    declared = {criterion.id for criterion in config.criteria}
    assert publishing.own_rows(verdicts._earlier(run), declared) == []
    own, folder = one_of("x.x", "pass"), own_verdict("gone", "gone", "/gone", "error", "no such folder")
    values = publishing.values_of(run, config, run.read_provenance())
    values |= {"criteria": [one_of("accuracy", "pass"), own, folder]}
    run.write_verdict(values)
    assert publishing.own_rows(verdicts._earlier(run), declared) == [own]
    run.write_verdict(values | {"run_id": "another"})
    assert verdicts._earlier(run) is None
    assert publishing.own_rows(None, declared) == []


def test_a_test_of_an_earlier_judgement_is_gone_by_place_and_id() -> None:
    """One that bears its id, or stands at its place under another, is not lost."""
    known = [own_verdict(f"x.{name}", name, f"x.py::{name}", "pass", "") for name in "abc"]
    rows = {
        "x.a": own_verdict("x.a", "a", "moved.py::a", "pass", ""),
        "x.b-123456": own_verdict("x.b-123456", "b", "x.py::b", "pass", ""),
    }
    assert verdicts._gone(known, rows) == [known[2]]


# a run is data


def with_checks(tmp_path: Path, body: str = "def test_x():\n    pass\n") -> tuple[RunDirectory, Path]:
    """A run whose configuration names a folder of tests."""
    folder = tmp_path / "checks"
    folder.mkdir()
    (folder / "test_own.py").write_text(body)
    return a_run(tmp_path / "artifacts", config={"checks": [str(folder)]}), folder


def test_no_test_is_run_that_only_the_run_names(tmp_path: Path) -> None:
    """A run's configuration may name tests of anybody: they are not run, and that is an error (fault 54)."""
    run, _ = with_checks(tmp_path, "open('MARK', 'w')\ndef test_x():\n    pass\n")
    verdict = verdicts.judge(run)
    assert verdict["verdict"] == "error"
    (row,) = [one for one in verdict["criteria"] if one.measurement.endswith("checks")]
    assert "never judged this run, and a run is data: --checks FOLDER runs them" in row.why
    assert not list(tmp_path.rglob("MARK"))


@pytest.mark.thorough
def test_tests_of_ones_own_stand_as_they_were_judged(tmp_path: Path) -> None:
    """Judged again where they are not, a run keeps their rows, and says so; asked for, they are run again."""
    run, folder = with_checks(tmp_path)
    assert outcomes(verdicts.judge(run, checks=[folder]))["own.x"] == "pass"
    (folder / "test_own.py").write_text("def test_x():\n    assert False\n")
    again = verdicts.judge(run)
    assert (again["verdict"], outcomes(again)["own.x"]) == ("pass", "pass")
    assert len(again["remarks"]) == 1
    assert again["remarks"][0].startswith("1 tests of one's own stand as they were judged before")
    assert "stand as they were judged before" in (run / "summary.md").read_text()
    assert 'name="x"' not in (run / "junit.xml").read_text()
    assert verdicts.judge(run, checks=[folder])["verdict"] == "fail"
    # the row that stands is red too
    assert verdicts.judge(run)["verdict"] == "fail"
    (tmp_path / "others").mkdir()
    (tmp_path / "others/test_other.py").write_text("def test_y():\n    pass\n")
    gone = verdicts.judge(run, checks=tmp_path / "others")
    assert (outcomes(gone)["own.x"], outcomes(gone)["other.y"]) == ("error", "pass")


def test_tests_in_a_run_directory_are_refused(tmp_path: Path) -> None:
    """Whoever names them: what came with a run is no code (fault 54)."""
    run = a_run(tmp_path / "artifacts")
    (run / "checks").mkdir()
    for folder in (run / "checks", run.path, f"{run.path}/../{run.path.name}/checks"):
        with pytest.raises(ConfigurationError, match="which are data, not code"):
            verdicts.judge(run, checks=folder)
    assert run.read_verdict() is None


@pytest.mark.thorough
def test_nothing_below_a_folder_of_tests_is_run_that_came_with_a_run(tmp_path: Path) -> None:
    """The folder of tests may hold the runs, as the working folder does: they are passed over (fault 54)."""
    run, folder = with_checks(tmp_path)
    for place in (run.path, tmp_path / "artifacts/cache/probe/abc"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "test_evil.py").write_text("open('MARK', 'w')\ndef test_evil():\n    pass\n")
    (tmp_path / "artifacts/cache/probe/abc/seals.json").write_text("{}")
    run.link_latest()
    verdict = verdicts.judge(run, checks=tmp_path)
    assert [one.id for one in verdict["criteria"] if "::" in one.measurement] == ["own.x"]
    assert not list(tmp_path.rglob("MARK"))
    assert folder.is_dir()


@pytest.mark.thorough
@pytest.mark.parametrize("checks", ["own", ["own"], Path("own")])
def test_checks_are_named_in_any_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checks: Any) -> None:
    """A text, a path or a list of them, as in a configuration; an empty one is refused."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/test_own.py").write_text("def test_x():\n    pass\n")
    run = a_run(tmp_path / "artifacts")
    assert outcomes(verdicts.judge(str(run.path), checks=checks))["own.x"] == "pass"
    with pytest.raises(ConfigurationError, match="checks"):
        verdicts.judge(run, checks=[""])


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name", ["config.toml", "environment.json", "estimates.json", "measurements/x.npz", "manifest.json"]
)
@pytest.mark.parametrize("change", ["edited", "missing"])
def test_an_error_where_a_gate_rests_on_what_is_not_as_it_was(tmp_path: Path, name: str, change: str) -> None:
    """No green verdict over what is damaged, nor yesterday's: by name, in all that says it (51, 55)."""
    run = a_run(tmp_path / "artifacts")
    run.write_arrays("measurements/x.npz", {})
    sealed_anew(run)
    assert verdicts.judge(run)["verdict"] == "pass"
    (run / name).write_bytes((run / name).read_bytes() + b" ") if change == "edited" else (
        run / name
    ).unlink()
    if name == "environment.json" and change == "missing":
        with pytest.raises(ConfigurationError, match="it has no environment"):
            verdicts.judge(run.path)
        return
    verdict = verdicts.judge(run.path)
    assert (verdict["verdict"], verdict["failure"]["stage"]) == ("error", "reading")
    assert name in diagnosis.sentence(verdict)
    written = json.loads((run / "verdict.json").read_text())
    assert written["verdict"] == "error"
    assert "PASS" not in (run / "summary.md").read_text()
    assert json.loads((run / "badge.json").read_text())["message"].startswith("error")
    assert ElementTree.parse(run / "junit.xml").getroot()[0].get("errors") != "0"
    # and it stays so
    assert verdicts.judge(run.path)["verdict"] == "error"


def test_a_run_that_was_sealed_anew_after_its_verdict_is_an_error(tmp_path: Path) -> None:
    """Who edits a number and the manifest with it is told by the verdict, again and again."""
    run = a_run(tmp_path / "artifacts", {"accuracy": 0.5})
    assert verdicts.judge(run)["verdict"] == "fail"
    text = (run / "estimates.json").read_text()
    (run / "estimates.json").write_text(text.replace("0.5", "0.9"))
    run.finish()
    for _ in range(2):
        verdict = verdicts.judge(run)
        assert verdict["verdict"] == "error"
        assert "is not the one that verdict.json names" in diagnosis.sentence(verdict)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["seed-0/predictions.npz", "metrics.csv", "gate-quality.json"])
def test_a_remark_where_no_gate_rests_on_it(tmp_path: Path, name: str) -> None:
    """The verdict stands, and everything that says it names what is missing (fault 51)."""
    run = a_run(tmp_path / "artifacts")
    (run / name).unlink()
    verdict = verdicts.judge(run)
    assert verdict["verdict"] == "pass"
    assert verdict["remarks"] == [f"not as it was computed: {name}: missing"]
    assert f"not as it was computed: {name}: missing" in (run / "summary.md").read_text().replace("\\", "")


def test_a_killed_run_is_an_error(tmp_path: Path) -> None:
    """Without a seal nobody knows whether it ended."""
    run = a_run(tmp_path / "artifacts")
    (run / "manifest.json").unlink()
    verdict = verdicts.judge(run)
    assert verdict["verdict"] == "error"
    assert "the run did not end" in diagnosis.sentence(verdict)


def test_a_renamed_run_that_is_damaged_has_a_verdict_of_its_own(tmp_path: Path) -> None:
    """The verdict that it cannot be judged bears the run's id, not its folder's name."""
    run = a_run(tmp_path / "artifacts")
    moved = RunDirectory(run.path.rename(tmp_path / "artifacts/runs/renamed"))
    (moved / "config.toml").write_text("")
    assert verdicts.judge(moved.path)["verdict"] == "error"
    found = moved.read_verdict()
    assert found is not None
    assert found["run_id"] == run.path.name


@pytest.mark.thorough
def test_a_pipe_in_a_twins_place_holds_nobody_up(tmp_path: Path) -> None:
    """What is no regular file is told, and not read."""
    run = a_run(tmp_path / "artifacts")
    verdicts.judge(run)
    (run / "junit.xml").unlink()
    os.mkfifo(run / "junit.xml")
    assert [str(one) for one in RunDirectory.open(run.path).amiss()] == ["junit.xml: is not as it was judged"]
    assert verdicts.judge(run)["verdict"] == "pass"


# what stands while it is judged


@pytest.mark.thorough
def test_until_there_is_a_verdict_it_says_that_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ends the judging, yesterday's green is gone, and the tests of one's own are not forgotten."""
    run, folder = with_checks(tmp_path)
    verdicts.judge(run, checks=[folder])
    run.write_text("report.html", "PASS")
    seen: list[dict[str, Any] | None] = []

    def killed(*_: object, **__: object) -> None:
        seen.append(run.read_verdict())
        raise KeyboardInterrupt

    monkeypatch.setattr(suite_runner, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        verdicts.judge(run)
    for verdict in (*seen, run.read_verdict()):
        assert verdict is not None
        assert verdict["verdict"] == "interrupted"
        assert outcomes(verdict)["own.x"] == "pass"
    assert "INTERRUPTED" in (run / "summary.md").read_text()
    assert not (run / "report.html").exists()
    monkeypatch.undo()
    assert outcomes(verdicts.judge(run))["own.x"] == "pass"


@pytest.mark.thorough
def test_a_latest_that_cannot_be_moved_is_a_remark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may be judged where the folder of the runs is somebody else's: the verdict stands."""

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    run = a_run(tmp_path / "artifacts")
    monkeypatch.setattr(RunDirectory, "link_latest", refuse)
    verdict = verdicts.judge(run)
    assert verdict["verdict"] == "pass"
    assert verdict["remarks"] == ["latest does not name this run: [Errno 13] Permission denied"]


def test_a_run_that_broke_off_says_so_while_it_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between its end and its verdict, the run still tells why it broke off."""
    run = a_run(tmp_path / "artifacts")
    run.write_json(
        "failure.json", {"stage": "training", "kind": "RunError", "message": "no disk", "trace": None}
    )
    sealed_anew(run)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(suite_runner, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        verdicts.judge(run)
    verdict = run.read_verdict()
    assert verdict is not None
    assert (verdict["verdict"], verdict["failure"]["message"]) == ("error", "no disk")


@pytest.mark.thorough
def test_a_judgement_that_fails_leaves_an_error(tmp_path: Path, suite: Path) -> None:
    """A suite that cannot start raises, and the run says error, not what it said before."""
    run = a_run(tmp_path / "artifacts")
    verdicts.judge(run)
    (suite / "conftest.py").write_text("raise RuntimeError('broken set-up')")
    with pytest.raises(RunError, match="broken set-up"):
        verdicts.judge(run, suite=suite)
    verdict = run.read_verdict()
    assert verdict is not None
    assert (verdict["verdict"], verdict["failure"]["stage"]) == ("error", "judging")


@pytest.mark.thorough
def test_eight_judges_at_once_leave_one_verdict_whole(tmp_path: Path) -> None:
    """Judged eight times at once, in two ways, the run has one of both verdicts, and its own twins (56)."""
    run = a_run(tmp_path / "artifacts", {"agreement": 0.61})
    command = [sys.executable, "-m", "harness", "judge", str(run.path), "--quiet"]
    running = [
        subprocess.Popen([*command, *["--strict"] * (number % 2)], stdout=subprocess.PIPE, cwd=tmp_path)
        for number in range(8)
    ]
    ends = {number: process.communicate() and process.returncode for number, process in enumerate(running)}
    assert ends == {number: number % 2 for number in range(8)}
    verdict = RunDirectory.open(run.path).read_verdict()
    assert verdict is not None
    assert verdict["verdict"] == ("fail" if verdict["strict"] else "pass")
    assert RunDirectory.open(run.path).amiss() == []
    failures = ElementTree.parse(run / "junit.xml").getroot()[0].get("failures")
    assert (failures != "0") == verdict["strict"]
    assert not [path for path in run.path.iterdir() if path.name.startswith(".")]
    assert (run.path.parent.parent / "latest").resolve() == run.path.resolve()


def test_a_test_of_an_earlier_judgement_that_is_gone_is_an_error() -> None:
    """It keeps its id, title, place and say, and tells pytest's last words."""
    known = one_of("x.x", "pass", gate=False)
    lost = verdicts._lost(known, "much\nmore\n1 passed\n")
    assert (lost.id, lost.title, lost.measurement, lost.gate) == ("x.x", "x.x", "x.py::x", False)
    assert lost.verdict == "error"
    assert lost.why == "x.x: x.py::x judged this run before, and is gone (pytest: 1 passed)"
    assert "it printed nothing" in verdicts._lost(known, "").why


def test_a_looser_rule_is_told_in_sentence_and_summary(tmp_path: Path) -> None:
    """A threshold looser than the shipped one stands in verdict.json, sentence and summary (fault 15)."""
    config = {"criteria": [{"id": "accuracy", "threshold": 0.5}], "selection": {"confidence": 0.7}}
    run = a_run(tmp_path / "artifacts", config=config)
    verdict = verdicts.judge(run)
    assert verdict["announcements"] == [
        "accuracy: looser than shipped: >= 0.5, not >= 0.75",
        "selection.confidence: looser than shipped: 0.7, not 0.8",
    ]
    gates = sum(one.gate for one in verdict["criteria"])
    loose = "(looser than shipped: accuracy, selection.confidence)"
    assert diagnosis.sentence(verdict) == f"PASS on blobs: all {gates} gates hold {loose}"
    assert json.loads((run / "verdict.json").read_text())["announcements"] == verdict["announcements"]
    summary = (run / "summary.md").read_text()
    assert loose in summary
    assert "> **accuracy: looser than shipped: &gt;= 0.5, not &gt;= 0.75**" in summary


@pytest.mark.thorough
def test_the_shipped_rules_announce_nothing(tmp_path: Path) -> None:
    """A run by the shipped criteria says nothing of looser ones."""
    verdict = verdicts.judge(a_run(tmp_path / "artifacts"))
    assert verdict["announcements"] == []
    assert "looser" not in diagnosis.sentence(verdict)


def test_strict_of_two_seeds_is_refused_in_words(tmp_path: Path) -> None:
    """Two seeds give the recipe no interval: that is said before anything is judged."""
    run = a_run(tmp_path / "artifacts", config={"seeds": [0, 1]})
    with pytest.raises(
        ConfigurationError, match=r"two seeds of .* give none for the recipe: judge without it"
    ):
        verdicts.judge(run, strict=True)
    assert run.read_verdict() is None
    assert verdicts.judge(run)["verdict"] == "pass"


def test_a_run_of_dead_units_fails_and_says_so(tmp_path: Path) -> None:
    """With all units dead the run is a fail, no error, and the sparsity's sentence says why (fault 19)."""
    dead = {"sparsity": 0.0, "accuracy": 0.1, "dead_units": 1024.0, "agreement": None, "selection": None}
    verdict = verdicts.judge(a_run(tmp_path / "artifacts", dead))
    rows = {one.id: one for one in verdict["criteria"]}
    assert verdict["verdict"] == "fail"
    assert rows["sparsity"].why.endswith("; all 1024 units are dead")
    assert rows["agreement"].verdict == "fail"
    assert "all 1024 units are dead" in diagnosis.sentence(verdict)


def test_a_number_that_is_not_finite_is_an_error_of_the_run(tmp_path: Path) -> None:
    """NaN is stored as null with a reason, and judged an error, never compared (fault 18)."""
    run = a_run(tmp_path / "artifacts", {"accuracy": float("nan"), "agreement": 0.1})
    verdict = verdicts.judge(run)
    assert outcomes(verdict)["accuracy"] == "error"
    assert verdict["verdict"] == "error"
    assert "not finite (nan)" in diagnosis.sentence(verdict)


def test_what_a_run_could_have_told_apart_stands_in_every_output(tmp_path: Path) -> None:
    """The detectable difference is in verdict.json, junit.xml and the summary's table."""
    run = a_run(tmp_path / "artifacts")
    verdict = verdicts.judge(run)
    known = {one.id: one.minimum_detectable_difference for one in verdict["criteria"]}
    assert known["accuracy"] == pytest.approx(0.02 + 0.00841621, rel=1e-5)
    written = json.loads((run / "verdict.json").read_text())["criteria"]
    assert {row["id"]: row["minimum_detectable_difference"] for row in written} == known
    cases = ElementTree.parse(run / "junit.xml").iter("testcase")
    rows = [{one.get("name"): one.get("value") for one in case.iter("property")} for case in cases]
    assert {row["criterion"]: float(str(row["minimum_detectable_difference"])) for row in rows} == known
    assert "| 0.02842 |" in (run / "summary.md").read_text()


@pytest.mark.thorough
def test_a_model_without_a_decoder_is_not_told_that_it_lacks_the_decoders_method(tmp_path: Path) -> None:
    """What a run's model could be asked for stands in its record, and says which methods are missed."""
    run = a_run(tmp_path, config={"attribution": {"methods": ["gradients", "smoothgrad"]}})
    (told,) = verdicts.judge(run)["announcements"]
    assert told.startswith("attribution.methods: looser than shipped: without decoder_weighted")
    bare = a_run(tmp_path / "bare", config={"attribution": {"methods": ["gradients", "smoothgrad"]}})
    bare.write_json("model.json", ModelRecord(capabilities=("gradient", "rows")).model_dump(mode="json"))
    assert verdicts.judge(sealed_anew(bare))["announcements"] == []
