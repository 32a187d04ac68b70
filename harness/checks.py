"""The pytest plugin by which tests judge a run: its options, its fixtures, and a verdict on every test.

A test marked `criterion(id)` asserts a criterion of the run's configuration. Any other test is a gate of
its own, or watched where it is marked `watch`. Whatever was collected gets a verdict: a test that did not
run to its end is an error, never a pass.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.artifacts.directories import RunDirectory
from harness.artifacts.sealing import is_data
from harness.criteria import blame_dead_units, judge
from harness.criteria.rows import Case, changed, identify, own_verdict, properties
from harness.errors import HarnessError
from harness.records import Estimate, Verdict, joint
from harness.registry import suggestion
from harness.text import clean

if TYPE_CHECKING:
    from harness.runs import Run

MARKERS = (
    "criterion(id): the criterion of the run's configuration that the test asserts",
    "watched: judges every criterion of the configuration that no file beside it is named after",
    "watch: a test of one's own without a say in the verdict",
)

LONGEST = 10_000
"""Characters of what pytest says of a red test, for junit.xml."""

_NUMPYS = re.compile(r"\bnp\.(?:float|u?int)\d+\(([^()]*)\)|\bnp\.(?=(?:True|False)_)")
"""How numpy writes a scalar of its own where a plain number would do."""

REFUSALS = (AssertionError, pytest.fail.Exception)
"""By these a test says no; by anything else it crashes."""


class NotEvaluated(Exception):
    """The criterion could not be evaluated: an error of the set-up, which is neither pass nor fail."""


class _Known(dict[str, Estimate]):
    """Estimates by name; one that is not there is told with the name that is near."""

    def __missing__(self, name: str) -> Estimate:
        raise KeyError(f"{name}: the run has no such estimate; {suggestion(name, self)}")


class _Judged:
    """The run under judgement, and the verdicts so far, by the test's place."""

    def __init__(self, directory: RunDirectory, *, strict: bool) -> None:
        self.directory = directory
        self.settings = directory.read_config()
        self.estimates = joint(directory.read_estimates())
        broken = (directory / "failure.json").exists()
        self.failure = directory.read_json("failure.json")["message"] if broken else None
        self.strict = strict or self.settings.strict
        self.rows: dict[str, Verdict] = {}
        self.cases: dict[str, Case] = {}

    def declared(self, name: str) -> Verdict | None:
        """The verdict on a criterion by its number; None where the configuration declares no such one."""
        for criterion in self.settings.criteria:
            if criterion.id == name:
                verdict = judge(criterion, self.estimates.get(criterion.measurement), self.strict)
                if self.failure and verdict.verdict == "error":
                    return changed(verdict, "error", f"the run broke off: {self.failure}")
                return blame_dead_units(verdict, self.estimates, self.settings.model.code_width)
        return None


