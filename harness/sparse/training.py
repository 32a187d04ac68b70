"""Training on the units that matter: same recipe, same gradients, a part of the work.

Of the code's units each image uses k, a batch a few hundred at most, and after the first epochs most are
never used again. Two exact savings follow for the autoencoder.

*Sums over active units.* With r = x_hat - x, N the number of a batch's pixels, d_j the decoder's atoms and
A_i the active units of image i, the loss L = sum r^2 / N and its gradients are

    x_hat_i = sum_{j in A_i} z_ij d_j + c             dL/dc = 2/N sum_i r_i
    dL/dz_ij = 2/N r_i d_j  for j in A_i              dL/dd_j = 2/N sum_{i: j in A_i} z_ij r_i
    dL/dw_j = sum_{i: j in A_i} dL/dz_ij x_i          dL/db_j = sum_{i: j in A_i} dL/dz_ij

each a weighted sum of rows (an embedding bag), but for dL/dz, which is a product with the atoms that the
batch uses (about 200 of 1024 for the reference recipe).

*Sleeping units.* Adam moves a unit that has no gradient by lr m/sqrt(v), which shrinks by 0.9/sqrt(0.999)
a step: after `PATIENCE` steps all it will ever move is under 1e-11, below a float32 weight's rounding. Its
encoder row is then constant, and so is its pre-activation of every training image. `ceiling[i]` is the
largest of them for image i: while that is below the image's k-th largest activation among the units that
are awake, no sleeping unit can be chosen, and none need be computed. Where it is not, the sleeping units
are computed for those images, and whoever belongs to the k wakes up before the step is taken.

For the classifier, a unit that is 0 in every code never gives its column of the first layer a gradient, so
Adam, whose moments start from 0, leaves that column exactly as it is: it is not computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.adam import BETAS, Adam
from harness.models import KSparseAutoencoder

PATIENCE = 200
"""Steps without a gradient after which a unit sleeps."""

PART = 4096
"""Images whose sleeping units are looked at at once."""


class AutoencoderTraining:
    """The weights and Adam's moments of a k-sparse autoencoder in training, the awake units first.

    Args:
        model: Filled with the weights by `store`; float32 or float64, on the CPU.
        images: [n, pixels], in the model's type.
        learning_rate: Adam's.
        bfloat16: Whether W x is computed in bfloat16: faster where the processor has it, and not the same.
    """

    def __init__(
        self, model: KSparseAutoencoder, images: Tensor, learning_rate: float, *, bfloat16: bool = False
    ) -> None:
        self.model, self.images = model, images
        self.bfloat16 = bfloat16
        width = model.encoder.out_features
        self.weights = [  # by unit, but for the last: W, b, D^T, c
            _copy(model.encoder.weight),
            _copy(model.encoder.bias),
            _copy(model.atoms),
            _copy(model.decoder.bias),
        ]
        self.adam = Adam(self.weights, learning_rate)
        self.gradients: list[Tensor] = []  # of the last step, over the units awake
        self.steps = 0
        self.units = torch.arange(width)
        self.last_active = torch.zeros(width)
        self.asleep_since = torch.zeros(width)
        self.awake = width
        self.ceiling = images.new_zeros(len(images))

    def step(self, batch: Tensor) -> float:
        """One step of Adam on the images numbered `batch` (int64 [size]); the loss before it."""
        x = self.images.index_select(0, batch)
        values, chosen = self._chosen(x, batch)  # [size, k]
        residual = self._rows(chosen, self.weights[2], values).add_(self.weights[3]).sub_(x)
        loss = float(torch.dot(residual.flatten(), residual.flatten())) / residual.numel()
        if not math.isfinite(loss):  # the step is not taken
            return loss
        slope = residual.mul_(2 / residual.numel())
        count = torch.bincount(chosen.flatten(), minlength=self.awake)
        used = count.nonzero()[:, 0]
        place = torch.empty_like(count).index_copy_(0, used, torch.arange(len(used)))
        to_code = (slope @ self.weights[2].index_select(0, used).T).gather(1, place[chosen])
        to_code.mul_(values.sign())
        order = _sorting(chosen.flatten(), self.awake)
        image, start = order // chosen.shape[1], count.cumsum(0) - count
        by_unit = to_code.flatten()[order]
        self.gradients = [
            self._rows(image, x, by_unit, start),
            torch.bincount(chosen.flatten(), to_code.flatten(), minlength=self.awake),
            self._rows(image, slope, values.flatten()[order], start),
            slope.sum(dim=0),
        ]
        self.last_active[used] = float(self.steps)
        self.adam.step(self.gradients, [slice(self.awake)] * 3 + [slice(None)])
        self.steps += 1
        return loss

    @staticmethod
    def _rows(rows: Tensor, table: Tensor, weights: Tensor, start: Tensor | None = None) -> Tensor:
        """Weighted sums of a table's rows: one a row of `rows`, or one a run of it from each `start`."""
        return F.embedding_bag(rows, table, start, per_sample_weights=weights, mode="sum")

    def _chosen(self, x: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Values and rows of the k units of each image, [size, k]; wakes whoever belongs to them."""
        while True:
            activations = F.relu(self._encode(x, slice(self.awake)), inplace=True)
            values, chosen = activations.topk(self.model.k, dim=1, sorted=False)
            if not self._wake(x, batch, values.amin(dim=1)):
                return values, chosen

    def _encode(self, x: Tensor, rows: slice) -> Tensor:
        encoder, bias = self.weights[0][rows], self.weights[1][rows]
        if self.bfloat16:
            return F.linear(x.bfloat16(), encoder.bfloat16()).to(x.dtype).add_(bias)
        return F.linear(x, encoder, bias)

    def rest(self) -> None:
        """Let the units sleep that had no gradient for `PATIENCE` steps, as long as k stay awake."""
        idle = self.steps - self.last_active[: self.awake] > PATIENCE
        sleepers = int(idle.sum())
        if not sleepers or self.awake - sleepers < self.model.k:
            return
        rows = torch.cat([(~idle).nonzero()[:, 0], idle.nonzero()[:, 0]])
        for tensor in self._by_unit():
            tensor[: self.awake] = tensor[rows]
        self.awake -= sleepers
        slept = slice(self.awake, self.awake + sleepers)
        self.asleep_since[slept] = self.steps
        for ceiling, part in zip(self.ceiling.split(PART), self.images.split(PART), strict=True):
            torch.maximum(ceiling, self._encode(part, slept).amax(dim=1), out=ceiling)

    def _wake(self, x: Tensor, batch: Tensor, smallest: Tensor) -> bool:
        """Whether a sleeping unit belongs to the k of any image, whose smallest value so far is known."""
        if self.awake == len(self.units):
            return False
        ceiling = self.ceiling[batch]
        suspects = ((ceiling >= smallest) & (ceiling > 0)).nonzero()[:, 0]
        if not len(suspects):
            return False
        asleep = self._encode(x[suspects], slice(self.awake, None))
        self.ceiling[batch[suspects]] = asleep.amax(dim=1).clamp(min=0)
        belongs = (asleep >= smallest[suspects, None]) & (asleep > 0)
        rows = belongs.any(dim=0).nonzero()[:, 0] + self.awake
        for row in rows.tolist():
            swapped, back = [self.awake, row], [row, self.awake]
            for tensor in self._by_unit():
                tensor[swapped] = tensor[back]
            missed = self.steps - float(self.asleep_since[self.awake])
            for moments, beta in zip((self.adam.first_moments, self.adam.second_moments), BETAS, strict=True):
                for moment in moments[:3]:
                    moment[self.awake] *= beta**missed
            self.awake += 1
        return len(rows) > 0

    def _by_unit(self) -> Iterator[Tensor]:
        for tensors in (self.weights, self.adam.first_moments, self.adam.second_moments):
            yield from tensors[:3]
        yield from (self.units, self.last_active, self.asleep_since)

    @torch.no_grad()
    def store(self) -> None:
        """Write the weights into the model."""
        encoder, bias, atoms, shift = self.weights
        self.model.encoder.weight[self.units] = encoder
        self.model.encoder.bias[self.units] = bias
        self.model.decoder.weight[:, self.units] = atoms.T
        self.model.decoder.bias.copy_(shift)


def _copy(weight: Tensor) -> Tensor:
    return weight.detach().clone(memory_format=torch.contiguous_format)


def _sorting(units: Tensor, width: int) -> Tensor:
    """What sorts units in 0..width-1, stably; numpy's radix sort is several times faster than torch's."""
    small = units.numpy().astype(np.int16 if width <= 2**15 else np.int64)
    return torch.from_numpy(np.argsort(small, kind="stable"))


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
        self.weights = [first[:, self.live].contiguous(), *map(_copy, rest)]
        self.weights += [_copy(layer.bias) for layer in self.layers]
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
