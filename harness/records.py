"""The frozen records that flow from stage to stage, and into the files of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Outcome = Literal["pass", "fail", "error"]
Training = Literal["autoencoder", "classifier"]


@dataclass(frozen=True)
class Epoch:
    """One row of `training.csv`.

    Attributes:
        stage: `autoencoder` or `classifier`.
        epoch: From 1.
        loss: Mean over the epoch's images: squared error a pixel, or cross-entropy in nats.
        accuracy: Share of the epoch's training images named rightly, with dropout on; None for the
            autoencoder.
        seconds: Wall clock; of the whole stack where several networks are trained at once.
    """

    stage: Training
    epoch: int
    loss: float
    accuracy: float | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured on each image (or once a run), before it becomes one number with an interval.

    Attributes:
        name: The measurement's name; a family of them bears `base.member`.
        title: A line that says what it is, for readers.
        unit: `share`, `correlation`, `units`, `squared error` and the like.
        higher_is_better: The direction; None where neither end is better.
        reduction: The name of the rule in `statistics` that makes an estimate of the values.
        values: float64 [n], or [n, parts] where the reduction takes parts.
        strata: int [n], the class of each value; None where classes play no part.
        reason: Why it could not be measured, in which case `values` is empty.
        crossed: Whether every seed measures the same images, in the same order; where each has its own,
            several seeds are joined by their numbers alone.
        definition: The version of what the name means; raised when the same evidence gives other numbers,
            so that a history does not take them for a regression.
        rows: int [n], the positions among the explained samples where only some were asked; None where all.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    reduction: str
    values: Floats
    strata: Ints | None = None
    reason: str | None = None
    crossed: bool = True
    definition: int = 1
    rows: Ints | None = None


@dataclass(frozen=True)
class Estimate:
    """One number with its interval.

    Attributes:
        name: The measurement's name.
        title: A line that says what it is.
        unit: The unit of `estimate`, `low` and `high`.
        higher_is_better: The direction; None where neither end is better.
        seed: The seed it speaks of; None where it joins all seeds of the run.
        estimate: The number; None where there is none, and then `reason` says why.
        low: The interval's lower bound; None where the number has no interval.
        high: The interval's upper bound, likewise.
        standard_error: The estimate's standard error; None likewise.
        confidence: The interval's nominal confidence.
        n: How many values stand behind it.
        population: Whom the interval speaks of.
        reason: Why there is no estimate, or no interval.
        definition: The version of what the name means.
    """

    name: str
    title: str
    unit: str
    higher_is_better: bool | None
    seed: int | None
    estimate: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    confidence: float
    n: int
    population: str
    reason: str | None = None
    definition: int = 1

    def as_json(self) -> dict[str, Any]:
        """The record as plain values; a number that is not finite becomes None with a reason."""
        values = asdict(self)
        for key in ("estimate", "low", "high", "standard_error"):
            if values[key] is not None and not math.isfinite(values[key]):
                values["reason"] = values["reason"] or f"{key} is not finite ({values[key]})"
                values[key] = None
        return values


def joint(estimates: Sequence[Estimate]) -> dict[str, Estimate]:
    """By name the estimate of all seeds together, which stands before those of each seed."""
    return {one.name: one for one in reversed(estimates)}


@dataclass(frozen=True)
class Verdict:
    """One criterion judged, or one test of one's own: a row of `verdict.json`.

    Attributes:
        id: The criterion's id.
        title: A line that says what it asks for.
        measurement: What is judged; of a test of one's own, the place where it stands.
        estimate: The number; None where there is none, as of a test of one's own.
        low: The interval's lower bound; None where the number has no interval.
        high: The interval's upper bound, likewise.
        confidence: The interval's nominal confidence.
        n: How many values stand behind the number.
        relation: `>=`, `<=`, `within`; `holds` of a test of one's own, `past` of what the nights before say.
        threshold: What the number is held against, in `unit`: [low, high] for `within`; None where none is.
        unit: The unit of `estimate`, `low`, `high`, `threshold` and `minimum_detectable_difference`.
        margin_se: The distance from the threshold in standard errors, positive on the good side; None where
            the error is 0 or unknown.
        gate: Whether it has a say in the verdict; else it is watched.
        verdict: `error` where it could not be evaluated, which is neither pass nor fail.
        marginal: Whether the interval straddles the threshold.
        why: The outcome in a sentence.
        minimum_detectable_difference: The true distance from the threshold that this run would have told
            apart in four cases of five; None where the error is 0 or unknown.
    """

    id: str
    title: str
    measurement: str
    estimate: float | None
    low: float | None
    high: float | None
    confidence: float
    n: int
    relation: str
    threshold: float | tuple[float, float] | None
    unit: str
    margin_se: float | None
    gate: bool
    verdict: Outcome
    marginal: bool
    why: str
    minimum_detectable_difference: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the criterion was evaluated and holds."""
        return self.verdict == "pass"

    @property
    def accepted(self) -> bool:
        """Whether it holds, or is only watched and has no say."""
        return self.holds or not self.gate

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Verdict:
        """The record of a row of `verdict.json`."""
        threshold = row["threshold"]
        # a run that was judged before this column was there is read all the same
        row = {"minimum_detectable_difference": None} | dict(row)
        known = {name: row[name] for name in cls.__dataclass_fields__}
        return cls(**known | {"threshold": tuple(threshold) if isinstance(threshold, list) else threshold})


@dataclass(frozen=True)
class Provenance:
    """Where a run's numbers come from: `environment.json`.

    Attributes:
        run_id: `<UTC time>-<commit>`.
        created: The start, ISO 8601 in UTC.
        commit: The harness's or the user's short commit; `nogit` outside git, `unknown` where git refuses.
        branch: The branch, or an empty string.
        dirty: Whether tracked files differ from the commit; None where there is none, or git does not tell.
        command: The command line that made the run.
        versions: Versions by package, Python among them.
        device: What computed: `kind`, `name`, `threads`.
        platform: The machine in words.
        dataset: `name`, `asked`, `source`, `sha256` by file, `digest` of the arrays, `train`, `test`,
            `classes`, `notice`, and what `harness.forms.Form` has of its inputs.
        flags: Determinism settings.
        variables: The few environment variables that are recorded, by an allowlist.
        code: A digest of the harness's own source.
        gate: The same without the modules that only show what the others found.
        sequence: The run's number among those of its output folder, by which the latest is told.
        git: Why git does not tell, and the mend; empty where it does.
        machine: What last digits rest on too: `cpu`, `instructions`; of a GPU `driver`, `cuda`, `cudnn`.
    """

    run_id: str
    created: str
    commit: str
    branch: str
    dirty: bool | None
    command: str
    versions: Mapping[str, str]
    device: Mapping[str, Any]
    platform: str
    dataset: Mapping[str, Any]
    flags: Mapping[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)
    code: str = ""
    gate: str = ""
    sequence: int = 0
    git: str = ""
    machine: Mapping[str, str] = field(default_factory=dict)
