"""Training on noise, as a recipe."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from harness.records import Epoch
from harness.subjects.recipes import recipes

DEVIATION = 0.1


@recipes.register("noise")
def noise(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    generator: Generator,
) -> Iterator[Epoch]:
    """Cross-entropy with Adam, of inputs with new noise in each step (Bishop 1995)."""
    optimizer = torch.optim.Adam(model.parameters(), learning_rate)
    model.train()
    for epoch in range(1, epochs + 1):
        start, total, right = time.perf_counter(), 0.0, 0
        for batch in torch.randperm(len(inputs), generator=generator).split(batch_size):
            batch = batch.to(inputs.device)
            logits = model(inputs[batch] + DEVIATION * torch.randn_like(inputs[batch]))
            loss = functional.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
            right += int((logits.argmax(1) == labels[batch]).sum())
        seconds = time.perf_counter() - start
        yield Epoch("classifier", epoch, total / len(inputs), right / len(inputs), seconds)
