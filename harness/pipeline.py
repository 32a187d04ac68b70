"""The stages of a run, in order: load, train, inspect, select, attribute, measure, estimate.

Each reads what the stages before it made, and writes what it made into the run directory. Only here are
the configuration's keys unpacked into keyword arguments.
"""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from harness import attributions, datasets, environment, measurements, samples, statistics, training
from harness.artifacts import Cache, Folder, RunDirectory, key_of, share
from harness.config import Config
from harness.datasets import Dataset
from harness.errors import ConfigurationError, HarnessError, OutputError
from harness.measurements import CONTROL_METHOD
from harness.models import Classifier, KSparseAutoencoder, PixelClassifier
from harness.records import Estimate, Measurement, Provenance
from harness.runs import Run
from harness.samples import Selection
from harness.training import Epoch


class Progress(Protocol):
    """Whoever tells the user how far the work is."""

    def say(self, text: str) -> None:
        """A line."""

    def warn(self, text: str) -> None:
        """A line that must not be overlooked."""

    def epochs(self, title: str, epochs: Iterator[Epoch], total: int) -> Iterator[Epoch]:
        """The same epochs, shown as they pass."""


class Silence:
    """Tells nobody anything."""

    def say(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""

    def epochs(self, title: str, epochs: Iterator[Epoch], total: int) -> Iterator[Epoch]:  # noqa: ARG002
        """The epochs."""
        return epochs


@dataclass
class Work:
    """What the stages of one run share.

    Attributes:
        config: The configuration.
        device: Where to compute.
        dataset: The data, on disk's terms.
        run: The run directory.
        cache: Finished stages of earlier runs.
        progress: Whom to tell.
        train_images: float32 [n, pixels], in [0, 1], on the device.
        test_images: float32 [t, pixels], likewise.
        networks: The trained network of each seed.
        selection: The chosen samples.
        durations: Seconds by stage.
    """

    config: Config
    device: torch.device
    dataset: Dataset
    run: RunDirectory
    cache: Cache
    progress: Progress
    train_images: Tensor
    test_images: Tensor
    networks: dict[int, PixelClassifier] = field(default_factory=dict)
    selection: Selection | None = None
    durations: dict[str, float] = field(default_factory=dict)


def prepare(config: Config, progress: Progress) -> Work:
    """Refuse what can be refused before any work; then make the run directory.

    Raises:
        Refused: an unknown method or measurement, an absent device, data that is missing or damaged, an
            output folder that cannot be written to.
    """
    start = time.perf_counter()
    for name in config.attribution.methods:
        attributions.methods[name]
    for criterion in config.criteria:
        measurements.measurements[criterion.measurement.split(".")[0]]
    device = environment.choose_device(config.device)
    dataset = datasets.load(config.data.dataset, config.data.data_dir)
    pixels = dataset.train_images.shape[1]
    if pixels != int(np.prod(dataset.shape)):
        raise ConfigurationError(f"dataset {dataset.name!r}: {pixels} pixels do not fill {dataset.shape}")
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
    run.write_config(config)
    run.write_provenance(_provenance(work, commit))
    work.durations["data"] = time.perf_counter() - start
    return work


def execute(work: Work, stages: tuple[tuple[str, Callable[[Work], None]], ...] | None = None) -> None:
    """Run the stages on a prepared work; how long each took goes to `stages.json`.

    Whatever ends it early is written to `failure.json`, so that the run can be judged (as an error) and
    reported all the same, and then goes on its way.
    """
    try:
        with environment.deterministic():
            for name, stage in STAGES if stages is None else stages:
                with _timed(work, name):
                    stage(work)
    except BaseException as error:
        _write_failure(work, name, error)
        if isinstance(error, OSError):
            raise OutputError(f"stage {name}: {error}; free the place and run again") from error
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
    return torch.from_numpy(images.copy()).to(device).float().div_(255)


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
                "sha256": dataset.sha256,
                "train": len(dataset.train_images),
                "test": len(dataset.test_images),
                "classes": list(dataset.classes),
                "shape": list(dataset.shape),
                "notice": dataset.notice,
            },
            flags=flags,
            variables=environment.variables(),
            code=environment.code_digest(),
        )


# train


