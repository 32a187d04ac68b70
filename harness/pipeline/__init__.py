"""The stages of a run, in order: training, inspection, selection, attribution, probing, measurement, and
the same again of more samples where that was asked for and a gate is undecided.

Each reads what the stages before it made, and writes what it made into the run directory. Only in this
package are the configuration's keys unpacked into keyword arguments. A run that computes nothing new takes
all of it from an earlier one, and imports no torch: a stage imports what it needs when it is run.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness import datasets, environment
from harness.artifacts.cache import Cache
from harness.artifacts.directories import RunDirectory
from harness.artifacts.forms import keep
from harness.artifacts.latest import left_by_killed, next_sequence
from harness.artifacts.model import MODEL, model_of
from harness.artifacts.staging import remove
from harness.config import Config, refuse_absent
from harness.environment import repository
from harness.environment.state import clean
from harness.errors import HarnessError, OutputError, RunError, StorageError
from harness.pipeline import computed
from harness.pipeline.admission import admitted, refuse_unmeasured, settled
from harness.pipeline.started import Progress, Silence, Started
from harness.records import Provenance

if TYPE_CHECKING:
    from harness.pipeline.work import Work as Work

S = TypeVar("S", bound=Started)
Stage = tuple[str, Callable[["Work"], None]]


def _late(module: str, name: str) -> Callable[[Work], None]:
    """A stage by its module in this package and its name there; imported when it is run."""

    def stage(work: Work) -> None:
        getattr(import_module(f"harness.pipeline.{module}"), name)(work)

    return stage


def _publishing() -> Any:
    """What tells of a run; no number depends on it, and what computes is loaded without."""
    return import_module("harness.judging.publishing")


STAGES: tuple[Stage, ...] = (
    ("training", _late("networks", "train")),
    ("inspection", _late("inspection", "inspect")),
    ("selection", _late("explanations", "select")),
    ("attribution", _late("explanations", "attribute")),
    ("probing", _late("probes", "probe")),
    ("measurement", _late("numbers", "measure")),
    ("deciding", _late("looks", "decide")),
)
"""The computing stages by name, in order; the run directory is then judged and rendered without torch."""


@clean()
def run(config: Config, progress: Progress | None = None) -> Path:
    """All that a configuration computes, by its stages or from an earlier run; the run directory.

    Args:
        config: What to compute.
        progress: Whom to tell; nobody by default.

    Raises:
        Refused: before any work, by configuration, data, device or output folder.
        HarnessError: something broke off; the run directory tells it, and holds what had ended.
    """
    begun = begin(config, progress or Silence())
    begun.finish()
    _publishing().withdraw(begun.run)
    return begun.run.path


@dataclass(frozen=True)
class Begun:
    """A run that was not refused.

    Attributes:
        run: Its directory.
        finish: Fills it: computes, or takes what an earlier run computed of the same.
    """

    run: RunDirectory
    finish: Callable[[], None]


@clean()
def begin(config: Config, progress: Progress) -> Begun:
    """Refuse what can be refused before any work; then make the run directory.

    Raises:
        Refused: as `prepare`.
    """
    start = time.perf_counter()
    refuse_absent(config.checks)
    if not computed.is_certain(config):
        work = prepare(config, progress)
        return Begun(work.run, lambda: execute(work))
    refuse_unmeasured(config)
    dataset = _load(config)
    cache, threads = _cache(config, progress), computed.threads()
    key = computed.key_of_all(config, dataset, threads)
    entry = computed.find(cache, key)
    spent = time.perf_counter() - start
    if entry is not None:
        return _replayed(config, dataset, cache, progress, entry, spent)
    heard = computed.Heard(progress)
    work = prepare(config, heard, dataset)
    work.durations["data"] += spent

    def finish() -> None:
        execute(work)
        computed.keep(work, key, threads, heard.warned)
        work.cache.close()

    return Begun(work.run, finish)


def _replayed(
    config: Config,
    dataset: datasets.Dataset,
    cache: Cache,
    progress: Progress,
    entry: computed.Entry,
    spent: float,
) -> Begun:
    """A run that takes an earlier run's files; `spent` are the seconds that it took to find them."""
    looked = repository.look()
    # criteria have no part in what is computed: they may be others than the earlier run's
    config = settled(config, dataset, model_of(entry.files).capabilities, {}, progress)
    run = RunDirectory.create(config.output, looked.commit)
    started = Started(config=config, dataset=dataset, run=run, cache=cache, progress=progress)
    _write_down(started, looked, entry.by)
    started.durations["data"] = spent

    def take(started: Started) -> None:
        computed.take(started, entry)

    return Begun(run, lambda: _go_through(started, [("taking", take)]))


