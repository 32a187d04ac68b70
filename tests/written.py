"""A run directory written by hand, for what judges and explains one: no network, no training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness import criteria
from harness.artifacts.directories import RunDirectory
from harness.config import Config
from harness.criteria.rows import Case
from harness.judging import suite, verdicts
from harness.records import Estimate, Provenance, Verdict

GOOD = {
    "accuracy": 0.9,
    "sparsity": 50.0,
    "agreement": 0.7,
    "reconstruction": 0.01,
    "fraction_unexplained": 0.1,
    "selection": 1.0,
    "attribution_integrity": 1.0,
    "attribution_copies": 0.9,
    "attribution_faithfulness": 0.1,
    "test_overlap": 0.0,
    "agreement_above_controls": 0.1,
    "agreement_worst_pair": 0.65,
    "agreement_sensitivity": 0.8,
    "agreement_absolute": 0.8,
    "agreement_foreground": 0.8,
    "agreement_spearman": 0.7,
    "dead_units": 100.0,
}
"""Estimates by which every shipped criterion holds."""

CLASSES = ("shirt", "boot", "bag")


def an_estimate(name: str, number: float | None, **changed: Any) -> Estimate:
    """An estimate with an interval of 0.02 to either side, two standard errors of 0.01."""
    known: dict[str, Any] = dict(
        name=name,
        title=name,
        unit="share",
        higher_is_better=True,
        seed=None,
        estimate=number,
        low=None if number is None else number - 0.02,
        high=None if number is None else number + 0.02,
        standard_error=None if number is None else 0.01,
        confidence=0.95,
        n=12,
        population="this model",
    )
    return Estimate(**known | changed)


def a_run(
    output: Path,
    numbers: Mapping[str, float | None] | None = None,
    config: Mapping[str, Any] | None = None,
    estimates: tuple[Estimate, ...] = (),
    data: Mapping[str, Any] | None = None,
) -> RunDirectory:
    """A run of good estimates, some of them changed, with four samples of each of three classes.

    Args:
        output: The folder of the runs.
        numbers: Estimates by name that are others than the good ones.
        config: Keys of the configuration.
        estimates: Whole estimates, before those.
        data: Keys of the record of the data.
    """
    run = RunDirectory.create(output, "abc1234")
    run.write_config(Config.model_validate(config or {}))
    dataset = dict(name="blobs", asked="blobs", source="here", sha256={}, train=60, test=30, digest="d" * 64)
    run.write_provenance(
        Provenance(
            run_id=run.path.name,
            created="2025-01-01T00:00:00+00:00",
            commit="abc1234",
            branch="main",
            dirty=False,
            command="harness validate",
            versions={},
            device={"kind": "cpu", "name": "cpu", "threads": 1},
            platform="machine",
            dataset=dataset | {"classes": list(CLASSES), "shape": [2, 2], "notice": None} | dict(data or {}),
            flags={},
        )
    )
    known = GOOD | dict(numbers or {})
    run.write_estimates([*estimates, *(an_estimate(name, number) for name, number in known.items())])
    run.write_arrays("samples.npz", {"indices": 10 + np.arange(12), "labels": np.repeat([0, 1, 2], 4)})
    run.seed(0).write_arrays("predictions.npz", {"labels": np.repeat([0, 1, 2], 10)})
    run.finish()
    return run


def judged_by_its_checks(run: RunDirectory) -> dict[str, Any]:
    """The verdict on a run, by the tests of one's own that its configuration names, as `validate` judges."""
    return verdicts.judge(run, checks=run.read_config().checks)


def sealed_anew(run: RunDirectory) -> RunDirectory:
    """The run as if whatever stands in it now had been computed so, its verdict given of that."""
    run.finish()
    if (run / "verdict.json").is_file():
        values = {key: value for key, value in run.read_json("verdict.json").items() if key != "manifest"}
        rows = [Verdict.from_json(row) for row in values["criteria"]]
        run.write_verdict(values | {"criteria": rows})
    return run


def judged_here(run: Path, folder: Path, *, strict: bool, **_: Any) -> suite.Judged:
    """The criteria without their process, of which each would be a second."""
    directory = RunDirectory.open(run)
    known = {one.name: one for one in reversed(directory.read_estimates())}
    asked = directory.read_config().criteria
    rows = {one.id: criteria.judge(one, known.get(one.measurement), strict) for one in asked}
    return suite.Judged(rows, {name: Case("validation", name) for name in rows}, "")
