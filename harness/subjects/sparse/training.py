"""Training the autoencoder on the units that matter: same recipe, same gradients, a part of the work.

Of the code's units each image uses k, a batch a few hundred at most, and after the first epochs most are
never used again. Two exact savings follow.

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
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.subjects.adam import BETAS, Adam, copy_of
from harness.subjects.models import KSparseAutoencoder

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
            copy_of(model.encoder.weight),
            copy_of(model.encoder.bias),
            copy_of(model.atoms),
            copy_of(model.decoder.bias),
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

    @torch.no_grad()
    def load(self) -> None:
        """Take the model's weights where somebody changed them since `store`; every unit is awake then."""
        model, units = self.model, self.units
        found = [
            model.encoder.weight[units],
            model.encoder.bias[units],
            model.atoms[units],
            model.decoder.bias,
        ]
        if all(map(torch.equal, found, self.weights)):
            return
        missed = self.steps - self.asleep_since[self.awake :]
        for moments, beta in zip((self.adam.first_moments, self.adam.second_moments), BETAS, strict=True):
            for moment in moments[:3]:
                moment[self.awake :] *= (beta**missed).to(moment).view(-1, *[1] * (moment.dim() - 1))
        self.awake = len(self.units)
        self.ceiling.zero_()
        for weight, changed in zip(self.weights, found, strict=True):
            weight.copy_(changed)


def _sorting(units: Tensor, width: int) -> Tensor:
    """What sorts units in 0..width-1, stably; numpy's radix sort is several times faster than torch's."""
    small = units.numpy().astype(np.int16 if width <= 2**15 else np.int64)
    return torch.from_numpy(np.argsort(small, kind="stable"))
