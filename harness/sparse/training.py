"""Training a k-sparse autoencoder on the units that matter: same recipe, same gradients, a part of the work.

Of the code's units a batch uses a few hundred at most, and after the first epochs most are never used
again. Two exact savings follow.

*Products over the batch's active units.* With r = x_hat - x, N the number of a batch's pixels and S the
units active anywhere in it, the gradients of L = sum r^2 / N are

    dL/dc = 2/N sum_i r_i          dL/dz = 2/N r D_S, where z > 0     (0 elsewhere)
    dL/dD_S = 2/N r^T z_S          dL/dW_S = (dL/dz)^T x,  dL/db_S = sum_i dL/dz_i

and 0 for every unit outside S. (S is about 200 of 1024 for the reference recipe.)

*Sleeping units.* Adam moves a unit that has no gradient by lr m/sqrt(v), which shrinks by 0.9/sqrt(0.999)
a step: after `PATIENCE` steps all it will ever move is under 1e-11, below a float32 weight's rounding. Its
encoder row is then constant, and so is its pre-activation of every training image. `ceiling[i]` is the
largest of them for image i: while that is below the image's k-th largest activation among the units that
are awake, no sleeping unit can be chosen, and none need be computed. Where it is not, the sleeping units
are computed for those images, and whoever belongs to the k wakes up before the step is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.adam import adam

from harness.models import KSparseAutoencoder

PATIENCE = 200
"""Steps without a gradient after which a unit sleeps."""

BETAS = (0.9, 0.999)
EPSILON = 1e-8
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
        self.learning_rate, self.bfloat16 = learning_rate, bfloat16
        width = model.encoder.out_features
        self.weights = [  # by unit, but for the last: W, b, D^T, c
            model.encoder.weight.detach().clone(),
            model.encoder.bias.detach().clone(),
            model.atoms.detach().clone(memory_format=torch.contiguous_format),
            model.decoder.bias.detach().clone(),
        ]
        self.first_moments = [torch.zeros_like(weight) for weight in self.weights]
        self.second_moments = [torch.zeros_like(weight) for weight in self.weights]
        self.gradients = [torch.zeros_like(weight) for weight in self.weights]
        self.steps = torch.zeros(())
        self.units = torch.arange(width)
        self.last_active = torch.zeros(width)
        self.asleep_since = torch.zeros(width)
        self.awake = width
        self.ceiling = images.new_zeros(len(images))

    def step(self, batch: Tensor) -> float:
        """One step of Adam on the images numbered `batch` (int64 [size]); the loss before it."""
        x = self.images.index_select(0, batch)
        values, chosen = self._chosen(x, batch)
        z = x.new_zeros(len(x), self.awake).scatter_(1, chosen, values)
        alive = torch.bincount(chosen.flatten(), minlength=self.awake).nonzero()[:, 0]
        z, atoms = z.index_select(1, alive), self.weights[2].index_select(0, alive)
        residual = torch.addmm(self.weights[3], z, atoms).sub_(x)
        loss = float(torch.dot(residual.flatten(), residual.flatten())) / residual.numel()
        if not math.isfinite(loss):  # the step is not taken
            return loss
        slope = residual.mul_(2 / residual.numel())
        to_code = (slope @ atoms.T).mul_(z > 0)
        found = (to_code.T @ x, to_code.sum(dim=0), z.T @ slope)
        for gradient, rows in zip(self.gradients, found, strict=False):
            gradient[: self.awake].zero_().index_copy_(0, alive, rows)
        torch.sum(slope, dim=0, out=self.gradients[3])
        self.last_active[alive] = float(self.steps)
        self._adam()
        return loss

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

    def _adam(self) -> None:
        awake = [slice(self.awake)] * 3 + [slice(None)]
        weights, gradients, first, second = (
            [tensor[rows] for tensor, rows in zip(tensors, awake, strict=True)]
            for tensors in (self.weights, self.gradients, self.first_moments, self.second_moments)
        )
        adam(
            weights,
            gradients,
            first,
            second,
            [],
            [self.steps.clone() for _ in weights],
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )
        self.steps += 1

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
            missed = float(self.steps - self.asleep_since[self.awake])
            for moments, beta in zip((self.first_moments, self.second_moments), BETAS, strict=True):
                for moment in moments[:3]:
                    moment[self.awake] *= beta**missed
            self.awake += 1
        return len(rows) > 0

    def _by_unit(self) -> Iterator[Tensor]:
        for tensors in (self.weights, self.first_moments, self.second_moments):
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


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014) that spends 16 random bits a value, where torch spends a call.

    The chance is p rounded to 1/65536; the draws are those of torch's global generator on the CPU.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """The values that are kept, over 1 - p; in evaluation all of them, as they are."""
        if not self.training or self.p == 0:
            return input
        dropped = min(round(self.p * 2**16), 2**16 - 1)
        words = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.int16)[: input.numel()].view_as(input) >= dropped - 2**15
        return input * kept.to(input.dtype).mul_(1 / (1 - dropped / 2**16))


def narrowed(classifier: nn.Module, codes: Tensor) -> tuple[nn.Module, Tensor, Callable[[], None]]:
    """The part of a classifier that sees the units which are ever active, and their codes.

    A unit that is 0 in every code never gives its column of the first layer a gradient, so Adam, whose
    moments start from 0, leaves that column exactly as it is: it need not be computed.

    Args:
        classifier: A sequence whose first layer is linear; another module is given back as it is.
        codes: float [n, code_width].

    Returns:
        The classifier on the live units, all other weights shared; the codes [n, live units]; and what
        writes the first layer's columns back.
    """
    if not isinstance(classifier, nn.Sequential) or not isinstance(classifier[0], nn.Linear):
        return classifier, codes, lambda: None
    whole, live = classifier[0], codes.any(dim=0).nonzero()[:, 0]
    first = nn.utils.skip_init(nn.Linear, len(live), whole.out_features, dtype=whole.weight.dtype)
    first.weight.data.copy_(whole.weight.detach()[:, live])
    first.bias = whole.bias
    layers = (Dropout(one.p) if isinstance(one, nn.Dropout) else one for one in list(classifier)[1:])

    @torch.no_grad()
    def store() -> None:
        whole.weight[:, live] = first.weight

    return nn.Sequential(first, *layers), codes.index_select(1, live), store
