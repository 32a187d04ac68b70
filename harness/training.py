"""Train the autoencoder, and the classifier on its codes, as fast as the device allows.

On a CPU the sparsity of the codes is used (`sparse`), on a GPU a recorded step (`stacked`); the recipe and
its gradients are the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness import stacked
from harness.errors import CheckpointError, TrainingDiverged
from harness.models import KSparseAutoencoder, is_as_written
from harness.records import Epoch, Training
from harness.sparse import training as sparse

PART = sparse.PART
"""Rows that are evaluated at once outside training."""


def train_autoencoder(
    model: KSparseAutoencoder,
    images: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    generator: torch.Generator,
    bfloat16: bool = False,
) -> Iterator[Epoch]:
    """Minimise the mean squared error of the reconstructions with Adam, one record an epoch.

    After each epoch the model holds its weights.

    Args:
        model: On the images' device.
        images: float32 [n, pixels], in [0, 1].
        epochs: Passes over the images, each in a new order.
        batch_size: Images a step; the last step of an epoch takes what is left.
        learning_rate: Adam's.
        generator: On the CPU; draws the orders.
        bfloat16: Whether the encoder's product is rounded to bfloat16 while training on a CPU.

    Raises:
        TrainingDiverged: at the first loss that is NaN or infinite; that step is not taken.
    """
    recipe: dict[str, Any] = dict(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    as_written = type(model) is KSparseAutoencoder and is_as_written(model)
    if images.device.type != "cpu" or not as_written:
        stack = stacked.train_autoencoders([model], images, [generator], **recipe)
        return (epoch for (epoch,) in stack)
    state = sparse.AutoencoderTraining(model, images, learning_rate, bfloat16=bfloat16)
    batches = _batches(len(images), batch_size, generator)
    return _epochs(
        "autoencoder", model, epochs, batches, lambda batch: (state.step(batch), 0), state.store, state.rest
    )


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
    recipe: dict[str, Any] = dict(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    if codes.device.type != "cpu" or not sparse.is_rectifier_network(model):
        stack = stacked.train_classifiers([model], codes[None], labels, [generator], **recipe)
        return (epoch for (epoch,) in stack)
    state = sparse.ClassifierTraining(model, codes, labels, learning_rate)
    batches = _batches(len(labels), batch_size, generator)
    return _epochs("classifier", model, epochs, batches, state.step, state.store)


@torch.no_grad()
def _epochs(
    stage: Training,
    model: nn.Module,
    epochs: int,
    batches: Callable[[], tuple[Tensor, ...]],
    step: Callable[[Tensor], tuple[float, int]],
    store: Callable[[], None],
    rest: Callable[[], None] = lambda: None,
) -> Iterator[Epoch]:
    """Epochs of steps that each tell their loss, and how many images they named rightly.

    `store` writes the weights into the model after each epoch, broken off or not; `rest` follows a whole one.
    """
    model.train()
    for epoch in range(1, epochs + 1):
        start, total, n, right = time.perf_counter(), 0.0, 0, 0
        try:
            for number, batch in enumerate(batches(), start=1):
                loss, rightly = step(batch)
                if not math.isfinite(loss):
                    raise TrainingDiverged.at(stage, epoch, number, loss)
                total, n, right = total + loss * len(batch), n + len(batch), right + rightly
        finally:
            store()
        rest()
        accuracy = right / n if stage == "classifier" else None
        yield Epoch(stage, epoch, total / n, accuracy, time.perf_counter() - start)
    model.eval()


def _batches(n: int, size: int, generator: torch.Generator) -> Callable[[], tuple[Tensor, ...]]:
    """What gives the numbers 0..n-1 in a new order, in batches."""
    return lambda: torch.randperm(n, generator=generator).split(size)


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
