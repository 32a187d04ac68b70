"""The document of a night, made of its run directory: whatever the history lost, the run can tell again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from harness.artifacts.directories import RunDirectory
from harness.artifacts.model import ModelRecord, model_of
from harness.config import Config
from harness.config.parameters import STANDS_FOR
from harness.criteria import overall, show_threshold
from harness.criteria.rows import PAST
from harness.history.records import Canary, Judged, Night, NightKind, Value
from harness.records import Estimate, Ints, Provenance, Verdict, joint

NIGHT = "night.json"
CANARY = "canary"


class Written(pydantic.BaseModel):
    """`night.json`: which night of a history a run is; sealed with what it computed.

    Attributes:
        id: The night's id.
        kind: Night, warm-up or confirmation.
        of: The night that a confirmation measures again.
    """

    id: str
    kind: NightKind
    of: str | None = None


class _Canary(pydantic.BaseModel):
    seed: int
    frozen: str
    digests: dict[str, str]
    right: int
    images: int


def write_night(run: RunDirectory, night: Night) -> None:
    """Let a run bear its night."""
    run.write_json(NIGHT, {"id": night.id, "kind": night.kind, "of": night.of})


def is_of_a_night(run: Path) -> bool:
    """Whether a run directory bears a night."""
    return (run / NIGHT).is_file()


def begun(written: Written, config: Config, run: RunDirectory | None = None) -> Night:
    """The document of a night that has begun: what is known before it has numbers.

    Args:
        written: Which night it is.
        config: What it computes.
        run: Its directory, where it has one.
    """
    known = Night(
        id=written.id,
        kind=written.kind,
        of=written.of,
        status="begun",
        sentence="it has not ended: it goes on, or was killed",
        seeds=list(config.seeds),
    )
    if run is None:
        return replace(known, created=datetime.now(timezone.utc).isoformat(timespec="seconds"))
    provenance = run.read_provenance()
    return replace(
        known,
        run_id=provenance.run_id,
        place=str(run.path.absolute()),
        created=provenance.created,
        identity=_identity(config, provenance, model_of(run)),
        environment=environment_of(config, provenance),
    )


def refused(night: Night, error: Exception) -> Night:
    """The document of a night that was refused before any work."""
    return replace(night, status="ended", verdict="error", sentence=f"refused: {error}")


def night_of_run(run: RunDirectory, values: Mapping[str, Any] | None = None) -> Night:
    """The document of the night that a run is.

    Args:
        run: A run directory with `night.json`.
        values: What will stand in its `verdict.json`, the criteria as records; what stands there by default.

    Raises:
        RunError: it is no night's, or a file is missing or damaged.
    """
    from harness.criteria.diagnosis import (
        sentence,  # a night that computes has none yet, and needs nothing that shows
    )

    written = run.read_record(NIGHT, Written)
    night = begun(written, run.read_config(), run)
    values = run.read_verdict() if values is None else values
    stages = run.read_stages()
    if values is None or (values["failure"] and values["failure"]["kind"] == "interrupted"):
        return replace(night, duration_s=stages.duration_s, memory_mb=stages.memory_mb)
    rows = [row for row in values["criteria"] if row.relation != PAST]
    word = values["verdict"] if values["failure"] else overall(rows)
    alone = dict(values) | {"criteria": rows, "verdict": word, "past": None}
    return replace(
        night,
        status="ended",
        verdict=word,
        sentence=sentence(alone),
        values=_values(run.read_estimates()),
        criteria=[_judged(row) for row in rows],
        canary=canary_of(run),
        duration_s=dict(values["duration_s"]),
        memory_mb=stages.memory_mb,
    )


def _values(estimates: list[Estimate]) -> list[Value]:
    """Each measurement once: of all seeds together, with each seed's beside it."""
    by_seed: dict[str, dict[str, float | None]] = {}
    several = len({one.seed for one in estimates} - {None}) > 1
    for one in estimates:
        if one.seed is not None and several:
            by_seed.setdefault(one.name, {})[str(one.seed)] = one.estimate
    known = ("name", "title", "unit", "higher_is_better", "estimate", "low", "high", "standard_error")
    return [
        Value(
            **{key: getattr(one, key) for key in known},
            confidence=one.confidence,
            n=one.n,
            definition=one.definition,
            by_seed=by_seed.get(name, {}),
            reason=one.reason,
        )
        for name, one in sorted(joint(estimates).items())
    ]


def _judged(row: Verdict) -> Judged:
    keys = ("id", "title", "measurement", "relation", "threshold", "gate", "verdict", "why")
    return Judged(**{key: getattr(row, key) for key in keys})


