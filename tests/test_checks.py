"""Tests of one's own beside the shipped criteria: what each outcome becomes, and that none is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import shipped
from harness.checks import ended
from harness.criteria.rows import own_verdict
from harness.judging import verdicts
from harness.records import Verdict
from tests.written import a_run, judged_by_its_checks

OUTCOMES = '''
import pytest

def test_it_holds(run, estimates, criterion_of_mine):
    """The accuracy is a share.

    A second paragraph is not the title."""
    assert 0 < estimates["accuracy"].estimate <= 1
    assert run.classes == ("shirt", "boot", "bag")

@pytest.fixture
def criterion_of_mine():
    return 1

def test_of_an_estimate_that_is_not_there(estimates):
    assert estimates["acuracy"].estimate > 0

def test_of_numpys_numbers(run):
    """A number of numpy's."""
    import numpy as np
    assert np.float64(0.25) > 0.5

def test_it_fails():
    """The moon is made of cheese."""
    assert 1 == 2, "one is not two"

def test_it_refuses():
    pytest.fail("by its own words")

def test_it_crashes():
    1 / 0

def test_its_setup_asserts(broken): ...

@pytest.fixture
def broken():
    assert False

def test_its_teardown_crashes(leaking): ...

@pytest.fixture
def leaking():
    yield
    raise OSError("a leak")

@pytest.mark.skip
def test_it_is_skipped(): ...

def test_it_skips_itself():
    pytest.skip("not today")

@pytest.mark.xfail
def test_it_is_expected_to_fail():
    assert False

@pytest.mark.xfail
def test_it_is_expected_to_fail_and_holds(): ...

@pytest.mark.watch
def test_it_is_watched():
    assert False

@pytest.mark.parametrize("word", ["A b", "ü"])
def test_each(word): ...

class TestGroup:
    def test_inside(self): ...

def test_criterion_without_its_mark(criterion): ...

@pytest.mark.criterion("agreement")
def test_more_is_asked_of_agreement(criterion):
    assert criterion.n > 1000, "too few images"

@pytest.mark.criterion("accuracy")
def test_accuracy_is_claimed_without_being_asked(): ...

@pytest.mark.criterion("reconstruction")
def test_reconstruction_crashes(criterion):
    raise KeyError("x")

