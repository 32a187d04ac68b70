"""junit.xml, and that it says what every other statement of a verdict says."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.artifacts.directories import RunDirectory
from harness.ci import github
from harness.ci.junit import junit
from harness.ci.summaries import ICONS
from harness.config.parameters import shipped_criteria
from harness.criteria.diagnosis import sentence
from harness.criteria.rows import Case, own_verdict
from harness.judging import verdicts
from tests.written import a_run, an_estimate, judged_by_its_checks

EACH = """
import pytest

def test_holds(): ...
def test_fails(): assert False, "no"
def test_crashes(): 1 / 0
def test_set_up_crashes(broken): ...
@pytest.fixture
def broken(): raise OSError
@pytest.fixture
def leaking():
    yield
    raise OSError
def test_tear_down_crashes(leaking): ...
@pytest.mark.skip
def test_skipped(): ...
@pytest.mark.xfail
def test_expected_to_fail(): assert False
@pytest.mark.xfail
def test_expected_to_fail_and_holds(): ...
def test_deselected(): ...
@pytest.mark.parametrize("relation", ["<=", ">="])
def test_alike(relation): assert relation == "<="
@pytest.mark.criterion("nowhere")
def test_of_nothing(): ...
@pytest.mark.watch
def test_watched_holds(): ...
@pytest.mark.watch
def test_watched_fails(): assert False
@pytest.mark.watch
def test_watched_crashes(): 1 / 0
@pytest.mark.watch
def test_watched_deselected(): ...
"""
"""Tests that end in every way."""

DESELECTING = """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "deselected" not in item.name]
"""
MARGINAL = an_estimate("accuracy", 0.76, low=0.74, high=0.78)
UNGATED = [{"id": one.id, "gate": False} for one in shipped_criteria(50)]


def folder_of(path: Path, **files: str) -> str:
    """A folder of Python files."""
    path.mkdir()
    for name, text in files.items():
        (path / f"{name}.py").write_text(text)
    return str(path)


def of_numbers(tmp_path: Path, **numbers: float | None) -> RunDirectory:
    return a_run(tmp_path / "artifacts", numbers, estimates=(MARGINAL,))


def of_tests(tmp_path: Path) -> RunDirectory:
    """A run judged by the tests of `EACH`, beside files that cannot be collected."""
    broken = {"test_broken": "this is no Python", "test_skips": "import pytest\npytest.importorskip('zzz')"}
    own = folder_of(tmp_path / "mine", test_each=EACH, conftest=DESELECTING, **broken)
    return a_run(tmp_path / "artifacts", config={"checks": [own]})


def with_a_lost_test(tmp_path: Path, mark: str = "") -> RunDirectory:
    text = f"import pytest\ndef test_a(): ...\n{mark}\ndef test_b(): ...\n"
    own = folder_of(tmp_path / "mine", test_x=text)
    run = a_run(tmp_path / "artifacts", config={"checks": [own]})
    judged_by_its_checks(run)
    (Path(own) / "test_x.py").write_text("def test_a(): ...\n")
    return run


def with_a_failure(tmp_path: Path, kind: str, early: bool = False) -> RunDirectory:
    run = a_run(tmp_path / "artifacts")
    message = "nan \x1b[31m\x00 <b>]]>"
    run.write_json(
        "failure.json", {"stage": "training", "kind": kind, "message": message, "trace": "T\x01\nU"}
    )
    if early:
        (run / "estimates.json").unlink()
    return run


KINDS: dict[str, Any] = {
    "pass, marginal": (0, of_numbers),
    "fail": (1, lambda path: of_numbers(path, agreement=0.1)),
    "no number": (3, lambda path: of_numbers(path, agreement=None)),
    "fail and error": (3, lambda path: of_numbers(path, agreement=None, selection=0.1)),
    "watched red": (0, lambda path: of_numbers(path, dead_units=None, agreement_above_controls=-1.0)),
    "every end of a test": (3, of_tests),
    "lost": (3, with_a_lost_test),
    "watched lost": (0, lambda path: with_a_lost_test(path, "@pytest.mark.watch")),
    "broken off": (3, lambda path: with_a_failure(path, "TrainingDiverged")),
    "broken off early": (3, lambda path: with_a_failure(path, "TrainingDiverged", early=True)),
    "interrupted": (3, lambda path: with_a_failure(path, "interrupted")),
    "folder empty": (3, lambda path: a_run(path / "a", config={"checks": [folder_of(path / "mine")]})),
    "folder gone": (3, lambda path: a_run(path / "a", config={"checks": [str(path / "gone")]})),
    "no gate": (3, lambda path: a_run(path / "a", config={"criteria": UNGATED})),
}


@pytest.mark.thorough
@pytest.mark.parametrize(("code", "made"), KINDS.values(), ids=KINDS)
def test_all_statements_of_a_verdict_are_one(tmp_path: Path, code: int, made: Any) -> None:
    """Rows and counts of verdict.json, junit.xml, summary and annotations, and the exit code, agree."""
    run = made(tmp_path)
    verdict = judged_by_its_checks(run)
    written = json.loads((run / "verdict.json").read_text())
    gates = {row["id"]: row["verdict"] for row in written["criteria"] if row["gate"]}
    watched = {row["id"]: row["verdict"] for row in written["criteria"] if not row["gate"]}
    red = Counter(word for word in gates.values() if word != "pass")
    whole = bool(written["failure"]) or not gates  # what no gate's row says
    assert verdicts.EXIT_CODES[written["verdict"]] == code
    assert bool(red) or whole == bool(code)

    suite = ElementTree.parse(run / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    said = {str(property_of(case, "criterion")): case for case in cases if property_of(case, "criterion")}
    assert {name: ended(case) for name, case in said.items()} == gates | dict.fromkeys(watched, "pass")
    assert {name: property_of(case, "verdict") for name, case in said.items()} == gates | watched
    for name, word in watched.items():
        assert ("watched without a say" in (said[name].findtext("system-out") or "")) == (word != "pass")
    assert Counter(ended(case) for case in cases if ended(case) != "pass") == red + Counter(error=whole)
    counted = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    assert counted == {
        "tests": len(written["criteria"]) + whole,
        "failures": red["fail"],
        "errors": red["error"] + whole,
        "skipped": 0,
    }

    summary = (run / "summary.md").read_text()
    assert summary.startswith(f"## {ICONS[written['verdict']]} {written['verdict'].upper()}")
    first, _, second = summary.partition("<details>")
    assert words_of(first) == Counter(gates.values())
    assert words_of(second) == Counter(watched.values())

    lines = github.commands(verdict, sentence(verdict))
    errors = [line for line in lines if line.startswith("::error ")]
    warnings = [line for line in lines if line.startswith("::warning ")]
    if whole:
        assert len(errors) == 1
    else:
        told = {name: word for name, word in gates.items() if word != "pass"}
        assert_told(errors, [f"{name}%3A {word}" for name, word in told.items()])
        marginal = [row["id"] for row in written["criteria"] if row["gate"] and row["marginal"]]
        told = {name: word for name, word in watched.items() if word != "pass"}
        seen = [f"{name}%3A {word}%2C watched without a say" for name, word in told.items()]
        loud = [f"{name}%3A marginal" for name in marginal if gates[name] == "pass"]
        assert_told(warnings, loud + seen)
    assert bool(errors) == bool(code) == bool(counted["failures"] + counted["errors"])


def property_of(case: ElementTree.Element, name: str) -> str | None:
    found = case.find(f"properties/property[@name='{name}']")
    return None if found is None else found.get("value")


def ended(case: ElementTree.Element) -> str:
    """How JUnit says that a test case ended."""
    kinds = [one.tag for one in case if one.tag in ("failure", "error", "skipped")]
    return {"": "pass", "failure": "fail"}.get("".join(kinds), "".join(kinds))


def words_of(table: str) -> Counter[str]:
    """The outcomes in the rows of a summary's table."""
    return Counter(re.findall(r"^\|.*\| (?:✅|❌|🟣) \**(pass|fail|error)\b", table, re.MULTILINE))


