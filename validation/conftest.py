"""The success criteria as tests over a run directory: `pytest validation --run artifacts/latest`."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts import RunDirectory
from harness.criteria import judge
from harness.errors import HarnessError
from harness.records import Verdict

VERDICT = pytest.StashKey[Verdict]()
PROPERTIES = ("estimate", "low", "high", "n", "threshold", "relation", "margin_se", "gate", "verdict")


class NotEvaluated(Exception):
    """The criterion could not be evaluated: an error of the set-up, which is neither pass nor fail."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which run is judged, how, and where the verdicts go."""
    group = parser.getgroup("harness")
    group.addoption("--run", default="artifacts/latest", help="run directory to judge")
    group.addoption("--strict-bounds", action="store_true", help="the interval's bound decides")
    group.addoption("--verdicts", help="write the verdicts to this JSON file")


def pytest_configure(config: pytest.Config) -> None:
    """Open the run once."""
    path = config.invocation_params.dir / config.getoption("--run")
    try:
        run = RunDirectory.open(path)
        _Judged.settings = run.read_config()
        _Judged.estimates = {estimate.name: estimate for estimate in reversed(run.read_estimates())}
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from None
    _Judged.failure = run.read_json("failure.json")["message"] if (run / "failure.json").exists() else None
    _Judged.strict = config.getoption("--strict-bounds") or _Judged.settings.strict
    _Judged.rows = {}


class _Judged:
    """The run under judgement, for the length of the session."""

    settings: Any
    estimates: dict[str, Any]
    failure: str | None
    strict: bool
    rows: dict[str, dict[str, Any]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A `watched` test runs once for each criterion that no test of its own asserts."""
    if metafunc.definition.get_closest_marker("watched"):
        metafunc.parametrize("criterion", _unclaimed(), indirect=True)


def _unclaimed() -> list[str]:
    """Criteria without a file of their own; a criterion's file is named after it."""
    owned = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")} - {"others"}
    return [one.id for one in _Judged.settings.criteria if one.id not in owned]


@pytest.fixture
def criterion(request: pytest.FixtureRequest, record_property: Any) -> Verdict:
    """The verdict on the test's criterion.

    Raises:
        NotEvaluated: there is no finite number to judge.
    """
    marker = request.node.get_closest_marker("criterion")
    name = marker.args[0] if marker else request.param
    declared = [one for one in _Judged.settings.criteria if one.id == name]
    if not declared:
        raise NotEvaluated(f"the run's configuration declares no criterion {name!r}")
    verdict = judge(declared[0], _Judged.estimates.get(declared[0].measurement), _Judged.strict)
    if _Judged.failure and verdict.verdict == "error":
        verdict = Verdict(**vars(verdict) | {"why": f"the run broke off: {_Judged.failure}"})
    request.node.stash[VERDICT] = verdict
    record_property("criterion", verdict.id)
    for key in PROPERTIES:
        value = getattr(verdict, key)
        record_property(key, value if isinstance(value, str) else "" if value is None else json.dumps(value))
    if verdict.verdict == "error" and verdict.gate:
        raise NotEvaluated(verdict.why)
    return verdict


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note each criterion's outcome. A test that did not run to its end, or contradicts its verdict, errs."""
    report = yield
    verdict = item.stash.get(VERDICT, None)
    if verdict is not None:
        row = vars(verdict).copy()
        crashed = report.failed and not (
            call.when == "call" and call.excinfo is not None and call.excinfo.errisinstance(AssertionError)
        )
        if report.skipped:
            row |= {"verdict": "error", "why": f"{verdict.id}: its test was skipped"}
        elif crashed and verdict.verdict != "error":
            row |= {"verdict": "error", "why": f"{verdict.id}: its test crashed: {call.excinfo}"}
        elif report.failed and verdict.verdict == "pass":
            row |= {"verdict": "fail", "why": f"{verdict.id}: {call.excinfo and call.excinfo.value}"}
        if call.when != "teardown" or report.failed:
            _Judged.rows[verdict.id] = row
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the verdicts over to who asked for them."""
    path = session.config.getoption("--verdicts")
    if path:
        Path(path).write_text(json.dumps(list(_Judged.rows.values())), encoding="utf-8")
