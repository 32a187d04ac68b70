"""Sections that record the run: what broke off, samples, every number, provenance."""

from __future__ import annotations

from harness.report.page import Context, section
from harness.runs import Run


@section("failure", "What broke off")
def _failure(run: Run) -> Context | str:
    failure = (run.verdict or {}).get("failure")
    return {"failure": failure} if failure else "Nothing: every stage ran to its end."


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
    return {"estimates": run.estimates}


@section("provenance", "Where these numbers come from")
def _provenance(run: Run) -> Context | str:
    provenance = run.provenance
    return {
        "provenance": provenance,
        "config": (run.directory / "config.toml").read_text(encoding="utf-8"),
        "durations": (run.verdict or {})["duration_s"],
    }