def canary_of(run: RunDirectory) -> Canary | None:
    """The record of a run's canary, not yet held against any other; None where it has none."""
    folder = RunDirectory(run / CANARY)
    if not (folder / "canary.json").is_file():
        return None
    told = folder.read_record("canary.json", _Canary)
    return Canary(
        seed=told.seed,
        frozen=told.frozen,
        fingerprint=_fingerprint(run),
        digests=told.digests,
        right=told.right,
        images=told.images,
    )


def frozen_images(run: RunDirectory) -> Ints:
    """The positions in the test set that a run's canary explained: int64 [n]."""
    indices: Ints = RunDirectory(run / CANARY).read_arrays("samples.npz", only=("indices",))["indices"]
    return indices.astype(np.int64)


MEANS_NOTHING = {
    "training": ("engine",),
    "attribution": ("chunk_size",),
    "statistics": ("interval_confidence", "resamples", "interval"),
}
"""Settings that change no estimate, by table: how it is computed, and how wide its interval is."""


ELSEWHERE = {"model": ("model_dir",)}
"""Settings that say where something lies, by table: what moves stays what it is."""


def identity_of(
    config: Config, data: str, digest: str, device: str, baseline: str | float = "zero", weights: str = ""
) -> dict[str, str]:
    """What the numbers of a run mean, by dotted name: runs that differ in it are of different series.

    Args:
        config: The configuration.
        data: The data set's name.
        digest: Of its arrays.
        device: `cpu` or `cuda`.
        baseline: Where attributions start from; the digest tells one array from another.
        weights: Digest of the file of weights, where one is named; it stands in the place of its path.
    """
    tables = config.model_dump(
        mode="json", include={"model", "training", "attribution", "selection", "statistics"}
    )
    kept = {
        name: {
            key: value
            for key, value in table.items()
            if key not in (*MEANS_NOTHING.get(name, ()), *ELSEWHERE.get(name, ()))
            and value != STANDS_FOR.get(f"{name}.{key}", ...)
        }
        for name, table in tables.items()
    }
    if weights:
        kept["model"]["weights"] = weights[:16]
    told = {
        "data": {"name": data, "digest": digest[:16]}
        # nights of before there was a choice have none
        | ({} if baseline == "zero" else {"baseline": baseline}),
        "recipe": config.recipe,
        **kept,
        "device": device,
        "seeds a night": len(config.seeds),
    }
    return dict(_flat(told))


def _identity(config: Config, provenance: Provenance, model: ModelRecord) -> dict[str, str]:
    dataset = provenance.dataset
    kind, baseline = provenance.device["kind"], dataset.get("baseline", "zero")
    weights = model.weights.get("sha256", "")
    return identity_of(config, dataset["name"], dataset["digest"], kind, baseline, weights)


def environment_of(config: Config, provenance: Provenance) -> dict[str, str]:
    """Everything else that may differ from night to night, by dotted name.

    It begins with the kind of thing: `commit`, `version`, `machine`, `setting`, `threshold`.
    """
    device = dict(provenance.device)
    tables = config.model_dump(mode="json", include=set(MEANS_NOTHING))
    told = {
        "commit": {
            "commit": provenance.commit,
            "branch": provenance.branch,
            "changed": provenance.dirty,
            "code": provenance.code[:16],
        },
        "version": provenance.versions,
        "machine": {
            "device": device["name"],
            "threads": device["threads"],
            "platform": provenance.platform,
            **provenance.machine,
        },
        "setting": {
            **{f"{table}.{key}": tables[table][key] for table, keys in MEANS_NOTHING.items() for key in keys},
            **provenance.flags,
        },
        "threshold": {
            one.id: f"{one.relation} {show_threshold(one.threshold)}{'' if one.gate else ', watched'}"
            for one in config.criteria
        },
    }
    return dict(_flat(told))


def _fingerprint(run: RunDirectory) -> dict[str, str]:
    """Machine, versions and settings in full: where two nights have the same, digests are the same."""
    config, provenance = run.read_config(), run.read_provenance()
    told = environment_of(config, provenance) | _identity(config, provenance, model_of(run))
    kinds = ("threshold.", "commit.commit", "commit.branch", "commit.changed", "seeds a night")
    return {name: value for name, value in told.items() if not name.startswith(kinds)}


def _flat(values: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, list | tuple):
        yield name, ", ".join(map(str, values))
    else:
        yield name, "" if values is None else str(values)
