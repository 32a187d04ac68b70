"""The stages of a run, in order: training, inspection, selection, attribution, probing, measurement, and
the same again of more samples where that was asked for and a gate is undecided.

Each reads what the stages before it made, and writes what it made into the run directory. Only in this
package are the configuration's keys unpacked into keyword arguments.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import torch
from torch import Tensor

from harness import attributions, datasets, environment, measurements
from harness.artifacts import Cache, RunDirectory
from harness.config import Config, refuse_absent
from harness.errors import HarnessError, OutputError, RunError
from harness.pipeline.explanations import attribute, select
from harness.pipeline.looks import decide
from harness.pipeline.networks import engine, inspect, train
from harness.pipeline.numbers import measure
from harness.pipeline.probes import probe
from harness.pipeline.work import Progress, Silence, stream
from harness.pipeline.work import Work as Work
from harness.records import Provenance
from harness.state import clean

Stage = tuple[str, Callable[[Work], None]]

STAGES: tuple[Stage, ...] = (
    ("training", train),
    ("inspection", inspect),
    ("selection", select),
    ("attribution", attribute),
    ("probing", probe),
    ("measurement", measure),
    ("deciding", decide),
)
"""The computing stages by name, in order; the run directory is then judged and rendered without torch."""


@clean()
def run(config: Config, progress: Progress | None = None) -> Path:
    """All computing stages of a configuration; the run directory."""
    work = prepare(config, progress or Silence())
    execute(work)
    return work.run.path


@clean()
def prepare(config: Config, progress: Progress) -> Work:
    """Refuse what can be refused before any work; then make the run directory.

    Raises:
        Refused: an unknown method or measurement, an absent device, data that is missing or damaged, an
            output folder that cannot be written to.
    """
    start = time.perf_counter()
    refuse_absent(config.checks)
    for name in config.attribution.methods:
        attributions.methods[name]
    for criterion in config.criteria:
        measurements.measurements[criterion.measurement.split(".")[0]]
    device = environment.choose_device(config.device, progress.warn)
    engine(config, device)
    # every seed's networks are judged on the same images, so what a loader draws follows none of them
    with environment.seeded(stream(0, "data")):
        dataset = datasets.load(config.data.dataset, config.data.data_dir)
    commit = environment.commit()
    run = RunDirectory.create(config.output, commit)
    work = Work(
        config=config,
        device=device,
        dataset=dataset,
        run=run,
        cache=Cache(config.output, fresh=config.fresh),
        progress=progress,
        train_images=_pixels(dataset.train_images, device),
        test_images=_pixels(dataset.test_images, device),
    )
    try:
        run.write_config(config)
        run.write_provenance(_provenance(work, commit))
    except OSError as error:
        raise OutputError(f"{run.path}: cannot be written to ({error}); free the place") from None
    work.durations["data"] = time.perf_counter() - start
    return work


@clean()
def execute(work: Work, stages: tuple[Stage, ...] = STAGES) -> None:
    """Run the stages on a prepared work; how long each took goes to `stages.json`.

    Whatever ends it early is written to `failure.json`, so that the run can be judged (as an error) and
    reported all the same, and then goes on its way.
    """
    try:
        with environment.deterministic():
            for name, stage in stages:
                with _timed(work, name):
                    stage(work)
    except BaseException as error:
        _write_failure(work, name, error)
        if isinstance(error, OSError):
            raise RunError(f"stage {name}: {error}; free the place and run again") from error
        raise


@contextmanager
def _timed(work: Work, name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    work.durations[name] = work.durations.get(name, 0.0) + time.perf_counter() - start
    work.run.write_json("stages.json", {"duration_s": work.durations})


def _write_failure(work: Work, stage: str, error: BaseException) -> None:
    foreseen = isinstance(error, HarnessError)
    interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
    values = {
        "stage": stage,
        "kind": "interrupted" if interrupted else type(error).__name__,
        "message": "interrupted" if interrupted else (str(error) or type(error).__name__),
        "trace": None if foreseen or interrupted else traceback.format_exc(),
    }
    try:
        work.run.write_json("failure.json", values)
    except OSError:
        work.progress.warn(f"{work.run.path} cannot be written to; the failure is told here alone")


def _pixels(images: datasets.Bytes, device: torch.device) -> Tensor:
    """uint8 [n, pixels] as float32 in [0, 1] on the device."""
    pixels: Tensor = torch.from_numpy(images.copy()).to(device).float()
    return pixels.div_(255)


def _provenance(work: Work, commit: str) -> Provenance:
    dataset = work.dataset
    with environment.deterministic() as flags:
        return Provenance(
            run_id=work.run.path.name,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            commit=commit,
            branch=environment.branch(),
            dirty=environment.dirty(),
            command=environment.command(),
            versions=environment.versions(),
            device=environment.describe_device(work.device),
            platform=environment.machine(),
            dataset={
                "name": dataset.name,
                "asked": work.config.data.dataset,
                "source": dataset.source,
                "sha256": dataset.sha256 or {"arrays": dataset.digest},
                "train": len(dataset.train_images),
                "test": len(dataset.test_images),
                "classes": list(dataset.classes),
                "shape": list(dataset.shape),
                "notice": dataset.notice,
            },
            flags=flags,
            variables=environment.variables(),
            code=environment.code_digest(),
            gate=environment.gate_digest(),
        )
