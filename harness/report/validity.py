"""Sections on each method alone, and on the gate itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.artifacts import Folder, RunDirectory
from harness.report.page import Context, no_samples, section
from harness.runs import Run

_VALIDITY = {
    "Are the maps what they claim to be?": ("attribution_integrity", "attribution_copies"),
    "Do they add up to what they explain?": ("completeness",),
    "Do they name the pixels that the decision rests on?": (
        "attribution_faithfulness",
        "advantage_over_random",
        "deletion",
        "insertion",
    ),
    "Do they follow the model's weights?": ("randomisation",),
    "Are they stable?": ("max_sensitivity",),
    "Are they concentrated?": ("concentration",),
    "Where do they lie?": ("foreground_share", "border_share", "centre_of_mass"),
    "What does the selection leave out?": ("agreement_below", "agreement_wrong"),
    "Are the pairs significant?": ("agreement_significance",),
}
"""The questions that are asked of every method, and the measurements that answer them, by base name."""


@section("validity", "May each method be believed")
def _validity(run: Run) -> Context | str:
    if (reason := no_samples(run)) is not None:
        return reason
    several = len(run.config.seeds) > 1
    joint = [one for one in run.estimates if one.seed is None or not several]
    questions = {
        question: [one for one in joint if one.name.split(".")[0] in bases]
        for question, bases in _VALIDITY.items()
    }
    return {"questions": {question: rows for question, rows in questions.items() if rows}}


_GATE_QUALITY = "gate-quality.json"


def _kept_gate_quality(run: RunDirectory) -> dict[str, Any] | None:
    """How good the gate is, of the commit it was measured on; None where nobody has measured it.

    What stands beside the runs (`nox -s gate-quality`), else what the release ships, is copied into the run
    directory once, which is whole without either.
    """
    if not (run / _GATE_QUALITY).is_file():
        beside, ours = (
            run.path.parent.parent / _GATE_QUALITY,
            Path(__file__).parents[1] / "data" / _GATE_QUALITY,
        )
        found = next((path for path in (beside, ours) if path.is_file()), None)
        if found is None:
            return None
        run.write_json(_GATE_QUALITY, Folder(found.parent).read_json(_GATE_QUALITY))
    return run.read_json(_GATE_QUALITY)


@section("gate-quality", "The gate itself, judged")
def _gate_quality(run: Run) -> Context | str:
    quality = _kept_gate_quality(run.directory)
    if quality is None:
        return "The gate's own errors have not been measured here; nox -s gate-quality measures them."
    kinds = [
        {
            "kind": kind,
            "nominal": row["nominal"],
            "lowest": min(cell["coverage"] for cell in row["cells"]),
            "highest": max(cell["coverage"] for cell in row["cells"]),
            "repetitions": min(cell["repetitions"] for cell in row["cells"]),
            "exceptions": len(row["exceptions"]),
            "cells": len(row["cells"]),
        }
        for kind, row in quality["coverage"].items()
    ]
    curves = [
        {
            "where": where,
            "images": curve["images_a_class"],
            "rows": [
                (point["distance_se"], point["distance"], point["red"], strict["red"])
                for point, strict in zip(curve["point"], curve["strict"], strict=True)
                if point["distance_se"] == round(point["distance_se"])
            ],
        }
        for where, curve in quality["operating_curves"].items()
    ]
    exceptions = [
        f"{kind}: {sentence}" for kind, row in quality["coverage"].items() for sentence in row["exceptions"]
    ]
    return {
        "quality": quality,
        "kinds": kinds,
        "curves": curves,
        "exceptions": exceptions,
        "same_code": quality["code"] == run.provenance.code,
    }
