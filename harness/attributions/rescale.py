"""DeepLift through a code: a map that is complete by construction, across the switches of a top-k too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.attributions.method import CHUNK_SIZE, register, with_gradient
from harness.attributions.points import chunks_of
from harness.environment import state
from harness.errors import InputError
from harness.subjects.frozen import SAME
from harness.subjects.models import PixelClassifier
from harness.subjects.precision import in_precision
from harness.subjects.sparse.structure import rectifier_layers

COMPLETE = 1e-2
"""The largest gap, in parts of the largest logit, of a network that is what it seems."""


def of_deeplift_code(model: nn.Module, images: Tensor, targets: Tensor, directions: Tensor) -> Tensor:
    """Of the sum of a direction, pushed forward through the multipliers of two forward passes."""
    encoder, layers = _parts(model)
    blank = torch.zeros_like(images[:1])
    steps = F.linear(directions[:, None] * images, encoder.weight)  # [directions, n, units]
    (after, before), (end, start) = (_coded(model, encoder, one) for one in (images, blank))
    for number, layer in enumerate(layers):
        steps = F.linear(steps * _multipliers(before, start, after, end), layer.weight)
        before, start = (F.linear(one, layer.weight, layer.bias) for one in (after, end))
        if number < len(layers) - 1:
            after, end = before.relu(), start.relu()
    found: Tensor = steps.gather(2, targets.expand(len(steps), -1)[..., None])[..., 0].T
    return found


def _multipliers(before: Tensor, start: Tensor, after: Tensor, end: Tensor) -> Tensor:
    """The rescale rule (Shrikumar, Greenside and Kundaje 2017, section 3.5.1), unit by unit."""
    moved = before - start
    still = moved.abs() < SAME[before.dtype]
    return torch.where(still, (after > 0).to(before), (after - end) / torch.where(still, 1.0, moved))


def _parts(model: nn.Module) -> tuple[nn.Linear, list[nn.Linear]]:
    """A linear encoder, and a rectifier network on the code.

    Raises:
        InputError: it is another network.
    """
    encoder = getattr(getattr(model, "autoencoder", None), "encoder", None)
    layers = rectifier_layers(model.classifier) if isinstance(model, PixelClassifier) else None
    if not isinstance(encoder, nn.Linear) or layers is None:
        raise InputError(
            "deeplift_code: the model must be a linear encoder, a code unit by unit, and linear layers with "
            f"relu between them (got {type(model).__name__})"
        )
    return encoder, layers


@register(
    "deeplift_code",
    space="contribution",
    identity=of_deeplift_code,
    needs=["gradient", "code", "k"],
    cost=with_gradient,
)
def deeplift_code(
    model: nn.Module, images: Tensor, targets: Tensor, *, chunk_size: int = CHUNK_SIZE
) -> Tensor:
    """DeepLift's rescale rule (Shrikumar et al. 2017) through the code, from the baseline 0.

    float32 [n, pixels]. A top-k is taken unit by unit: unit j of pre-activation h_j has the multiplier
    (z_j - z0_j) / (h_j - h0_j). So the map sums to f_y(x) - f_y(x0) whatever was switched on the way. Where
    h_j is near h0_j multipliers are large, and an unnoticeable change of the image turns the map over: it is
    complete, and not stable.

    Raises:
        InputError: the model is not of that kind, or its maps do not sum up.
    """
    _parts(model)
    maps = torch.empty_like(images)
    with state.evaluation(model), torch.no_grad():
        # in float64: where h_j is near h0_j, what float32 rounds would be multiplied
        exact, points = in_precision(model, torch.float64), images.double()
        encoder, layers = _parts(exact)
        blank = torch.zeros_like(points[:1])
        for chunk in chunks_of(images, targets, chunk_size):
            (code, h), (code_0, h_0) = (_coded(exact, encoder, one) for one in (points[chunk], blank))
            rates, after, end = [_multipliers(h, h_0, code, code_0)], code, code_0
            for layer in layers[:-1]:
                before, start = (F.linear(one, layer.weight, layer.bias) for one in (after, end))
                after, end = before.relu(), start.relu()
                rates.append(_multipliers(before, start, after, end))
            slope = layers[-1].weight[targets[chunk]]
            for layer, rate in zip([encoder, *layers[:-1]][::-1], rates[::-1], strict=True):
                slope = (slope * rate) @ layer.weight
            own = slope * points[chunk]
            _refuse_incomplete(exact, points[chunk], targets[chunk], own)
            maps[chunk] = own.to(maps)
    return maps


def _coded(model: nn.Module, encoder: nn.Linear, images: Tensor) -> tuple[Tensor, Tensor]:
    """The codes of images, and what the encoder gives before a unit is chosen."""
    codes: Tensor = model.encode(images)  # type: ignore[operator]
    return codes, F.linear(images, encoder.weight, encoder.bias)


def gaps_of(model: nn.Module, images: Tensor, targets: Tensor, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How far each map's sum is from f_y(x) - f_y(x0), [n]; the logits of images [n, classes], and of x0."""
    logits, blank = model(images), model(torch.zeros_like(images[:1]))
    total = (logits - blank).gather(1, targets[:, None])[:, 0]
    return (maps.sum(dim=1) - total).abs(), logits, blank


def _refuse_incomplete(model: nn.Module, images: Tensor, targets: Tensor, maps: Tensor) -> None:
    gaps, logits, _ = gaps_of(model, images, targets, maps)
    gap = float(gaps.max())
    if gap > COMPLETE * float(logits.abs().max()):
        raise InputError(
            f"deeplift_code: maps must sum to the logit less that of the baseline (off by {gap:.3g}); the "
            "model computes something else than its layers say"
        )