def stream(seed: int, purpose: str) -> int:
    """A seed for one purpose, so that no stage's draws depend on another stage's."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{purpose}".encode()).digest()[:7], "big")


def untrained(config: Config, pixels: int, classes: int, seed: int) -> PixelClassifier:
    """The network of a seed before its training, on the CPU, in evaluation mode."""
    with environment.seeded(stream(seed, "autoencoder")):
        autoencoder = KSparseAutoencoder(config.model.k, pixels, config.model.code_width)
    with environment.seeded(stream(seed, "classifier")):
        classifier = Classifier(config.model.code_width, classes=classes)
    return PixelClassifier(autoencoder, classifier).eval()


def train(work: Work) -> None:
    """Train each seed's autoencoder and classifier, or take them from the cache."""
    for seed in work.config.seeds:
        pixels, classes = work.train_images.shape[1], len(work.dataset.classes)
        network = untrained(work.config, pixels, classes, seed).to(work.device)
        parts = [_trained_autoencoder(work, seed, network), _trained_classifier(work, seed, network)]
        folder = work.run.seed(seed)
        folder.write_table("training.csv", pd.concat([entry.read_table("epochs.csv") for entry in parts]))
        for entry in parts:
            share(Folder(entry / "weights"), folder / "weights")
        work.networks[seed] = network.eval()


def _dependencies(work: Work, seed: int) -> dict[str, Any]:
    """What both trainings depend on."""
    return {
        "seed": seed,
        "model": work.config.model.model_dump(),
        "recipe": work.config.recipe,
        "batch_size": work.config.training.batch_size,
        "learning_rate": work.config.training.learning_rate,
        "data": work.dataset.sha256,
        "code": environment.code_digest("models", "training", "environment", "pipeline"),
        "torch": torch.__version__,
        "device": environment.describe_device(work.device),
    }


def _trained_autoencoder(work: Work, seed: int, network: PixelClassifier) -> Folder:
    settings = work.config.training
    model = network.autoencoder
    files = {
        "encoder": model.encoder,
        "decoder": model.decoder,
        "full_autoencoder": model,
    }

    def epochs() -> Iterator[Epoch]:
        return training.train_autoencoder(
            model,
            work.train_images,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            generator=torch.Generator().manual_seed(stream(seed, "autoencoder batches")),
        )

    key = _dependencies(work, seed) | {"epochs": settings.epochs}
    return _trained(work, seed, "autoencoder", key, files, epochs, settings.epochs)


def _trained_classifier(work: Work, seed: int, network: PixelClassifier) -> Folder:
    settings = work.config.training
    labels = torch.from_numpy(work.dataset.train_labels.astype(np.int64)).to(work.device)

    def epochs() -> Iterator[Epoch]:
        yield from training.train_classifier(
            network.classifier,
            training.encode(network.autoencoder, work.train_images),
            labels,
            epochs=settings.classifier_epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            generator=torch.Generator().manual_seed(stream(seed, "classifier batches")),
        )

    key = _dependencies(work, seed) | {
        "epochs": settings.epochs,
        "classifier_epochs": settings.classifier_epochs,
        "hidden": [list(weight.shape) for weight in network.classifier.parameters()],
    }
    files = {"classifier": network.classifier}
    return _trained(work, seed, "classifier", key, files, epochs, settings.classifier_epochs)


def _trained(
    work: Work,
    seed: int,
    stage: str,
    depends: dict[str, Any],
    files: dict[str, torch.nn.Module],
    epochs: Callable[[], Iterator[Epoch]],
    total: int,
) -> Folder:
    """The cache entry of one training, its modules filled with the trained weights."""
    key = key_of(depends)
    if work.cache.damaged(stage, key):
        work.progress.warn(f"seed {seed}: the stored {stage} is damaged; it is trained anew")
    entry = work.cache.find(stage, key)
    if entry is not None:
        for name, module in files.items():
            training.load_weights(module, entry / f"weights/{name}.pth")
        work.progress.say(f"seed {seed}: {stage} taken from an earlier run (--fresh trains anew)")
        return entry
    with environment.seeded(stream(seed, f"{stage} dropout")):
        log = list(work.progress.epochs(f"seed {seed}: {stage}", epochs(), total))
    table = pd.DataFrame([asdict(epoch) for epoch in log], columns=list(Epoch.__dataclass_fields__))
    table.insert(0, "seed", seed)
    with work.cache.making(stage, key) as made:
        made.write_table("epochs.csv", table)
        for name, module in files.items():
            with made.writing(f"weights/{name}.pth") as stream_:
                torch.save({key: value.cpu() for key, value in module.state_dict().items()}, stream_)
    return Folder(work.cache.path / stage / key)


