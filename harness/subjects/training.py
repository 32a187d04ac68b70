"""Train the autoencoder, and the classifier on its codes, as fast as the device allows.

On a CPU the sparsity of the codes is used (`sparse`), on a GPU a recorded step (`stacked`); the recipe and
its gradients are the same. A network that is not as the harness wrote it is trained by autograd as it is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.environment.state import clean, evaluation, stepwise
from harness.errors import CheckpointError, InputError, TrainingDiverged
from harness.records import Epoch, Training
from harness.subjects import inputs, stacked
from harness.subjects.sparse import training as sparse
from harness.subjects.sparse.classifier import ClassifierTraining
from harness.subjects.sparse.proof import classifies_like, reconstructs_like
from harness.subjects.sparse.structure import is_rectifier_network, is_sparse_autoencoder

PART = sparse.PART
"""Rows that are evaluated at once outside training."""


def train_autoencoder(
    model: nn.Module,
    images: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    generator: torch.Generator,
    bfloat16: bool = False,
    any_scale: bool = False,
) -> Iterator[Epoch]:
    """Minimise the mean squared error of the reconstructions with Adam, one record an epoch.

    A model that has a `loss` of a batch of images minimises that instead. After each epoch the model holds
    its weights.

    Args:
        model: Trained where it is. One that is not as the harness wrote it - a subclass, hooked, partly
            frozen, parametrised - is trained as it says, by autograd.
        images: float32 [n, pixels], in [0, 1]; `inputs.images_of` says what else is taken.
        epochs: Passes over the images, each in a new order.
        batch_size: Images a step; the last step of an epoch takes what is left.
        learning_rate: Adam's.
        generator: On the CPU; draws the orders.
        bfloat16: Whether the encoder's product is rounded to bfloat16 while training on a CPU.
        any_scale: Whether images may lie outside [0, 1]: inputs that somebody else has looked at.

    Raises:
        InputError: images that cannot be meant, or nothing to train.
        TrainingDiverged: at the first loss that is NaN or infinite; that step is not taken.
    """
    epochs, batch_size, learning_rate = inputs.recipe_of(epochs, batch_size, learning_rate, generator)
    recipe: dict[str, Any] = dict(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)

    @clean()
    def begin() -> Iterator[Epoch]:
        inputs.refuse_untrainable(model)
        x = inputs.images_of(images, model)
        if not any_scale:
            inputs.refuse_unscaled_to_train(x)
        batches = _batches(len(x), batch_size, generator)
        if is_sparse_autoencoder(model):
            if x.device.type != "cpu":
                stack = stacked.train_autoencoders([model], x, [generator], **recipe)
                return (epoch for (epoch,) in stack)
            if reconstructs_like(model, x):
                state, k = sparse.AutoencoderTraining(model, x, learning_rate, bfloat16=bfloat16), model.k

                def load() -> None:
                    _refuse_changed(is_sparse_autoencoder(model) and model.k == k)
                    state.load()

                step = lambda batch: (state.step(batch), 0)  # noqa: E731
                return _epochs("autoencoder", model, epochs, batches, step, state.store, state.rest, load)

        own: Callable[[Tensor], Tensor] | None = getattr(model, "loss", None)

        def losses(batch: Tensor) -> tuple[Tensor, int]:
            return F.mse_loss(model(x[batch]), x[batch]) if own is None else own(x[batch]), 0

        return _epochs("autoencoder", model, epochs, batches, _plain_step(model, losses, learning_rate))

    return stepwise(begin())


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
    """Minimise the cross-entropy of the labels given codes with Adam, one record an epoch.

    Args:
        model: Codes to logits; trained where it is, as in `train_autoencoder`.
        codes: float32 [n, code_width].
        labels: int64 [n], the class of each code, in any whole-number type.
        epochs: Passes over the codes, each in a new order.
        batch_size: Codes a step; the last step of an epoch takes what is left.
        learning_rate: Adam's.
        generator: On the CPU; draws the orders.

    Raises:
        InputError: codes or labels that cannot be meant, or nothing to train.
        TrainingDiverged: at the first loss that is NaN or infinite; that step is not taken.
    """
    epochs, batch_size, learning_rate = inputs.recipe_of(epochs, batch_size, learning_rate, generator)
    recipe: dict[str, Any] = dict(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)

    @clean()
    def begin() -> Iterator[Epoch]:
        inputs.refuse_untrainable(model)
        z = inputs.codes_of(codes, model)
        with evaluation(model):
            y = inputs.classes_of(labels, z, inputs.count_classes(model, z), "labels")
        batches = _batches(len(y), batch_size, generator)
        if is_rectifier_network(model):
            if z.device.type != "cpu":
                stack = stacked.train_classifiers([model], z[None], y, [generator], **recipe)
                return (epoch for (epoch,) in stack)
            if classifies_like(model, z, y):
                state = ClassifierTraining(model, z, y, learning_rate)

                def load() -> None:
                    dropped = [one.p for one in model if isinstance(one, torch.nn.Dropout)]
                    _refuse_changed(is_rectifier_network(model) and dropped == state.dropped)
                    state.load()

                return _epochs("classifier", model, epochs, batches, state.step, state.store, load=load)

        def losses(batch: Tensor) -> tuple[Tensor, int]:
            logits = model(z[batch])
            return F.cross_entropy(logits, y[batch]), int((logits.argmax(dim=1) == y[batch]).sum())

        return _epochs("classifier", model, epochs, batches, _plain_step(model, losses, learning_rate))

    return stepwise(begin())


def _plain_step(
    model: nn.Module, losses: Callable[[Tensor], tuple[Tensor, int]], learning_rate: float
) -> Callable[[Tensor], tuple[float, int]]:
    """A step of any module by autograd: what requires a gradient is trained, and buffers follow.

    Args:
        model: In training mode when a step is taken.
        losses: A batch's loss, and how many of its images are named rightly.
        learning_rate: Adam's.
    """
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=learning_rate)

    @torch.enable_grad()
    def step(batch: Tensor) -> tuple[float, int]:
        before = [(buffer, buffer.clone()) for buffer in model.buffers()]
        loss, right = losses(batch)
        value = float(loss.detach())
        if not math.isfinite(value):  # the step is not taken, by a running mean neither
            for buffer, content in before:
                buffer.copy_(content)
            return value, right
        own = [(one, one.grad) for one in trained]
        for one in trained:
            one.grad = None
        loss.backward()
        optimizer.step()
        for one, gradient in own:  # what the caller had gathered
            one.grad = gradient
        return value, right

    return step


@torch.no_grad()
def _epochs(
    stage: Training,
    model: nn.Module,
    epochs: int,
    batches: Callable[[], tuple[Tensor, ...]],
    step: Callable[[Tensor], tuple[float, int]],
    store: Callable[[], None] = lambda: None,
    rest: Callable[[], None] = lambda: None,
    load: Callable[[], None] = lambda: None,
) -> Iterator[Epoch]:
    """Epochs of steps that each tell their loss, and how many images they named rightly.

    `store` writes the weights into the model after each epoch, broken off or not; `rest` follows a whole one;
    `load` takes what somebody made of the weights before the next.
    """
    _switch_to_training(model)
    for epoch in range(1, epochs + 1):
        if epoch > 1:
            load()
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


def _switch_to_training(model: nn.Module) -> None:
    """Training mode, but for a part that is frozen and was put into evaluation: it stays as it is."""
    kept = [
        part
        for part in model.modules()
        if not part.training
        and (own := list(part.parameters(recurse=False)))
        and not any(one.requires_grad for one in own)
    ]
    model.train()
    for part in kept:
        part.eval()


def _refuse_changed(as_it_was: bool) -> None:
    """Refuse a model whose form was changed while it is trained; changed weights are taken.

    Raises:
        InputError: it was.
    """
    if not as_it_was:
        raise InputError(
            "the model was frozen, hooked or given other parts between two epochs of its training; "
            "change it before, and train it in two calls"
        )


def _batches(n: int, size: int, generator: torch.Generator) -> Callable[[], tuple[Tensor, ...]]:
    """What gives the numbers 0..n-1 in a new order, in batches."""
    return lambda: torch.randperm(n, generator=generator).split(size)


@torch.no_grad()
def encode(model: Any, images: Tensor) -> Tensor:
    """The codes (float32 [n, units]) of many images, part by part."""
    first: Tensor = model.encode(images[:1])
    codes = first.new_empty(len(images), *first.shape[1:])
    for done, part in zip(codes.split(PART), images.split(PART), strict=True):
        done.copy_(model.encode(part))
    return codes


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill a module from a file of tensors; nothing in the file is executed.

    Raises:
        CheckpointError: damaged, holding more than tensors, of another network, or not finite.
    """
    try:
        if path.suffix == ".safetensors":
            state: Any = safetensors.torch.load_file(path)
        else:
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
    prefix = next(iter(state), "").partition(".")[0] + "."
    if set(state) == {prefix + name for name in wanted} and wanted:
        raise CheckpointError(
            f"{path}: all names in it begin with {prefix!r}, a wrapper's, and else are the model's; store "
            f"them without it: {{name.removeprefix({prefix!r}): value for name, value in state.items()}}"
        )
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