_VERDICT = pytest.StashKey[Verdict]()
_JUDGED = pytest.StashKey[_Judged]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which run is judged, how, and where the verdicts go."""
    group = parser.getgroup("harness")
    group.addoption("--run", default="artifacts/latest", help="run directory to judge")
    group.addoption("--strict-bounds", action="store_true", help="the interval's bound decides")
    group.addoption("--verdicts", help="write the verdicts to this JSON file")


def pytest_configure(config: pytest.Config) -> None:
    """Open the run once."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    path = config.invocation_params.dir / config.getoption("--run")
    try:
        directory = RunDirectory.open(path)
        config.stash[_JUDGED] = _Judged(directory, strict=config.getoption("--strict-bounds"))
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Runs and the cache, which may lie below a folder of tests, are data: nothing of them is run."""
    return True if collection_path.is_dir() and is_data(collection_path) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A `watched` test runs once for each criterion that no file beside it is named after."""
    if metafunc.definition.get_closest_marker("watched"):
        beside = metafunc.definition.path
        owned = {path.stem.removeprefix("test_") for path in beside.parent.glob("test_*.py")}
        others = [
            one.id
            for one in metafunc.config.stash[_JUDGED].settings.criteria
            if one.id not in owned - {beside.stem.removeprefix("test_")}
        ]
        rows = [pytest.param(name, marks=pytest.mark.criterion(name), id=name) for name in others]
        metafunc.parametrize("criterion", rows, indirect=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Every test is an error until it has run: one that is lost or deselected later on stays one."""
    judged = item.config.stash[_JUDGED]
    marker = item.get_closest_marker("criterion")
    if _is_declared_away(item):
        return
    if marker is None and item.get_closest_marker("watched"):
        return
    place = _place(item)
    if marker is not None:
        name = str(marker.args[0]) if marker.args else ""
        unknown = f"{name!r}: the run's configuration declares no such criterion"
        verdict = judged.declared(name) or own_verdict(identify(name), name, "", "error", unknown)
    else:
        name = identify(item.path.stem, *item.nodeid.split("::")[1:])
        told = (getattr(getattr(item, "obj", None), "__doc__", None) or item.name).strip()
        title = clean(told.splitlines()[0]).rstrip(".")
        gate = item.get_closest_marker("watch") is None
        verdict = own_verdict(name, title, item.nodeid, "pass", f"{title}: its test holds", gate)
        if judged.declared(name) or place in judged.rows:
            verdict = changed(verdict, "error", f"another bears the id {name!r} too; ids must differ")
    item.stash[_VERDICT] = verdict
    judged.rows[place] = changed(verdict, "error", f"{verdict.id}: its test did not run")
    judged.cases[place] = _case(item)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of what the run's model cannot be judged by, which the verdict tells by name, are not run."""
    away = [item for item in items if _is_declared_away(item)]
    if away:
        items[:] = [item for item in items if item not in away]
        config.hook.pytest_deselected(items=away)


def _is_declared_away(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("criterion")
    settings = item.config.stash[_JUDGED].settings
    return marker is not None and bool(marker.args) and str(marker.args[0]) in settings.without


def _place(node: pytest.Item | pytest.Collector) -> str:
    """Which one it is among those of all folders; pytest names it by its own folder alone."""
    return f"{node.path}::{node.nodeid}"


def _case(node: pytest.Item | pytest.Collector, text: str = "") -> Case:
    """A test, or what should have held tests, as junit.xml names it."""
    file = node.nodeid.partition("::")[0].removesuffix(".py").replace("/", ".")
    classes = [one.name for one in node.listchain() if isinstance(one, pytest.Class)]
    return Case(".".join([file, *classes]), node.name, text=clean(text, LONGEST))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A file that could not be collected, or skips itself as a whole, is an error under its own name."""
    report = yield
    if not report.passed:
        judged, name = collector.config.stash[_JUDGED], identify(collector.path.stem)
        last = (report.longreprtext.strip().splitlines() or ["no reason was given"])[-1]
        why = f"{name}: {collector.path.name} could not be collected: {last}"
        verdict = judged.declared(name) or own_verdict(name, name, collector.nodeid, "error", why)
        judged.rows[_place(collector)] = changed(verdict, "error", why)
        judged.cases[_place(collector)] = _case(collector, report.longreprtext)
    return report


@pytest.fixture(scope="session")
def run(request: pytest.FixtureRequest) -> Run:
    """The run under judgement."""
    from harness.runs import Run  # takes a second that most judgements do not need

    return Run(request.config.stash[_JUDGED].directory)


@pytest.fixture(scope="session")
def estimates(request: pytest.FixtureRequest) -> Mapping[str, Estimate]:
    """The run's estimates by name, of all seeds together where there are several."""
    return _Known(request.config.stash[_JUDGED].estimates)


@pytest.fixture
def criterion(request: pytest.FixtureRequest) -> Verdict:
    """The verdict on the test's criterion.

    Raises:
        NotEvaluated: there is no finite number to judge, or no criterion.
    """
    if request.node.get_closest_marker("criterion") is None:
        raise NotEvaluated("mark the test with the criterion that it asserts: @pytest.mark.criterion(id)")
    verdict: Verdict = request.node.stash[_VERDICT]
    if verdict.verdict == "error" and verdict.gate:
        raise NotEvaluated(verdict.why)
    return verdict


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note how each test ended. One that did not run to its end, or contradicts its verdict, errs."""
    report = yield
    verdict = item.stash.get(_VERDICT, None)
    if verdict is not None:
        judged, place = item.config.stash[_JUDGED], _place(item)
        case = judged.cases[place]
        text = case.text if report.passed else clean(report.longreprtext, LONGEST)
        judged.cases[place] = replace(case, seconds=case.seconds + report.duration, text=text)
        if call.when == "call" or not report.passed:
            # a part of a test ends before the test does, which then cannot end better
            judged.rows[place] = item.stash[_VERDICT] = ended(verdict, report, call)
        if call.when == "teardown":
            report.user_properties += properties(judged.rows[place])
    return report


def ended(verdict: Verdict, report: pytest.TestReport, call: pytest.CallInfo[None]) -> Verdict:
    """The verdict after a phase of its test: what the test says can only make it worse."""
    if report.skipped or hasattr(report, "wasxfail"):
        return changed(verdict, "error", f"{verdict.id}: its test was skipped, or expected to fail")
    if report.passed or verdict.verdict == "error":
        return verdict
    if call.when == "call" and call.excinfo is not None and call.excinfo.errisinstance(REFUSALS):
        if verdict.verdict == "fail":
            return verdict
        said = str(call.excinfo.value).strip() or "its test refuses, without a word"
        # what pytest adds to an assertion stands in its later lines, and in junit.xml
        first = _NUMPYS.sub(r"\1", said.splitlines()[0])
        return changed(verdict, "fail", f"{verdict.title}: {first}")
    crash = call.excinfo.exconly() if call.excinfo is not None else str(report.longrepr)
    return changed(verdict, "error", f"{verdict.id}: its test crashed: {crash}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the rows over to who asked for them, each with its test."""
    path = session.config.getoption("--verdicts")
    if path:
        judged = session.config.stash[_JUDGED]
        values = [{"row": vars(row), "case": vars(judged.cases[place])} for place, row in judged.rows.items()]
        Path(path).write_text(json.dumps(values), encoding="utf-8")
