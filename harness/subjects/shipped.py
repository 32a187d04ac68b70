"""The models that ship: each a factory, registered by the name that a configuration gives it."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from harness import environment
from harness.registry import Registry
from harness.subjects.autoencoders import (
    RectifiedAutoencoder,
    RevivingAutoencoder,
    VariationalAutoencoder,
)
from harness.subjects.models import Classifier, Convolutional, KSparseAutoencoder, PixelClassifier

Factory = Callable[..., nn.Module]
Shape = tuple[int, ...]

models: Registry[Factory] = Registry("model")


@models.register("k-sparse")
def k_sparse(*, shape: Shape, classes: int, seed: int, k: int = 50, code_width: int = 1024) -> nn.Module:
    """A k-sparse autoencoder, and a classifier on its codes; each is drawn by itself."""
    return _coded(seed, classes, code_width, lambda: KSparseAutoencoder(k, math.prod(shape), code_width))


@models.register("topk-auxk")
def topk_auxk(
    *,
    shape: Shape,
    classes: int,
    seed: int,
    k: int = 50,
    code_width: int = 1024,
    auxiliary: int = 512,
    patience: int = 100,
) -> nn.Module:
    """The same with atoms of length 1, and dead units revived."""
    return _coded(
        seed,
        classes,
        code_width,
        lambda: RevivingAutoencoder(k, math.prod(shape), code_width, auxiliary=auxiliary, patience=patience),
    )


@models.register("relu-l1")
def relu_l1(*, shape: Shape, classes: int, seed: int, code_width: int = 1024, l1: float = 5e-4) -> nn.Module:
    """The same without top-k: sparse by a penalty, and continuous."""
    return _coded(seed, classes, code_width, lambda: RectifiedAutoencoder(math.prod(shape), code_width, l1))


@models.register("dense")
def dense(*, shape: Shape, classes: int, seed: int, code_width: int = 1024) -> nn.Module:
    """The same without top-k and without a penalty."""
    return _coded(seed, classes, code_width, lambda: RectifiedAutoencoder(math.prod(shape), code_width))


@models.register("vae")
def vae(*, shape: Shape, classes: int, seed: int, latent: int = 64, hidden: int = 512) -> nn.Module:
    """A variational autoencoder, and the classifier on its codes' means."""
    return _coded(seed, classes, latent, lambda: VariationalAutoencoder(math.prod(shape), latent, hidden))


def _coded(seed: int, classes: int, code_width: int, autoencoder: Callable[[], nn.Module]) -> nn.Module:
    """An autoencoder, and the reference classifier on its codes; each is drawn by itself."""
    with environment.seeded(environment.stream(seed, "autoencoder")):
        encoding = autoencoder()
    with environment.seeded(environment.stream(seed, "classifier")):
        return PixelClassifier(encoding, Classifier(code_width, classes=classes))


@models.register("mlp")
def mlp(
    *, shape: Shape, classes: int, hidden: tuple[int, ...] = (512, 256), dropout: float = 0.3
) -> nn.Module:
    """The reference classifier on the inputs themselves: no autoencoder, no code."""
    return Classifier(math.prod(shape), tuple(hidden), classes, dropout)


@models.register("convolutional")
def convolutional(*, shape: Shape, classes: int, width: int = 16, dropout: float = 0.3) -> nn.Module:
    """A small convolutional network: of images of any channels, and of series."""
    return Convolutional(shape, classes, width, dropout)
