"""In which precision a model can be asked for its slopes: float64, where a copy of it truly computes in it.

A central difference of step e errs by rounding, about eps / e of the function's value, and by what lies
between its two points. Of smooth functions that is of the order e^2; networks of relu and pooling have kinks
there, and then it is of the order e: both are least together at e = eps^(1/2), and the error is of that order
too. In float64 the step can be under every kink instead.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

COARSE = torch.finfo(torch.float32).eps

STEP = {torch.float64: 1e-7, torch.float32: COARSE**0.5}
"""The differences' step e by precision, on pixels in [0, 1] and directions of variance 1 a pixel: in float64
small enough that few steps meet a kink, large enough that rounding stays under 1e-7 of a map's norm."""

SHARES: dict[torch.dtype, tuple[float, ...]] = {
    torch.float64: (1.0, 0.1, 0.01),
    torch.float32: (1.0, 0.25, 0.0625),
}
"""What parts of the step a map is asked at, by precision, until it is right."""

KINK = {torch.float64: 1e-3, torch.float32: COARSE**0.25}
"""By precision an error from which on slopes are not the same, in parts of the larger: in float32 midway, in
orders of magnitude, between that of a right map, eps^(1/2), and that of a wrong one, 1."""

SAME = 1e-4
"""Logits that differ by less than this share of their largest are the same, in float32."""

DIRECTIONS = 5
"""Along which a copy is asked; the median of what it says counts, so one that meets a kink does not."""


def in_precision(model: nn.Module, precision: torch.dtype) -> nn.Module:
    """A copy of a model with its numbers in that precision, evaluating; the model itself where it is so."""
    numbers = (one for one in (*model.parameters(), *model.buffers()) if one.is_floating_point())
    if all(one.dtype == precision for one in numbers) and not any(one.training for one in model.modules()):
        return model
    return copy.deepcopy(model).to(precision).eval()


@torch.no_grad()
def is_exact(model: nn.Module, inputs: Tensor) -> bool:
    """Whether a float64 copy of a model takes float64, gives its logits, and computes in float64 throughout.

    A float32 hidden inside rounds away what a step of float64 changes: slopes at one step and at ten of it
    then have nothing to do with one another.

    Args:
        model: Flat rows to logits, evaluating.
        inputs: float32 [n, features], where the model is.
    """
    try:
        exact, points = in_precision(model, torch.float64), inputs.double()
        logits = exact(points)
        wide = logits.dtype == torch.float64
        if not wide or not bool((logits - model(inputs)).abs().max() <= SAME * logits.abs().max()):
            return False
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(DIRECTIONS, 1, inputs.shape[1], generator=generator, dtype=torch.float64)
        slopes = []
        for step in (STEP[torch.float64], 10 * STEP[torch.float64]):
            ends = [(points + sign * step * drawn.to(points)).flatten(0, 1) for sign in (1, -1)]
            slopes.append((exact(ends[0]) - exact(ends[1])) / (2 * step))
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception:  # of a model of one's own, whatever it raises: it does not compute in float64
        return False
    size = torch.maximum(slopes[0].abs().amax(dim=1), slopes[1].abs().amax(dim=1))
    apart = (slopes[0] - slopes[1]).abs().amax(dim=1) > KINK[torch.float64] * size
    return 2 * int(apart.sum()) <= len(apart)
