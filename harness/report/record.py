"""Sections that record the run: what is red and how to repeat it, samples, every number, provenance."""

from __future__ import annotations

import shlex
from typing import Any

from harness.criteria import show
from harness.criteria.diagnosis import by_how_much, worst
from harness.criteria.rows import PAST
from harness.records import Verdict
from harness.report.head import by_urgency
from harness.report.page import Context, section
from harness.runs import Run

_OF_DATA = ("test_overlap",)
"""Criteria that judge the data, not the model or its explanations."""


@section("failures", "What is red, and the line that repeats it")
def _failures(run: Run) -> Context | str:
    verdict = run.verdict or {}
    found: dict[str, list[dict[str, Any]]] = {"infrastructure": [], "data": [], "criterion": []}
    if failure := verdict["failure"]:
        kind = "data" if failure["kind"] == "DataError" else "infrastructure"
        found[kind].append({"failure": failure, "repeat": _again(run)})
    for one in by_urgency(verdict["criteria"]):
        if not one.holds:
            found["data" if one.measurement in _OF_DATA else "criterion"].append(_of_criterion(run, one))
    groups = {kind: rows for kind, rows in found.items() if rows}
    return {"groups": groups} if groups else "Nothing: every stage ran to its end, every criterion holds."


def _of_criterion(run: Run, one: Verdict) -> dict[str, Any]:
    place = shlex.quote(str(run.place))
    strict = " --strict" if (run.verdict or {})["strict"] else ""
    repeat = f"harness judge{strict} {place}"
    if one.relation == PAST:
        repeat = _again(run)
    elif one.threshold is None:
        repeat = f"pytest -p harness.checks {shlex.quote(one.measurement)} --run {place}"
    broken = one.threshold is None or (run.verdict or {})["failure"]
    return {
        "criterion": one,
        "by_how_much": "" if one.threshold is None else by_how_much(one),
        "worst": "" if broken or one.relation == PAST else "; ".join(worst(run.directory, one)),
        "repeat": repeat,
    }


def _again(run: Run) -> str:
    """The command that computes the run once more."""
    strict = " --strict" if (run.verdict or {})["strict"] and not run.config.strict else ""
    return f"harness validate --config {shlex.quote(str(run.place / 'config.toml'))}{strict}"


@section("samples", "The choice of samples")
def _samples(run: Run) -> Context | str:
    if not (run.directory / "samples.json").is_file():
        return "The run broke off before samples were chosen."
    chosen = run.directory.read_json("samples.json")
    return {"yields": chosen["yields"], "confidence": chosen["confidence"], "surest": chosen["surest"]}


@section("measurements", "Everything that was measured")
def _measurements(run: Run) -> Context | str:
    if not run.estimates:
        return "The run broke off before anything was measured."
    seeds = run.config.seeds
    if len(seeds) == 1:
        return {"joint": run.estimates, "seeds": []}
    alone = {(one.name, one.seed): show(one.estimate) for one in run.estimates}
    joint = [one for one in run.estimates if one.seed is None]
    by_seed = [(one.name, *(alone.get((one.name, seed), "–") for seed in seeds)) for one in joint]
    return {"joint": joint, "seeds": [f"seed {seed}" for seed in seeds], "by_seed": by_seed}


@section("provenance", "Where these numbers come from")
def _provenance(run: Run) -> Context | str:
    return {
        "provenance": run.provenance,
        # what python -m harness is called from inside
        "command": run.provenance.command.replace("__main__.py", "python -m harness", 1),
        "config": (run.directory / "config.toml").read_text(encoding="utf-8"),
        "durations": (run.verdict or {})["duration_s"],
        "repeat": _again(run),
    }
