"""The recipe `interpretable`: the k-sparse network trained so that explanations of its decisions agree.

The model is the reference one, and so are its two stages, their batches, dropout and Adam. What is added are
parts, each of which can be left out; without any the equations are those of the recipe `reference`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from harness.records import Epoch
from harness.subjects import stacked, training
from harness.subjects.models import largest

LEAST_RATE = 0.02
"""The share of the learning rate that a cosine ends at."""

TIED = {"decoder.weight": "encoder.weight"}
"""The matrix that is another's transpose where weights are tied."""


@dataclass(frozen=True)
class Parts:
    """What the recipe adds to the reference one, each part with its source.

    With x an image in [0, 1], e standard normal, s the share of all steps taken so far, and top(v, n) the n
    largest of v, 0 elsewhere:

        autoencoder:  h = W (x + 0.1 e) + b,  z = top(relu(h), k(s)),  x_hat = W^T z + c
                      minimised: |x_hat - x|^2 + 1/32 |W^T top(h of dead units, 256) - (x - x_hat)|^2
                      k(s) = 4 k at the start, falling evenly to k at half of all steps
        classifier:   minimised: cross-entropy of y given z(x + 0.25 e), a new e each step
        both:         learning rate 0.001 (1 + cos(pi s)) / 2, at least 2 % of 0.001

    Squared errors are means over pixels. In the auxiliary term x - x_hat is held, so it moves dead units
    alone, and the bias c not at all.

    Attributes:
        tied: The decoder is the encoder's transpose, D = W^T, as in the k-sparse autoencoder of its authors
            (Makhzani and Frey 2013, "k-Sparse Autoencoders").
        unit_start: Rows of W have length 1 at the start, D is W^T, and biases are 0 (Gao et al. 2024,
            "Scaling and evaluating sparse autoencoders", arXiv 2406.04093, section 2.4).
        auxiliary: Dead units that rebuild the rest of one image (the same, section A.2, their AuxK); 0 for
            none. Theirs are the largest after relu; ours are ranked and rebuild before it, so that a unit
            that is negative for every image has a gradient too.
        patience: Steps without use after which a unit is dead.
        auxiliary_weight: Of that squared error (theirs).
        annealing: How many times k units are active at the start; k are from half of the steps on (Makhzani
            and Frey 2013, who lower it over the first half of the epochs). 1 for k throughout.
        autoencoder_noise: Standard deviation of the noise on the images that are encoded, in the unit of
            pixels in [0, 1]; the clean image is rebuilt (Vincent et al. 2008, "Extracting and Composing
            Robust Features with Denoising Autoencoders"). 0 for none.
        classifier_noise: Of that on the images whose codes are classified: to first order a penalty on the
            gradient by the pixels (Bishop 1995, "Training with Noise is Equivalent to Tikhonov
            Regularization"). 0 for none.
        weight_decay: Of the classifier's matrices, decoupled (Loshchilov and Hutter 2019, "Decoupled Weight
            Decay Regularization"). 0 for none.
        cosine: Whether the learning rate of both stages falls along half a cosine to 2 % (Loshchilov and
            Hutter 2017, "SGDR").
    """

    tied: bool = True
    unit_start: bool = True
    auxiliary: int = 256
    patience: int = 100
    auxiliary_weight: float = 1 / 32
    annealing: float = 4.0
    autoencoder_noise: float = 0.1
    classifier_noise: float = 0.25
    weight_decay: float = 0.05
    cosine: bool = True


PARTS = Parts()
"""Of the recipe as it ships: chosen on a tenth of the training set that was held back, never on the test."""

REFERENCE = Parts(
    tied=False,
    unit_start=False,
    auxiliary=0,
    annealing=1.0,
    autoencoder_noise=0.0,
    classifier_noise=0.0,
    weight_decay=0.0,
    cosine=False,
)
"""No part at all: the equations of the recipe `reference`."""


