"""A network without kinks, as a model."""

from __future__ import annotations

import math

from torch import nn

from harness.subjects.shipped import models


@models.register("smooth")
def smooth(*, shape: tuple[int, ...], classes: int, width: int = 64, sharpness: float = 5.0) -> nn.Module:
    """One hidden layer of softplus, whose gradients do not jump (Dombrowski et al. 2019)."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(shape), width),
        nn.Softplus(beta=sharpness),
        nn.Linear(width, classes),
    )