# inspect and select


@torch.no_grad()
def inspect(work: Work) -> None:
    """What each network makes of the whole test set, and how often its units fire on the training set."""
    mean = work.train_images.mean(dim=0)
    for seed, network in work.networks.items():
        autoencoder = network.autoencoder
        logits, l0, errors, deviations = [], [], [], []
        for part in work.test_images.split(training.PART):
            codes = autoencoder.encode(part)
            logits.append(network.classifier(codes))
            l0.append((codes > 0).sum(dim=1))
            errors.append((part - autoencoder.decode(codes)).square().sum(dim=1, dtype=torch.float64))
            deviations.append((part - mean).square().sum(dim=1, dtype=torch.float64))
        fired = torch.zeros(work.config.model.code_width, dtype=torch.int64, device=work.device)
        for part in work.train_images.split(training.PART):
            fired += (autoencoder.encode(part) > 0).sum(dim=0)
        folder = work.run.seed(seed)
        baseline = network(torch.zeros(1, work.test_images.shape[1], device=work.device))[0]
        folder.write_arrays(
            "predictions.npz",
            {
                "logits": _numpy(torch.cat(logits)),
                "labels": work.dataset.test_labels.astype(np.int64),
                "baseline_logits": _numpy(baseline),
            },
        )
        folder.write_arrays(
            "codes.npz",
            {
                "firing_frequency": _numpy(fired) / len(work.train_images),
                "l0": _numpy(torch.cat(l0)),
                "atoms": _numpy(autoencoder.atoms).astype(np.float16),
                "squared_errors": _numpy(torch.cat(errors)),
                "squared_deviations": _numpy(torch.cat(deviations)),
            },
        )


def _numpy(tensor: Tensor) -> Any:
    return tensor.detach().cpu().numpy()


def select(work: Work) -> None:
    """Choose the samples that every seed names rightly and surely."""
    config = work.config.selection
    by_seed = {
        seed: work.run.seed(seed).read_arrays("predictions.npz")["logits"] for seed in work.config.seeds
    }
    labels = work.dataset.test_labels.astype(np.int64)
    selection = samples.select(
        list(by_seed.values()),
        labels,
        len(work.dataset.classes),
        per_class=config.samples_per_class,
        confidence=config.confidence,
        generator=np.random.default_rng(stream(work.config.seeds[0], "selection")),
    )
    work.selection = selection
    chosen = selection.indices
    names = work.dataset.classes
    work.run.write_arrays(
        "samples.npz",
        {"images": work.dataset.test_images[chosen], "indices": chosen, "labels": selection.labels},
    )
    tables = [
        pd.DataFrame(
            {
                "index": chosen,
                "label": selection.labels,
                "class": [names[label] for label in selection.labels],
                "seed": seed,
                "prediction": logits[chosen].argmax(axis=1),
                "confidence": samples.confidences(logits[chosen]) if len(chosen) else [],
            }
        )
        for seed, logits in by_seed.items()
    ]
    work.run.write_table("samples.csv", pd.concat(tables))
    work.run.write_json(
        "samples.json",
        {
            "surest": selection.surest,
            "confidence": config.confidence,
            "yields": [asdict(one) | {"class": names[one.label]} for one in selection.yields],
        },
    )
    short = [names[one.label] for one in selection.yields if one.chosen < one.wanted]
    if short:
        work.progress.warn(
            f"fewer than {config.samples_per_class} right and sure images of: {', '.join(short)}"
        )


# attribute


def attribute(work: Work) -> None:
    """Explain the samples with each method, and with each method on the untrained network as a control."""
    selection = work.selection
    if selection is None:
        raise RuntimeError("attribute comes after select")
    images = work.test_images[torch.from_numpy(selection.indices).to(work.device)]
    targets = torch.from_numpy(selection.labels).to(work.device)
    named = list(dict.fromkeys((*work.config.attribution.methods, CONTROL_METHOD)))
    for seed, network in work.networks.items():
        folder = work.run.seed(seed)
        blank = untrained(work.config, images.shape[1], len(work.dataset.classes), seed).to(work.device)
        for name in named:
            entry = _maps(work, network, seed, name, images, targets, selection)
            share(entry, folder / "attributions")
        for name in work.config.attribution.methods:
            share(_maps(work, blank, seed, name, images, targets, selection), folder / "untrained")
        codes = folder.read_arrays("codes.npz")
        with torch.no_grad():
            codes["reconstructions"] = _numpy(network.autoencoder(images))
        folder.write_arrays("codes.npz", codes)


