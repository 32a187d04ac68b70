"""Training the classifier on the units that are ever active: same recipe, same gradients, less to compute.

A unit that is 0 in every code never gives its column of the first layer a gradient, so Adam, whose moments
start from 0, leaves that column exactly as it is: it is not computed. The step is written out, in memory that
all steps share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.subjects.adam import Adam, copy_of
from harness.subjects.sparse.training import PART


class ClassifierTraining:
    """The weights and Adam's moments of a rectifier network in training, on the units ever active.

    Args:
        classifier: Linear layers with relu and dropout between them; filled by `store`.
        codes: float [n, code_width], on the CPU.
        labels: int64 [n].
        learning_rate: Adam's.
    """

    def __init__(
        self, classifier: nn.Sequential, codes: Tensor, labels: Tensor, learning_rate: float
    ) -> None:
        self.layers = [layer for layer in classifier if isinstance(layer, nn.Linear)]
        self.dropped = [layer.p for layer in classifier if isinstance(layer, nn.Dropout)]
        self.live = torch.stack([part.any(dim=0) for part in codes.split(PART)]).any(dim=0).nonzero()[:, 0]
        self.codes = torch.cat([part.index_select(1, self.live) for part in codes.split(PART)])
        self.labels = labels
        self.classes = torch.eye(self.layers[-1].out_features, dtype=codes.dtype)
        first, *rest = [layer.weight.detach() for layer in self.layers]
        self.weights = [first[:, self.live].contiguous(), *(copy_of(weight) for weight in rest)]
        self.weights += [copy_of(layer.bias) for layer in self.layers]
        self.adam = Adam(self.weights, learning_rate)
        self.gradients = [torch.zeros_like(weight) for weight in self.weights]  # of the last step
        self.rooms: dict[int, _Room] = {}

    def step(self, batch: Tensor) -> tuple[float, int]:
        """One step of Adam on the codes numbered `batch`; the loss before it, and how many were right."""
        depth, labels = len(self.layers), self.labels.index_select(0, batch)
        weights, biases = self.weights[:depth], self.weights[depth:]
        room = self._room(len(batch))
        inputs, masks = room.inputs, room.masks.draw()
        torch.index_select(self.codes, 0, batch, out=inputs[0])
        for layer, p in enumerate(self.dropped):
            values = inputs[layer + 1]
            torch.addmm(biases[layer], inputs[layer], weights[layer].T, out=values).relu_()
            if p:  # 0 + scale * values * mask, in one pass
                torch.addcmul(room.zero, values, masks[layer], value=_scale(p), out=values)
        logits = torch.addmm(biases[-1], inputs[-1], weights[-1].T)
        chances = logits.log_softmax(dim=1)
        loss = float(F.nll_loss(chances, labels))
        if not math.isfinite(loss):  # the step is not taken
            return loss, 0
        right = int((logits.argmax(dim=1) == labels).sum())
        slope = chances.exp_().sub_(self.classes.index_select(0, labels)).div_(len(batch))
        for layer in reversed(range(depth)):
            torch.mm(slope.T, inputs[layer], out=self.gradients[layer])
            torch.sum(slope, dim=0, out=self.gradients[depth + layer])
            if layer:
                opened = inputs[layer].sign_()  # what relu and dropout let through
                slope = torch.mm(slope, weights[layer], out=room.slopes[layer - 1])
                torch.addcmul(room.zero, slope, opened, value=_scale(self.dropped[layer - 1]), out=slope)
        self.adam.step(self.gradients)
        return loss, right

    def _room(self, size: int) -> _Room:
        if size not in self.rooms:  # an epoch's batches are of one size, but for the last
            widths = [weight.shape[1] for weight in self.weights[: len(self.layers)]]
            self.rooms[size] = _Room(self.codes, size, widths, self.dropped)
        return self.rooms[size]

    @torch.no_grad()
    def store(self) -> None:
        """Write the weights into the classifier."""
        depth = len(self.layers)
        self.layers[0].weight[:, self.live] = self.weights[0]
        for layer, weight in zip(self.layers[1:], self.weights[1:depth], strict=True):
            layer.weight.copy_(weight)
        for layer, bias in zip(self.layers, self.weights[depth:], strict=True):
            layer.bias.copy_(bias)

    @torch.no_grad()
    def load(self) -> None:
        """Take the classifier's weights, which somebody may have changed since `store`."""
        first, *rest = [layer.weight for layer in self.layers]
        found = [first[:, self.live], *rest, *(layer.bias for layer in self.layers)]
        for weight, changed in zip(self.weights, found, strict=True):
            weight.copy_(changed)


class _Room:
    """Where the steps on batches of one size keep what they compute: memory is neither asked for nor cleared.

    Args:
        like: Gives the type.
        size: Codes in a batch.
        widths: Of each layer's inputs.
        dropped: Each hidden layer's chance of dropout.
    """

    def __init__(self, like: Tensor, size: int, widths: Sequence[int], dropped: Sequence[float]) -> None:
        self.zero = like.new_zeros(())
        self.inputs = [like.new_empty(size, width) for width in widths]
        self.slopes = [torch.empty_like(values) for values in self.inputs[1:]]
        self.masks = Masks(self.slopes, dropped)


class Masks:
    """Masks of dropout (Srivastava et al. 2014), drawn again and again: 0 with chance p, else 1.

    16 bits of torch's global generator decide a value, where torch's own dropout spends a draw; p is
    rounded to 1/65536, and a p of 0 spends nothing.

    Args:
        values: Tensors whose shapes and types the masks have.
        chances: p of each.
    """

    def __init__(self, values: Sequence[Tensor], chances: Sequence[float]) -> None:
        counts = [-(-one.numel() // 4) if p else 0 for one, p in zip(values, chances, strict=True)]
        self.words = torch.empty(sum(counts), dtype=torch.int64)
        self.masks = [torch.ones_like(one) for one in values]
        self.drawn = [
            (mask, words.view(torch.int16)[: mask.numel()].view(mask.shape), _least(p))
            for mask, words, p in zip(self.masks, self.words.split(counts), chances, strict=True)
            if p
        ]

    def draw(self) -> list[Tensor]:
        """New masks, in the memory of the last ones."""
        self.words.random_(-(2**63), None)
        for mask, bits, least in self.drawn:
            mask.copy_(bits.ge_(least))
        return self.masks


def _least(p: float) -> int:
    """The least of 16 random bits that keeps a value."""
    return min(round(p * 2**16), 2**16 - 1) - 2**15


def _scale(p: float) -> float:
    """What dropout multiplies the values with that it keeps; where it keeps none, 0."""
    return 1 / (1 - p) if p < 1 else 0.0
