"""The proof that a network trains as `sparse.training` takes it: a step of a few of its own inputs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.environment.state import evaluation
from harness.subjects.models import KSparseAutoencoder
from harness.subjects.sparse.classifier import ClassifierTraining
from harness.subjects.sparse.structure import Structure, agree, holds, kinks, rectifier_layers
from harness.subjects.sparse.training import AutoencoderTraining

LOOKED_AT = 32
"""Inputs that are looked at for some at which rounding decides nothing."""

ASKED = 8
"""Inputs of the step, at most."""


def reconstructs_like(model: KSparseAutoencoder, images: Tensor) -> bool:
    """Whether a step's loss gradients are autograd's, of a few of the images (float [n, pixels])."""
    rows = _decided(images, Structure(model.encoder, model.k, []).undecided)
    trial = AutoencoderTraining(model, rows, learning_rate=0.0)
    if not len(rows) or not math.isfinite(trial.step(torch.arange(len(rows)))):
        return False
    with torch.enable_grad():
        loss = F.mse_loss(model(rows), rows)
        names = [model.encoder.weight, model.encoder.bias, model.decoder.weight, model.decoder.bias]
        plain = torch.autograd.grad(loss, names)
    encoder, bias, atoms, shift = trial.gradients
    return _equal([encoder, bias, atoms.T, shift], list(plain))


def classifies_like(model: nn.Sequential, codes: Tensor, labels: Tensor) -> bool:
    """The same of a classifier without its dropout, of codes (float [n, code_width]) and labels int64 [n]."""
    layers = rectifier_layers(model) or []
    rows = _decided(codes, lambda some: kinks(layers, some))
    classes = labels[: len(rows)]  # any will do
    trial = ClassifierTraining(model, rows, classes, learning_rate=0.0)
    trial.dropped = [0.0 for _ in trial.dropped]
    if not len(rows) or not len(trial.live) or not math.isfinite(trial.step(torch.arange(len(rows)))[0]):
        return False
    with evaluation(model), torch.enable_grad():
        loss = F.cross_entropy(model(rows), classes)
        names = [layer.weight for layer in layers] + [layer.bias for layer in layers]
        first, *plain = torch.autograd.grad(loss, names)
    return _equal(trial.gradients, [first[:, trial.live], *plain])


@torch.no_grad()
def _decided(inputs: Tensor, undecided: Callable[[Tensor], Tensor]) -> Tensor:
    """A few finite inputs at which rounding decides nothing; none where there are none."""
    some = inputs[:LOOKED_AT]
    some = some[some.isfinite().all(dim=1)]
    return some[~undecided(some)][:ASKED] if len(some) else some


def _equal(fast: list[Tensor], plain: list[Tensor]) -> bool:
    same = torch.stack([agree(a[None], b[None])[0] for a, b in zip(fast, plain, strict=True)])
    return holds(same, lambda: torch.zeros_like(same))