@clean()
def prepare(config: Config, progress: Progress, dataset: datasets.Dataset | None = None) -> Work:
    """Refuse what can be refused before any work; then make the run directory, for the stages to fill.

    Args:
        config: The configuration.
        progress: Whom to tell.
        dataset: The configuration's data, where it was loaded already.

    Raises:
        Refused: an unknown method or measurement, an absent device, data that is missing or damaged, an
            output folder that cannot be written to.
    """
    import torch

    from harness import attributions
    from harness.pipeline.networks import engine
    from harness.pipeline.work import Work, declared_settings
    from harness.subjects.recipes import recipe_of

    start = time.perf_counter()
    refuse_absent(config.checks)
    attributions.refuse_twins(config.attribution.methods)
    attributions.refuse_uninstalled(config.attribution.methods)
    refuse_unmeasured(config)
    device = environment.choose_device(config.device, progress.warn)
    engine(config, device)
    recipe_of(config)
    moving = False
    if dataset is None:
        dataset = loaded(config)
        moving = not computed.is_read(config.data.dataset) and loaded(config).digest != dataset.digest
    features, declared = math.prod(dataset.form.shape), declared_settings(config, dataset.form)
    attributions.refuse_unfit(config.attribution.methods, features, declared)
    config, record = admitted(config, dataset, device, progress)
    looked = repository.look()
    work = Work(
        config=config,
        device=device,
        capabilities=frozenset(record.capabilities),
        dataset=dataset,
        run=RunDirectory.create(config.output, looked.commit),
        cache=_cache(config, progress),
        progress=progress,
        train_images=torch.from_numpy(dataset.inputs(dataset.train_images)).to(device),
        test_images=torch.from_numpy(dataset.inputs(dataset.test_images)).to(device),
    )
    with environment.deterministic() as flags:
        by = {
            "versions": environment.versions(),
            "device": environment.describe_device(device),
            "platform": environment.machine(),
            "machine": environment.hardware(device),
            "flags": flags,
        }
    _write_down(work, looked, by)
    work.run.write_json(MODEL, record.model_dump(mode="json"))
    if moving:
        work.name_unrepeatable(
            f"data set {config.data.dataset}", f"loaded twice it has other {dataset.form.noun}"
        )
    work.durations["data"] = time.perf_counter() - start
    return work


def _cache(config: Config, progress: Progress) -> Cache:
    return Cache(config.output, at=config.cache, fresh=config.fresh, tell=progress.warn)


def loaded(config: Config) -> datasets.Dataset:
    """The configuration's data: the same for every seed, so what a loader draws follows none of them.

    What the harness itself reads draws nothing, and needs no torch to be seeded.
    """
    if computed.is_read(config.data.dataset):
        return _load(config)
    with environment.seeded(environment.stream(0, "data")):
        return _load(config)


def _load(config: Config) -> datasets.Dataset:
    data = config.data
    return datasets.load(
        data.dataset,
        data.data_dir,
        data.baseline,
        test_share=data.test_share,
        image_size=data.image_size,
        label_column=data.label_column,
        axes=data.axes,
    )


def finished(begun: Begun, progress: Progress) -> BaseException | None:
    """Fill a run; what ended it early, which is told."""
    try:
        begun.finish()
    except HarnessError as error:
        progress.warn(str(error))
        return error
    except KeyboardInterrupt as error:
        progress.warn("interrupted; finished stages are kept, and the next run takes them up")
        return error
    except Exception as error:
        traceback.print_exc()
        return error
    return None


@clean()
def execute(work: Work, stages: tuple[Stage, ...] = STAGES) -> None:
    """Run the stages on a prepared work; how long each took goes to `stages.json`.

    Whatever ends it early is written to `failure.json`, so that the run can be judged (as an error) and
    reported all the same, and then goes on its way.
    """
    with environment.deterministic():
        _go_through(work, stages)


def _go_through(work: S, stages: Sequence[tuple[str, Callable[[S], None]]]) -> None:
    """The stages in order; then the run is sealed, also one that broke off, so far as it came."""
    name = "seal"
    try:
        for name, stage in stages:
            with _timed(work, name):
                stage(work)
        work.run.finish()
    except BaseException as error:
        _tell_failure(work, name, error)
        if isinstance(error, OSError):
            raise RunError(f"stage {name}: {error}; free the place and run again") from error
        raise
    finally:
        work.cache.close()


@contextmanager
def _timed(work: Started, name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    work.durations[name] = work.durations.get(name, 0.0) + time.perf_counter() - start
    work.run.write_json(
        "stages.json",
        {
            "duration_s": work.durations,
            "memory_mb": environment.memory(),
            "taken_from": work.taken_from,
            "cache": sorted(work.cache.used),
        },
    )


def _tell_failure(work: Started, stage: str, error: BaseException) -> None:
    """`failure.json`, the seal of what was computed, and a verdict that says so."""
    foreseen = isinstance(error, HarnessError | KeyboardInterrupt | SystemExit)
    failure = _publishing().failure_of(stage, error, None if foreseen else traceback.format_exc())
    try:
        work.run.write_json("failure.json", failure)
        work.run.finish()
        _publishing().unjudged(work.run, failure)
    except HarnessError:
        work.progress.warn(f"{work.run.path} cannot be written to; the failure is told here alone")


def _write_down(started: Started, looked: repository.Repository, by: Mapping[str, Any]) -> None:
    """`config.toml` and `environment.json`; `by` is what computes: versions, device, machine, flags."""
    dataset, run = started.dataset, started.run
    provenance = Provenance(
        run_id=run.path.name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        commit=looked.commit,
        branch=looked.branch,
        dirty=looked.dirty,
        command=environment.command(),
        dataset={
            "name": dataset.name,
            "asked": started.config.data.dataset,
            "source": dataset.source,
            "sha256": dict(dataset.sha256) or {"arrays": dataset.digest},
            "digest": dataset.digest,
            "train": len(dataset.train_images),
            "test": len(dataset.test_images),
            "classes": list(dataset.classes),
            **dataset.form.as_record(),
            "notice": dataset.notice,
        },
        variables=environment.variables(),
        code=environment.code_digest(),
        gate=environment.gate_digest(),
        sequence=next_sequence(run.path.parent),
        git=looked.trouble,
        **by,
    )
    try:
        run.write_config(started.config)
        run.write_provenance(provenance)
        keep(run, dataset.form)
        # from here on the latest run is this one, whatever becomes of it
        publishing = _publishing()
        publishing.unjudged(run, publishing.failure_of("computing", KeyboardInterrupt(publishing.UNENDED)))
        run.link_latest()
        for path in left_by_killed(started.config.output):
            remove(path)
    except (OSError, StorageError) as error:
        raise OutputError(f"{run.path}: cannot be written to ({error}); free the place") from None
