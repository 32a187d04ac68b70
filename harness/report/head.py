"""What stands above everything else: the verdict, the gate nearest to its threshold, the worst sample."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from harness.criteria.diagnosis import Lowest, details, lowest_agreement
from harness.errors import RunError
from harness.records import Verdict
from harness.runs import Run

_URGENCY = {"error": 0, "fail": 1, "pass": 2}


def by_urgency(criteria: Sequence[Verdict]) -> list[Verdict]:
    """Gates before what is only watched; of each first what could not be judged, then what failed."""
    return sorted(criteria, key=lambda one: (not one.gate, _URGENCY[one.verdict]))


def head(run: Run) -> dict[str, Any]:
    """The context of the page's head."""
    verdict = run.verdict or {}
    gates = [one for one in verdict["criteria"] if one.gate]
    known = [one for one in gates if one.margin_se is not None]
    return {
        "criteria": by_urgency(verdict["criteria"]),
        "diagnosis": [] if verdict["verdict"] == "pass" else _diagnosis(run),
        "nearest": min(known, key=lambda one: one.margin_se or 0.0, default=None),
        "marginal": [one for one in gates if one.marginal],
        "agreement": run.estimate("agreement"),
        "lowest": _lowest(run),
        "started": _time(run.provenance.created),
    }


def _diagnosis(run: Run) -> list[str]:
    """What stands below a red verdict's sentence, but for where to find this page."""
    lines = details(run.directory, run.verdict or {}, reported=True, place=run.place)
    return [line for line in lines if not line.startswith("report:")]


def _lowest(run: Run) -> Lowest | None:
    try:
        return lowest_agreement(run.directory)
    except RunError:  # nothing was measured, or explained: the page says so in its sections
        return None


def _time(created: str) -> str:
    """A time of the provenance as readers see it."""
    try:
        return f"{datetime.fromisoformat(created):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return created
