"""How long the hot parts take at full size: `nox -s bench`. Numbers to read, none to assert."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from harness import attributions, statistics
from harness.config.parameters import ATTRIBUTION_METHODS
from harness.records import Epoch
from harness.subjects import training
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier

Benchmark = Callable[..., Any]


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Two thousand sparse images of noise."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(2048, 784, generator=generator)
    return noise * (torch.rand(2048, 784, generator=generator) < 0.5)


@pytest.fixture(scope="module")
def model() -> PixelClassifier:
    """An untrained network of the mission's size."""
    return PixelClassifier(KSparseAutoencoder(), Classifier()).eval()


def last(epochs: Iterator[Epoch]) -> Epoch:
    return list(epochs)[-1]


SETTINGS: dict[str, Any] = {"epochs": 1, "batch_size": 256, "learning_rate": 1e-3}


def test_an_epoch_of_the_autoencoder(benchmark: Benchmark, images: torch.Tensor) -> None:
    """Eight steps of the autoencoder."""
    autoencoder, generator = KSparseAutoencoder(), torch.Generator()
    benchmark(lambda: last(training.train_autoencoder(autoencoder, images, generator=generator, **SETTINGS)))


def test_an_epoch_of_the_classifier(
    benchmark: Benchmark, images: torch.Tensor, model: PixelClassifier
) -> None:
    """Eight steps of the classifier."""
    codes, labels = training.encode(model.autoencoder, images), torch.zeros(2048, dtype=torch.int64)
    classifier, generator = Classifier(), torch.Generator()
    benchmark(
        lambda: last(training.train_classifier(classifier, codes, labels, generator=generator, **SETTINGS))
    )


@pytest.mark.parametrize("method", ATTRIBUTION_METHODS)
def test_maps_of_200_images(
    benchmark: Benchmark, images: torch.Tensor, model: PixelClassifier, method: str
) -> None:
    """One method's maps of 200 images."""
    targets = torch.zeros(200, dtype=torch.int64)
    benchmark(lambda: attributions.attribute(model, images[:200], targets, method))


def test_10_000_resamples_of_1_000_samples_by_6_pairs(benchmark: Benchmark) -> None:
    """The joint bootstrap of all pairs."""
    generator = np.random.default_rng(0)
    values, strata = generator.standard_normal((1000, 6)), np.repeat(np.arange(10), 100)
    benchmark(lambda: statistics.bootstrap_deviations(values, strata, 10_000, generator))