def train_autoencoders(
    models: Sequence[nn.Module],
    images: Tensor,
    generators: Sequence[torch.Generator],
    *,
    parts: Parts = PARTS,
    **recipe: Any,
) -> Iterator[tuple[Epoch, ...]]:
    """As `stacked.train_autoencoders`, with parts; noise is drawn from the device's global generator.

    Where weights are tied, the two matrices are copies of one another after each epoch, so a trained model is
    a k-sparse autoencoder like any other; what somebody makes of a decoder between two epochs is not taken.
    The loss that is told is the squared error alone.
    """
    tied: Mapping[str, str] = TIED if parts.tied else {}
    stack = stacked.Stack(models, images.device, stacked.form_of_autoencoder, tied)
    k = stack.form
    if parts.unit_start:
        _start_with_length_1(stack)
    rebuilt = _Rebuilt(stack, parts) if parts.auxiliary else None

    def losses(batch: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        x = images[batch]  # [models, size, pixels]
        h = stack.linear("encoder", _noisy(x, parts.autoencoder_noise))
        codes = strongest(h.relu(), k, parts.annealing, share)
        left = x - stack.linear("decoder", codes)
        error = left.square().mean(dim=(1, 2))
        right = torch.zeros_like(error)
        if rebuilt is not None:
            auxiliary = parts.auxiliary_weight * rebuilt.error(h, codes, left.detach())
            error = error + (auxiliary - auxiliary.detach())  # its gradient alone
        return error, right

    return stacked.train("autoencoder", stack, losses, len(images), generators, **_scheduled(parts, recipe))


def train_classifiers(
    models: Sequence[nn.Module],
    autoencoders: Sequence[nn.Module],
    images: Tensor,
    labels: Tensor,
    generators: Sequence[torch.Generator],
    *,
    parts: Parts = PARTS,
    **recipe: Any,
) -> Iterator[tuple[Epoch, ...]]:
    """As `stacked.train_classifiers`, with parts, on the codes of trained autoencoders of noisy images.

    Args:
        models: Classifiers.
        autoencoders: Of each of them; they are left as they are.
        images: float32 [n, pixels], in [0, 1].
        labels: int64 [n], on any device.
        generators: As in `train_autoencoders`.
        parts: What is added.
        recipe: `epochs`, `batch_size` and `learning_rate`.
    """
    stack = stacked.Stack(models, images.device, stacked.form_of_classifier)
    recipe = _scheduled(parts, recipe) | {"weight_decay": parts.weight_decay}
    if not parts.classifier_noise:
        codes = torch.stack([training.encode(one, images) for one in autoencoders])
        numbers = torch.arange(len(models), device=stack.device)[:, None]
        return stacked.train_on_codes(
            stack, lambda batch: codes[numbers, batch], labels, generators, **recipe
        )
    encoders = stacked.Stack(autoencoders, images.device, stacked.form_of_autoencoder)

    @torch.no_grad()
    def codes_of(batch: Tensor) -> Tensor:
        activations = encoders.linear("encoder", _noisy(images[batch], parts.classifier_noise)).relu()
        return activations * largest(activations, encoders.form)

    return stacked.train_on_codes(stack, codes_of, labels, generators, **recipe)


def strongest(activations: Tensor, k: int, annealing: float, share: Tensor) -> Tensor:
    """The activations [..., units] that are among the k(s) largest of their row, 0 elsewhere.

    Args:
        activations: None negative.
        k: Active units at the end.
        annealing: How many times as many are active at the start, as far as there are units.
        share: Of all steps, float32 (): k is reached at half of them.
    """
    most = min(int(annealing * k), activations.shape[-1])
    if most <= k:
        return activations * largest(activations, k)
    now = (k * (annealing - (annealing - 1) * 2 * share)).round().clamp(k, most).long()
    bound = activations.detach().topk(most, dim=-1).values.index_select(-1, now[None] - 1)
    return activations * (activations >= bound)


class _Rebuilt:
    """What dead units rebuild of the rest, and who is dead: counted on the device, step by step."""

    def __init__(self, stack: stacked.Stack, parts: Parts) -> None:
        self.stack, self.parts = stack, parts
        weight = stack.weight("encoder.weight")
        self.unused = weight.new_zeros(len(weight), weight.shape[2], requires_grad=False)
        """Steps since each unit was last active, [models, units]."""

    def error(self, h: Tensor, codes: Tensor, left: Tensor) -> Tensor:
        """The squared error a pixel, [models].

        Args:
            h: Pre-activations, [models, size, units].
            codes: What is active of them, likewise.
            left: What they leave unexplained, [models, size, pixels], held.
        """
        units = None
        with torch.no_grad():
            self.unused.add_(1).mul_((codes > 0).any(dim=1).logical_not())
            dead = (self.unused >= self.parts.patience)[:, None]
            if dead.device.type == "cpu":  # where asking which they are waits for nothing
                units = dead.any(dim=0)[0].nonzero()[:, 0]
        if units is not None:
            h, dead = h.index_select(2, units), dead[..., units]
        with torch.no_grad():
            ranked = h.masked_fill(dead.logical_not(), -torch.inf)
            chosen = largest(ranked, min(self.parts.auxiliary, h.shape[2])) * dead
        rebuilt = self.stack.linear("decoder", h * chosen, biased=False, units=units)
        return (rebuilt - left).square().mean(dim=(1, 2))


@torch.no_grad()
def _start_with_length_1(stack: stacked.Stack) -> None:
    """Each unit's weights of length 1, the decoder the encoder's transpose, biases 0."""
    rows = stack.weight("encoder.weight")  # [models, pixels, units]
    rows.div_(torch.linalg.vector_norm(rows, dim=1, keepdim=True))
    stack.weight("decoder.weight").copy_(rows.mT)
    for name in ("encoder.bias", "decoder.bias"):
        stack.weight(name).zero_()


def _noisy(images: Tensor, deviation: float) -> Tensor:
    """Images with normal noise."""
    return images + deviation * torch.randn_like(images) if deviation else images


def _scheduled(parts: Parts, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe with its schedule."""
    return {**recipe, "schedule": partial(_cosine, least=LEAST_RATE) if parts.cosine else None}


def _cosine(share: Tensor, least: float) -> Tensor:
    """The factor of the learning rate when this share of all steps was taken."""
    return (0.5 + 0.5 * torch.cos(torch.pi * share)).clamp_min(least)