def assert_told(lines: list[str], titles: list[str]) -> None:
    """Each title is a line's, in order; past the most that are shown the last line has the others."""
    shown = titles if len(titles) <= github.MOST else titles[: github.MOST - 1]
    assert [line.partition("title=")[2].partition("::")[0] for line in lines[: len(shown)]] == shown
    assert len(lines) == min(len(titles), github.MOST)


@pytest.mark.thorough
def test_every_end_of_a_test_is_among_the_kinds(tmp_path: Path) -> None:
    """The folder that stands for all of them holds each outcome, of gates and of what is watched."""
    verdict = judged_by_its_checks(of_tests(tmp_path))
    own = {row.id: row for row in verdict["criteria"] if row.relation == "holds"}
    assert {row.verdict for row in own.values() if row.gate} == {"pass", "fail", "error"}
    assert {row.verdict for row in own.values() if not row.gate} == {"pass", "fail", "error"}
    assert {"broken", "skips", "nowhere", "each.deselected", "each.watched_deselected"} <= set(own)
    assert sum(name.startswith("each.alike-") for name in own) == 2


def values(*rows: Any, **changed: Any) -> dict[str, Any]:
    """What `verdict.json` holds of that which junit.xml shows."""
    return {"verdict": "pass", "failure": None, "criteria": list(rows)} | changed


def test_a_red_case_has_the_sentence_and_what_pytest_says() -> None:
    """The message is the row's sentence; the text is the test's, or the sentence where there is none."""
    row = own_verdict("x.a", "x.a", "x.py::a", "fail", "x.a: no")
    cases = {"x.a": Case("test_x.Test", "test_a[1]", 0.1234, "E assert 1 == 2")}
    for known, text in ((cases, "E assert 1 == 2"), ({}, "x.a: no")):
        case = ElementTree.fromstring(junit(values(row, verdict="fail"), known))[0][0]
        (failure,) = case.iter("failure")
        assert (failure.get("message"), failure.text) == ("x.a: no", text)
        named = ("test_x.Test", "test_a[1]", "0.123") if known else ("harness", "x.a", "0.000")
        assert (case.get("classname"), case.get("name"), case.get("time")) == named


def test_foreign_text_is_legal_xml() -> None:
    """Control characters, surrogates, and what ends a section, wherever a test may bring them (fault 45)."""
    foreign = "".join(map(chr, range(160))) + "\udcff\ufffe\uffff]]><&\"'\x1b[31m"
    rows = [
        own_verdict(foreign, foreign, foreign, outcome, foreign, gate)
        for outcome in ("fail", "error")
        for gate in (True, False)
    ]
    case = Case(foreign, foreign, 0.0, foreign)
    failure = {"stage": foreign, "message": foreign, "kind": "x", "trace": foreign}
    text = junit(values(*rows, verdict="error", failure=failure), {foreign: case})
    root = ElementTree.fromstring(text.encode())
    assert len(list(root.iter("testcase"))) == 5
    assert "\x1b" not in text