def _maps(
    work: Work,
    network: PixelClassifier,
    seed: int,
    name: str,
    images: Tensor,
    targets: Tensor,
    selection: Selection,
) -> Folder:
    """The cache entry of one method's maps of one network."""
    settings = work.config.attribution.model_dump(exclude={"methods"})
    settings["noise_seed"] = stream(seed, "smoothgrad noise")
    method = attributions.methods[name]
    key = key_of(
        {
            "method": name,
            "settings": settings,
            "k": network.autoencoder.k,
            "weights": weights_digest(network),
            "images": hashlib.sha256(_numpy(images).tobytes()).hexdigest(),
            "targets": targets.tolist(),
            "indices": selection.indices.tolist(),
            "code": environment.code_digest("models", "attributions", "pipeline"),
            "function": f"{method.maps.__module__}.{method.maps.__qualname__}",
            "torch": torch.__version__,
            "device": environment.describe_device(work.device),
        }
    )
    entry = work.cache.find("attribution", key)
    if entry is not None:
        return entry
    maps = attributions.attribute(network, images, targets, name, settings)
    arrays = {
        "maps": _numpy(maps.own).astype(np.float32),
        "space": np.array(maps.space),
        "targets": _numpy(targets),
        "indices": selection.indices,
    }
    if maps.sensitivity is not None:
        arrays["sensitivity"] = _numpy(maps.sensitivity).astype(np.float32)
    with work.cache.making("attribution", key) as made:
        made.write_arrays(f"{name}.npz", arrays)
    return Folder(work.cache.path / "attribution" / key)


def weights_digest(network: torch.nn.Module) -> str:
    """SHA-256 of a network's weights."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + _numpy(value).tobytes())
    return digest.hexdigest()


# measure and estimate


def measure(work: Work) -> None:
    """Every registered measurement of every seed: `measurements/<base>.npz` and `estimates.json`."""
    run, config = work.run, work.config
    by_seed = [Run(run).evidence(seed) for seed in config.seeds]
    estimates: list[Estimate] = []
    for base, function in measurements.measurements.items():
        measured = [list(function(one)) for one in by_seed]
        for same in zip(*measured, strict=True):
            estimates += _estimates(config, same)
        arrays = {
            one.name: np.stack([row[number].values for row in measured])
            for number, one in enumerate(measured[0])
            if all(row[number].reason is None for row in measured)
        }
        labels = by_seed[0].labels
        run.write_arrays(
            f"measurements/{base}.npz", arrays | {"seeds": np.array(config.seeds), "strata": labels}
        )
    run.write_estimates(estimates)


def _estimates(config: Config, same: tuple[Measurement, ...]) -> Iterator[Estimate]:
    """The estimates of one measurement: of all seeds together, then of each seed where there are several."""

    def estimate(part: tuple[Measurement, ...], seeds: tuple[int, ...]) -> Estimate:
        # the stream depends on the name alone, so that a new measurement moves no other's interval
        return statistics.estimate(
            part,
            seeds,
            confidence=config.statistics.interval_confidence,
            resamples=config.statistics.resamples,
            generator=np.random.default_rng(stream(config.seeds[0], f"bootstrap {part[0].name}")),
        )

    yield estimate(same, config.seeds)
    if len(same) > 1:
        yield from (estimate((one,), (seed,)) for one, seed in zip(same, config.seeds, strict=True))


STAGES: tuple[tuple[str, Callable[[Work], None]], ...] = (
    ("training", train),
    ("inspection", inspect),
    ("selection", select),
    ("attribution", attribute),
    ("measurement", measure),
)
"""The computing stages by name, in order; the run directory is then judged and rendered without torch."""


def run(config: Config, progress: Progress | None = None) -> Path:
    """All computing stages of a configuration; the run directory."""
    work = prepare(config, progress or Silence())
    execute(work)
    return work.run.path