@pytest.mark.criterion("nowhere")
def test_of_nothing(): ...
'''

EXPECTED = {
    "mine.it_holds": "pass",
    "mine.of_an_estimate_that_is_not_there": "error",
    "mine.of_numpys_numbers": "fail",
    "mine.it_fails": "fail",
    "mine.it_refuses": "fail",
    "mine.it_crashes": "error",
    "mine.its_setup_asserts": "error",
    "mine.its_teardown_crashes": "error",
    "mine.it_is_skipped": "error",
    "mine.it_skips_itself": "error",
    "mine.it_is_expected_to_fail": "error",
    "mine.it_is_expected_to_fail_and_holds": "error",
    "mine.it_is_watched": "fail",
    "mine.each_a_b": "pass",
    "mine.each_xfc": "pass",
    "mine.group.inside": "pass",
    "mine.criterion_without_its_mark": "error",
    "nowhere": "error",
}
"""What each test of one's own comes to."""

CRITERIA = {"agreement": "fail", "accuracy": "pass", "reconstruction": "error", "selection": "pass"}


def folder_of(path: Path, **files: str) -> Path:
    """A folder of test files."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / f"{name}.py").write_text(text, encoding="utf-8")
    return path


def outcomes(verdict: dict[str, Any]) -> dict[str, str]:
    return {one.id: one.verdict for one in verdict["criteria"]}


def rows(verdict: dict[str, Any]) -> dict[str, Verdict]:
    return {one.id: one for one in verdict["criteria"]}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, dict[str, Any]]:
    """A run judged by every kind of test of one's own."""
    folder = tmp_path_factory.mktemp("checks")
    own = folder_of(folder / "mine", test_mine=OUTCOMES)
    run = a_run(folder / "artifacts", config={"checks": [str(own)]})
    return run, judged_by_its_checks(run)


def test_each_outcome_of_a_test_becomes_its_verdict(judged: tuple[RunDirectory, dict[str, Any]]) -> None:
    """A pass holds, an assertion fails, and whatever did not run to its end is an error, never a pass."""
    found = outcomes(judged[1])
    assert {name: found[name] for name in EXPECTED} == EXPECTED
    assert {name: found[name] for name in CRITERIA} == CRITERIA
    assert judged[1]["verdict"] == "error"


def test_a_test_of_ones_own_bears_its_claim(judged: tuple[RunDirectory, dict[str, Any]]) -> None:
    """Its title is its docstring's first line, its place the file and test, and it has no number."""
    holds, fails = (rows(judged[1])[name] for name in ("mine.it_holds", "mine.it_fails"))
    assert holds.title == "The accuracy is a share"
    assert holds.measurement == "test_mine.py::test_it_holds"
    assert (holds.estimate, holds.threshold, holds.relation, holds.gate) == (None, None, "holds", True)
    assert fails.why == "The moon is made of cheese: one is not two"
    assert rows(judged[1])["mine.of_numpys_numbers"].why == "A number of numpy's: assert 0.25 > 0.5"
    assert not rows(judged[1])["mine.it_is_watched"].gate


def test_an_error_of_a_test_says_what_happened(judged: tuple[RunDirectory, dict[str, Any]]) -> None:
    """A crash names its exception, a skip itself, and an unknown criterion its id."""
    found = rows(judged[1])
    assert "ZeroDivisionError" in found["mine.it_crashes"].why
    assert "did you mean 'accuracy'?" in found["mine.of_an_estimate_that_is_not_there"].why
    assert "a leak" in found["mine.its_teardown_crashes"].why
    assert "skipped" in found["mine.it_skips_itself"].why
    assert "declares no such criterion" in found["nowhere"].why
    assert "@pytest.mark.criterion(id)" in found["mine.criterion_without_its_mark"].why
    assert "KeyError" in found["reconstruction"].why


def test_of_several_tests_of_a_criterion_the_worst_decides(
    judged: tuple[RunDirectory, dict[str, Any]],
) -> None:
    """The shipped test of a criterion holds, one's own does not: the criterion fails, with its number."""
    agreement = rows(judged[1])["agreement"]
    assert (agreement.verdict, agreement.estimate, agreement.threshold) == ("fail", 0.7, 0.6)
    assert "too few images" in agreement.why


def test_tests_of_ones_own_stand_in_every_output(judged: tuple[RunDirectory, dict[str, Any]]) -> None:
    """verdict.json, junit.xml and summary.md hold the same verdicts of them."""
    run, verdict = judged
    written = {
        row["id"]: row["verdict"] for row in json.loads((run / "verdict.json").read_text())["criteria"]
    }
    assert written == outcomes(verdict)
    junit = {}
    for case in ElementTree.parse(run / "junit.xml").iter("testcase"):
        found = {one.get("name"): one.get("value") for one in case.iter("property")}
        junit[(found["criterion"], case.get("name"))] = found
    for name, outcome in EXPECTED.items():
        (twin,) = (row for (one, _), row in junit.items() if one == name)
        assert twin["verdict"] == outcome
    assert "The moon is made of cheese" in (run / "summary.md").read_text()


@pytest.mark.thorough
def test_a_broken_file_is_an_error_and_takes_no_other_test_with_it(tmp_path: Path) -> None:
    """Files that are no Python, skip as a whole or bear an unknown mark err by name; the rest is judged."""
    own = folder_of(
        tmp_path / "mine",
        test_syntax="this is no Python",
        test_skipping="import pytest\npytest.skip('all', allow_module_level=True)\n",
        test_marked="import pytest\n@pytest.mark.unheard_of\ndef test_it(): ...\n",
        test_good="def test_it(): ...\n",
    )
    verdict = judged_by_its_checks(a_run(tmp_path / "artifacts", config={"checks": [str(own)]}))
    found = outcomes(verdict)
    assert {name: found[name] for name in ("syntax", "skipping", "marked", "good.it")} == {
        "syntax": "error",
        "skipping": "error",
        "marked": "error",
        "good.it": "pass",
    }
    assert found["accuracy"] == "pass"
    assert verdict["verdict"] == "error"


@pytest.mark.thorough
def test_a_folder_without_tests_or_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """Nothing collected is nothing judged, whether the folder is empty or not there (fault 49)."""
    folder_of(tmp_path / "Empty One", helper="def test_hidden(): ...\n")
    folders = [str(tmp_path / "Empty One"), str(tmp_path / "gone")]
    verdict = judged_by_its_checks(a_run(tmp_path / "artifacts", config={"checks": folders}))
    found = rows(verdict)
    assert "no test was collected" in found["empty_one"].why
    assert "no such folder" in found["gone"].why
    assert verdict["verdict"] == "error"


@pytest.mark.thorough
def test_tests_that_are_deselected_or_share_an_id_are_errors(tmp_path: Path) -> None:
    """A conftest drops no verdict, of its folder or another; of two tests of one id none hides (fault 49)."""
    conftest = (
        "def pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if 'kept' in i.name]\n"
    )
    one = folder_of(tmp_path / "a", conftest=conftest, test_x="def test_kept(): ...\ndef test_lost(): ...\n")
    two = folder_of(tmp_path / "b", test_x="def test_kept(): ...\n")
    verdict = judged_by_its_checks(a_run(tmp_path / "artifacts", config={"checks": [str(one), str(two)]}))
    found = rows(verdict)
    assert found["x.lost"].why == "x.lost: its test did not run"
    assert "two tests bear the id 'x.kept'" in found["x.kept"].why
    assert found["accuracy"].verdict == "pass"
    assert verdict["verdict"] == "error"


@pytest.mark.thorough
def test_tests_of_two_folders_that_are_named_alike_do_not_hide_each_other(tmp_path: Path) -> None:
    """A failure stands, whatever a test of the same file name in another folder says (fault 49)."""
    asserting = (
        "import pytest\n"
        "@pytest.mark.criterion('accuracy')\n"
        "def test_enough(criterion):\n"
        "    assert {}, 'few'\n"
    )
    folders = [
        str(folder_of(tmp_path / name, test_enough=asserting.format(holds)))
        for name, holds in (("a", False), ("b", True))
    ]
    for order in (folders, folders[::-1]):
        verdict = judged_by_its_checks(a_run(tmp_path / order[0][-1] / "artifacts", config={"checks": order}))
        assert rows(verdict)["accuracy"].verdict == "fail"
        assert verdict["verdict"] == "fail"


@pytest.mark.thorough
def test_a_test_that_is_gone_at_the_second_judgement_is_an_error(tmp_path: Path) -> None:
    """The first judgement's tests are the manifest of those after it (fault 49)."""
    own = folder_of(tmp_path / "mine", test_x="def test_a(): ...\ndef test_b(): ...\n")
    run = a_run(tmp_path / "artifacts", config={"checks": [str(own)]})
    assert judged_by_its_checks(run)["verdict"] == "pass"
    (own / "test_x.py").write_text("def test_a(): ...\n")
    for _ in range(2):
        verdict = judged_by_its_checks(run)
        assert outcomes(verdict)["x.b"] == "error"
        assert "judged this run before, and is gone" in rows(verdict)["x.b"].why
    assert outcomes(verdict)["x.a"] == "pass"
    (own / "test_x.py").write_text("def test_a(): ...\ndef test_b(): ...\n")
    assert judged_by_its_checks(run)["verdict"] == "pass"


@pytest.mark.thorough
def test_a_test_whose_id_another_came_to_share_is_not_gone(tmp_path: Path) -> None:
    """Its id changes, its place does not; one of them that goes after is missed under its own id."""
    own = folder_of(tmp_path / "mine", test_x="def test_a(): ...\n")
    run = a_run(tmp_path / "artifacts", config={"checks": [str(own)]})
    judged_by_its_checks(run)
    folder_of(own, test_x="def test_a(): ...\ndef test_A(): ...\n")
    verdict = judged_by_its_checks(run)
    assert verdict["verdict"] == "pass"
    (second,) = (one.id for one in verdict["criteria"] if one.measurement == "test_x.py::test_A")
    assert second.startswith("x.a-")
    folder_of(own, test_x="def test_a(): ...\n")
    assert {
        name: word for name, word in outcomes(judged_by_its_checks(run)).items() if name.startswith("x.")
    } == {
        "x.a": "pass",
        second: "error",
    }


@pytest.mark.thorough
def test_the_plugin_serves_a_folder_alone(tmp_path: Path) -> None:
    """`pytest -p harness.checks FOLDER --run RUN` judges without the shipped suite."""
    own = folder_of(
        tmp_path / "mine",
        test_x="import pytest\n@pytest.mark.criterion('accuracy')\n"
        "def test_it(criterion, estimates):\n    assert criterion.accepted and 'accuracy' in estimates\n",
    )
    run = a_run(tmp_path / "artifacts")
    command = [sys.executable, "-m", "pytest", "-p", "harness.checks", str(own), "--run", str(run.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=own)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.thorough
def test_the_shipped_suite_is_whole_without_its_surroundings(tmp_path: Path) -> None:
    """A copy of `validation/` anywhere judges as the shipped one does: all it needs is the plugin."""
    suite = Path(shutil.copytree(shipped("validation"), tmp_path / "suite"))
    run = a_run(tmp_path / "artifacts")
    assert outcomes(verdicts.judge(run, suite=suite, checks=run.read_config().checks)) == outcomes(
        judged_by_its_checks(run)
    )


def a_phase(
    outcome: str, error: BaseException | None = None, when: str = "call", **more: Any
) -> tuple[Any, Any]:
    """What pytest reports of a test's phase, and the call that it was."""
    flags = {name: name == outcome for name in ("passed", "failed", "skipped")}
    told = None
    if error is not None:
        try:
            raise error
        except BaseException as raised:
            told = pytest.ExceptionInfo.from_exception(raised)
    return SimpleNamespace(**flags, longrepr="[XPASS(strict)]", **more), SimpleNamespace(
        when=when, excinfo=told
    )


PHASES = [
    # the verdict by the number, the phase, what becomes of it, and the words
    ("pass", a_phase("passed"), "pass", "why x"),
    ("fail", a_phase("passed"), "fail", "why x"),
    ("error", a_phase("passed"), "error", "why x"),
    ("pass", a_phase("failed", AssertionError("no\nassert 1 == 2")), "fail", "T: no"),
    ("pass", a_phase("failed", AssertionError()), "fail", "T: its test refuses, without a word"),
    ("pass", a_phase("failed", pytest.fail.Exception("never")), "fail", "T: never"),
    ("fail", a_phase("failed", AssertionError("no")), "fail", "why x"),
    ("error", a_phase("failed", AssertionError("no")), "error", "why x"),
    ("error", a_phase("failed", OSError("disk")), "error", "why x"),
    ("pass", a_phase("failed", OSError("disk")), "error", "x: its test crashed: OSError: disk"),
    ("fail", a_phase("failed", OSError("disk")), "error", "x: its test crashed: OSError: disk"),
    (
        "pass",
        a_phase("failed", AssertionError("no"), when="setup"),
        "error",
        "x: its test crashed: AssertionError: no",
    ),
    (
        "pass",
        a_phase("failed", AssertionError("no"), when="teardown"),
        "error",
        "x: its test crashed: AssertionError: no",
    ),
    ("pass", a_phase("failed"), "error", "x: its test crashed: [XPASS(strict)]"),
    ("pass", a_phase("skipped"), "error", "x: its test was skipped, or expected to fail"),
    (
        "fail",
        a_phase("skipped", pytest.skip.Exception("no")),
        "error",
        "x: its test was skipped, or expected to fail",
    ),
    ("pass", a_phase("passed", wasxfail="reason"), "error", "x: its test was skipped, or expected to fail"),
    (
        "pass",
        a_phase("failed", AssertionError("no"), wasxfail=""),
        "error",
        "x: its test was skipped, or expected to fail",
    ),
]


@pytest.mark.parametrize(("number", "phase", "outcome", "why"), PHASES)
def test_the_end_of_a_phase_only_makes_a_verdict_worse(
    number: Any, phase: tuple[Any, Any], outcome: str, why: str
) -> None:
    """A refusal of a verdict that holds is a fail, all else but a pass an error; none turns better."""
    after = ended(own_verdict("x", "T", "", number, "why x"), *phase)
    assert (after.verdict, after.why, after.id) == (outcome, why, "x")
