"""A verdict as junit.xml, for a CI's test tab: the same rows, the same outcomes, the same counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from harness.criteria.rows import Case, properties
from harness.records import Verdict
from harness.text import clean

LONGEST = 10_000


def junit(verdict: Mapping[str, Any], cases: Mapping[str, Case]) -> str:
    """The verdict in JUnit's XML, as pytest's family `xunit1` has it: a test case a row.

    A red gate is a failure or an error. A criterion that is only watched has no say here either: its word
    stands among the properties and in what was printed. A run that broke off, and a verdict that is not a
    pass without a red gate, are an error in a test case of their own.

    Args:
        verdict: What stands in `verdict.json`, the criteria as records.
        cases: The test that gave each row, by its id; a row without one is under the harness's name.
    """
    rows: list[Verdict] = verdict["criteria"]
    found = [_case(row, cases.get(row.id, Case("harness", row.id))) for row in rows]
    if verdict["failure"] or (verdict["verdict"] != "pass" and not any(_red(row) for row in rows)):
        found.append(_of_run(verdict))
    suite = ElementTree.Element("testsuite", name="harness", tests=str(len(found)), skipped="0")
    suite.extend(found)
    for count, kind in (("failures", "failure"), ("errors", "error")):
        suite.set(count, str(sum(one.find(kind) is not None for one in found)))
    suite.set("time", f"{sum(float(one.get('time', 0)) for one in found):.3f}")
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    text = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _red(row: Verdict) -> bool:
    return row.gate and not row.holds


def _case(row: Verdict, case: Case) -> ElementTree.Element:
    """The test case of a row."""
    found = _named(case)
    listed = ElementTree.SubElement(found, "properties")
    for name, value in properties(row):
        ElementTree.SubElement(listed, "property", name=name, value=clean(value, LONGEST))
    if _red(row):
        _end(found, "failure" if row.verdict == "fail" else "error", row.why, case.text)
    elif not row.holds:
        said = f"{row.verdict}, watched without a say: {row.why}\n{case.text}".strip()
        ElementTree.SubElement(found, "system-out").text = clean(said, LONGEST)
    elif row.marginal:
        said = f"marginal: {row.why}; the interval straddles the threshold"
        ElementTree.SubElement(found, "system-out").text = clean(said, LONGEST)
    return found


def _of_run(verdict: Mapping[str, Any]) -> ElementTree.Element:
    """The test case of a run that no gate's row makes red."""
    found, failure = _named(Case("harness", "the run")), verdict["failure"]
    if failure:
        why = f"the run broke off in stage {failure['stage']}: {failure['message']}"
        _end(found, "error", why, failure.get("trace") or "")
    else:
        _end(found, "error", f"{verdict['verdict']}: nothing was judged", "")
    return found


def _named(case: Case) -> ElementTree.Element:
    return ElementTree.Element(
        "testcase",
        classname=clean(case.classname, 1000),
        name=clean(case.name, 1000),
        time=f"{case.seconds:.3f}",
    )


def _end(found: ElementTree.Element, kind: str, why: str, text: str) -> None:
    """How a test case ended that is red."""
    end = ElementTree.SubElement(found, kind, message=clean(why, LONGEST))
    end.text = clean(text or why, LONGEST)
