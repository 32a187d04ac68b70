"""Train the autoencoder, and the classifier on its codes: plain loops over tensors in memory."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import CheckpointError, TrainingDiverged
from harness.models import KSparseAutoencoder

PART = 4096
"""Rows that are evaluated at once outside training."""


@dataclass(frozen=True)
class Epoch:
    """One row of `training.csv`.

    Attributes:
        stage: `autoencoder` or `classifier`.
        epoch: From 1.
        loss: Mean over the epoch's images: squared error a pixel, or cross-entropy in nats.
        accuracy: Share of the epoch's training images named rightly, with dropout on; None for the
            autoencoder.
        seconds: Wall clock.
    """

    stage: Literal["autoencoder", "classifier"]
    epoch: int
    loss: float
    accuracy: float | None
    seconds: float


def train_autoencoder(
    model: KSparseAutoencoder,
    images: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    generator: torch.Generator,
) -> Iterator[Epoch]:
    """Minimise the mean squared error of the reconstructions with Adam, one record an epoch.

    Args:
        model: On the images' device.
        images: float32 [n, pixels], in [0, 1].
        epochs: Passes over the images, each in a new order.
        batch_size: Images a step; the last step of an epoch takes what is left.
        learning_rate: Adam's.
        generator: On the CPU; draws the orders.

    Raises:
        TrainingDiverged: at the first loss that is NaN or infinite.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    model.train()
    for epoch in range(1, epochs + 1):
        start, total = time.perf_counter(), 0.0
        for step, batch in enumerate(_batches(len(images), batch_size, generator, images.device)):
            loss = F.mse_loss(model(images[batch]), images[batch])
            total += _step(optimizer, loss, "autoencoder", epoch, step) * len(batch)
        yield Epoch("autoencoder", epoch, total / len(images), None, time.perf_counter() - start)
    model.eval()


def train_classifier(
    model: nn.Module,
    codes: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    generator: torch.Generator,
) -> Iterator[Epoch]:
    """Minimise the cross-entropy of the labels given codes (float32 [n, code_width]) with Adam.

    Arguments, records and errors as in `train_autoencoder`; labels are int64 [n].
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    model.train()
    for epoch in range(1, epochs + 1):
        start, total = time.perf_counter(), 0.0
        right = torch.zeros((), dtype=torch.int64, device=codes.device)
        for step, batch in enumerate(_batches(len(codes), batch_size, generator, codes.device)):
            logits = model(codes[batch])
            loss = F.cross_entropy(logits, labels[batch])
            total += _step(optimizer, loss, "classifier", epoch, step) * len(batch)
            right += (logits.argmax(1) == labels[batch]).sum()
        seconds = time.perf_counter() - start
        yield Epoch("classifier", epoch, total / len(codes), int(right) / len(codes), seconds)
    model.eval()


def _batches(n: int, size: int, generator: torch.Generator, device: torch.device) -> Iterator[Tensor]:
    """The numbers 0..n-1 in a new order, in batches."""
    return iter(torch.randperm(n, generator=generator).to(device).split(size))


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, stage: str, epoch: int, step: int) -> float:
    """One step of the optimiser; the loss as a number."""
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingDiverged(
            f"{stage}: the loss is {value} at epoch {epoch}, step {step + 1}; "
            "look at the training data, or lower --learning-rate"
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return value


@torch.no_grad()
def encode(model: KSparseAutoencoder, images: Tensor) -> Tensor:
    """The codes (float32 [n, code_width]) of many images, part by part."""
    codes = images.new_empty(len(images), model.encoder.out_features)
    for done, part in zip(codes.split(PART), images.split(PART), strict=True):
        done.copy_(model.encode(part))
    return codes


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill a module from a file of tensors; nothing in the file is executed.

    Raises:
        CheckpointError: damaged, holding more than tensors, of another network, or not finite.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: missing; train anew with --fresh") from None
    except Exception as error:  # torch raises errors of many kinds for a file that is no checkpoint
        # torch's own text is left out: it advises to load the file unsafely
        raise CheckpointError(
            f"{path}: refused: damaged, or not a plain file of weights ({type(error).__name__}, "
            f"{path.stat().st_size} bytes); nothing in it was executed; train anew with --fresh"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: refused: must hold a state dict of tensors; train anew with --fresh")
    wanted = module.state_dict()
    for name in dict.fromkeys([*wanted, *state]):  # all is looked at before anything is filled
        expected, got = (_shape(weights.get(name)) for weights in (wanted, state))
        if expected != got:
            raise CheckpointError(
                f"{path}: weights of another network: {name} must be {expected} (got {got}); "
                "train anew with --fresh"
            )
        if not torch.isfinite(state[name].to(wanted[name].dtype)).all():
            raise CheckpointError(f"{path}: {name} holds NaN or infinite weights; train anew with --fresh")
    module.load_state_dict(state)


def _shape(weights: Tensor | None) -> str:
    return "absent" if weights is None else " x ".join(map(str, weights.shape)) or "one number"
