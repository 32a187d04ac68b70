"""Several seeds trained at once as one batched model: what keeps a GPU busy that one small network cannot.

Each seed has its own weights, its own order of images and its own moments of Adam; nothing passes between
them. A batched product rounds otherwise than a lone one, so a seed's weights depend on how many were
stacked, in the last digits at first. On a GPU a step is recorded once as a CUDA graph and replayed, and
the host waits once an epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from harness.errors import TrainingDiverged
from harness.records import Epoch, Training

Weights = dict[str, Tensor]
Losses = Callable[[Callable[[Tensor], Tensor], Tensor], tuple[Tensor, Tensor]]

WARM_UP = 3
"""Steps that a GPU takes one by one before one is recorded (PyTorch's notes on CUDA graphs)."""


def train_autoencoders(
    models: Sequence[nn.Module], images: Tensor, generators: Sequence[torch.Generator], **recipe: Any
) -> Iterator[tuple[Epoch, ...]]:
    """As `training.train_autoencoder`, of several models of one shape at once.

    Args:
        models: On the images' device.
        images: float32 [n, pixels], in [0, 1]; shared.
        generators: One for each model, on the CPU; draws the orders of its images.
        recipe: `epochs`, `batch_size` and `learning_rate`.

    Returns:
        One tuple an epoch, a record for each model.
    """

    def losses(outputs: Callable[[Tensor], Tensor], batch: Tensor) -> tuple[Tensor, Tensor]:
        x = images[batch]  # [models, size, pixels]
        error = (outputs(x) - x).square().mean(dim=(1, 2))
        return error, torch.zeros_like(error)

    return _train("autoencoder", models, losses, len(images), images.device, generators, **recipe)


def train_classifiers(
    models: Sequence[nn.Module],
    codes: Tensor,
    labels: Tensor,
    generators: Sequence[torch.Generator],
    **recipe: Any,
) -> Iterator[tuple[Epoch, ...]]:
    """As `training.train_classifier`, of several models at once.

    Arguments as in `train_autoencoders`; codes are float32 [models, n, code_width], labels int64 [n].
    """
    numbers = torch.arange(len(models), device=codes.device)[:, None]

    def losses(outputs: Callable[[Tensor], Tensor], batch: Tensor) -> tuple[Tensor, Tensor]:
        logits = outputs(codes[numbers, batch])  # [models, size, classes]
        wanted = labels[batch]
        entropy = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
        right = (logits.argmax(dim=2) == wanted).sum(dim=1)
        return entropy.view(wanted.shape).mean(dim=1), right

    return _train("classifier", models, losses, len(labels), codes.device, generators, **recipe)


def _train(
    stage: Training,
    models: Sequence[nn.Module],
    losses: Losses,
    n: int,
    device: torch.device,
    generators: Sequence[torch.Generator],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
) -> Iterator[tuple[Epoch, ...]]:
    for model in models:
        model.train()
    weights, buffers = stack_module_state(list(models))
    optimizer = torch.optim.Adam(
        weights.values(), lr=learning_rate, fused=True, capturable=device.type == "cuda"
    )

    def outputs(inputs: Tensor) -> Tensor:
        def alone(weights: Weights, buffers: Weights, inputs: Tensor) -> Tensor:
            return functional_call(models[0], (weights, buffers), (inputs,))  # type: ignore[no-any-return]

        return torch.vmap(alone, randomness="different")(weights, buffers, inputs)

    def step(batch: Tensor) -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss, right = losses(outputs, batch)
        loss.sum().backward()
        optimizer.step()
        return torch.stack([loss.detach(), right])  # [2, models]

    take = _Recorded(step) if device.type == "cuda" else step
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        orders = torch.stack([torch.randperm(n, generator=one) for one in generators]).to(device)
        batches = orders.split(batch_size, dim=1)
        log = torch.stack([take(batch) for batch in batches]).double().cpu()  # [steps, 2, models]
        _refuse_divergence(stage, epoch, log[:, 0])
        _store(models, weights)
        sizes = torch.tensor([batch.shape[1] for batch in batches], dtype=torch.float64)
        means = (sizes @ log[:, 0] / n).tolist()
        shares = (log[:, 1].sum(dim=0) / n).tolist()
        seconds = time.perf_counter() - start
        yield tuple(
            Epoch(stage, epoch, mean, share if stage == "classifier" else None, seconds)
            for mean, share in zip(means, shares, strict=True)
        )
    for model in models:
        model.eval()


def _refuse_divergence(stage: Training, epoch: int, losses: Tensor) -> None:
    """Raise for the first loss that is no number; losses are [steps, models]."""
    bad = (~losses.isfinite()).nonzero().tolist()
    if bad:
        step, number = bad[0]
        which = f"{stage} {number + 1} of {losses.shape[1]}" if losses.shape[1] > 1 else stage
        raise TrainingDiverged.at(which, epoch, step + 1, float(losses[step, number]))


@torch.no_grad()
def _store(models: Sequence[nn.Module], weights: Weights) -> None:
    for number, model in enumerate(models):
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name][number])


class _Recorded:
    """A step on a GPU, recorded once as a CUDA graph and then replayed.

    The first steps are taken one by one on a stream of their own, as recording wants it; so is a batch of
    another size, such as an epoch's last one.
    """

    def __init__(self, step: Callable[[Tensor], Tensor]) -> None:
        self.step, self.taken = step, 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.batch, self.result = torch.empty(0), torch.empty(0)

    def __call__(self, batch: Tensor) -> Tensor:
        if self.graph is not None and batch.shape == self.batch.shape:
            self.batch.copy_(batch)
            self.graph.replay()
            return self.result.clone()
        if self.taken < WARM_UP or batch.shape != self.batch.shape:
            return self._alone(batch)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):  # records, and computes nothing
            self.result = self.step(self.batch)
        return self(batch)

    def _alone(self, batch: Tensor) -> Tensor:
        if self.taken == 0:
            self.batch = batch.clone()
        self.taken += 1
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            result = self.step(batch)
        torch.cuda.current_stream().wait_stream(side)
        return result
