"""Train each seed's network or take it from the cache, and look at what it makes of the test set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch

from harness import environment, training
from harness.artifacts import Folder, key_of, share
from harness.models import PixelClassifier
from harness.pipeline.work import Work, stream, to_numpy, untrained
from harness.training import Epoch


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
        "code": environment.code_digest(
            "models", "training", "environment", "pipeline/work", "pipeline/networks"
        ),
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
                "logits": to_numpy(torch.cat(logits)),
                "labels": work.dataset.test_labels.astype(np.int64),
                "baseline_logits": to_numpy(baseline),
            },
        )
        folder.write_arrays(
            "codes.npz",
            {
                "firing_frequency": to_numpy(fired) / len(work.train_images),
                "l0": to_numpy(torch.cat(l0)),
                "atoms": to_numpy(autoencoder.atoms).astype(np.float16),
                "squared_errors": to_numpy(torch.cat(errors)),
                "squared_deviations": to_numpy(torch.cat(deviations)),
            },
        )
