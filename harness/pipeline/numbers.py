"""Measure what the seeds left behind, and make estimates of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np

from harness import environment, measurements, statistics
from harness.artifacts.cache import share
from harness.artifacts.directories import UNREPEATABLE, RunDirectory
from harness.artifacts.files import Folder, digest_of, key_of
from harness.capabilities import lacking
from harness.environment import stream
from harness.errors import RunError
from harness.kinds import WORDS
from harness.measurements.evidence import Evidence, Measure
from harness.pipeline.work import Work
from harness.records import Estimate, Floats, Measurement
from harness.runs import Run
from harness.statistics.fitting import unfit


def measure(work: Work) -> None:
    """Every registered measurement of every seed: `measurements/<base>.npz` and `estimates.json`."""

    def fill(made: Folder) -> None:
        _measure(work, RunDirectory(made.path))

    share(work.cache.found_or_made("measurement", _key(work), fill), work.run.path)
    work.run.write_json(UNREPEATABLE, {"names": list(work.unrepeatable)})


def _key(work: Work) -> str:
    """What the measurements depend on: every file that they see, the settings, and the code."""
    run, config = work.run, work.config
    folders = [run.seed(seed) for seed in config.seeds]
    seen = ("codes.npz", "predictions.npz", "attributions/*.npz", "untrained/*.npz", "sanity/*.npz")
    files = [path for folder in folders for pattern in seen for path in sorted(folder.path.glob(pattern))]
    return key_of(
        {
            "files": {
                str(path.relative_to(run.path)): digest_of(path)
                for path in (run / "samples.npz", run / "samples.json", *files)
            },
            "seeds": config.seeds,
            "k": config.model.k,
            "capabilities": sorted(work.capabilities),
            "lengths": config.lengths(work.capabilities),
            "selection": config.selection.model_dump(),
            "statistics": config.statistics.model_dump(),
            "looks": work.looks,
            "kind": work.dataset.kind,
            "dataset": [work.dataset.name, *work.dataset.classes, *map(str, work.dataset.shape)],
            "code": environment.code_digest(),
            "functions": [
                (base, environment.source_digest(function))
                for base, function in measurements.measurements.items()
            ],
            "versions": environment.versions(),
        }
    )


def _measure(work: Work, made: RunDirectory) -> None:
    run, config = work.run, work.config
    by_seed = [Run(run).evidence(seed) for seed in config.seeds]
    estimates: list[Estimate] = []
    for base, function in measurements.measurements.items():
        if lacking(function, work.capabilities):
            continue
        measured = [_measured(work, base, function, one) for one in by_seed]
        if not measured[0]:  # of a choice of methods that it says nothing of
            continue
        for same in zip(*measured, strict=True):
            estimates += _estimates(work, same)
        arrays = {
            one.name: np.stack(
                [
                    _by_sample(row[number], len(seed.labels))
                    for row, seed in zip(measured, by_seed, strict=True)
                ]
            )
            for number, one in enumerate(measured[0])
            if one.crossed and all(row[number].reason is None for row in measured)
        }
        by_class = any(one.crossed and one.strata is not None for one in measured[0])
        strata = {"strata": by_seed[0].labels} if by_class else {}
        made.write_arrays(f"measurements/{base}.npz", arrays | strata | {"seeds": np.array(config.seeds)})
    made.write_estimates(estimates)


def _by_sample(one: Measurement, samples: int) -> Floats:
    """Its values; of one that was asked of some samples a row for each, NaN of the others."""
    if one.rows is None:
        return one.values
    found = np.full((samples, *one.values.shape[1:]), np.nan)
    found[one.rows] = one.values
    return found


def _measured(work: Work, base: str, function: Measure, evidence: Evidence) -> list[Measurement]:
    """What a measurement finds of one seed; where it draws, it draws by that seed.

    Raises:
        RunError: it yields something else than measurements, or one whose field no estimate can be made of.
    """

    own = not environment.ships(function)

    def asked() -> list[Measurement]:
        # what somebody's own writes into the arrays, no other measurement sees
        seen = copy.deepcopy(evidence) if own else evidence
        with environment.seeded(stream(evidence.seed, f"measurement {base}")):
            found = list(function(seen))
        for one in found:
            if wrong := unfit(one):
                named, called = getattr(one, "name", base), getattr(function, "__name__", base)
                which = f", of its {named!r:.80}" if named != base else ""
                raise RunError(
                    f"measurement {base!r} (function {called} of module {function.__module__}){which}: "
                    f"{wrong}; mend it there, what was trained is kept"
                )
        return found

    found = asked()
    if own and not _same(found, asked()):
        work.name_unrepeatable(f"measurement {base}", "asked twice it finds other values")
    return found


def _same(first: list[Measurement], second: list[Measurement]) -> bool:
    return [one.name for one in first] == [one.name for one in second] and all(
        np.array_equal(one.values, other.values, equal_nan=True)
        for one, other in zip(first, second, strict=True)
    )


def _estimates(work: Work, same: tuple[Measurement, ...]) -> Iterator[Estimate]:
    """The estimates of one measurement: of all seeds together, then of each seed where there are several.

    What is measured on the explained images may be looked at again when more are explained, and its
    intervals are as much wider as keeps all looks together at the nominal confidence.
    """
    config = work.config
    confidence = config.statistics.interval_confidence
    if same[0].crossed and same[0].strata is not None:
        confidence = statistics.look_confidence(work.looks, confidence)

    def estimate(part: tuple[Measurement, ...], seeds: tuple[int, ...]) -> Estimate:
        # the stream depends on the name alone, so that a new measurement moves no other's interval
        return statistics.estimate(
            part,
            seeds,
            confidence=confidence,
            resamples=config.statistics.resamples,
            interval=config.statistics.interval,
            words=WORDS[work.dataset.kind],
            generator=np.random.default_rng(stream(config.seeds[0], f"bootstrap {part[0].name}")),
        )

    yield estimate(same, config.seeds)
    if len(same) > 1:
        yield from (estimate((one,), (seed,)) for one, seed in zip(same, config.seeds, strict=True))
