"""Adam's state and step without torch's class, whose constructor imports the compiler (two seconds)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1) with its usual decay rates, one fused kernel a step, in place.

        m <- 0.9 m + 0.1 g    v <- 0.999 v + 0.001 g^2
        w <- w - lr m / (1 - 0.9^t) / (sqrt(v / (1 - 0.999^t)) + eps)

    With a decay d, w <- (1 - lr d) w goes before the step, and has no part in g (Loshchilov and Hutter 2019,
    "Decoupled Weight Decay Regularization").

    Moments and step counters are tensors on the weights' device: a step never makes the host wait, and one
    that was recorded as a CUDA graph counts on when it is replayed.

    Args:
        weights: Floating point, contiguous; changed by `step`.
        learning_rate: lr; or float32 (), on the weights' device, which may change between steps.
        decays: d of each weight; none if left out.

    Raises:
        ValueError: weights that are not contiguous; the kernel takes all tensors for runs of memory.
    """

    def __init__(
        self, weights: Sequence[Tensor], learning_rate: float | Tensor, decays: Sequence[float] = ()
    ) -> None:
        if not all(weight.is_contiguous() for weight in weights):
            raise ValueError("Adam's weights must be contiguous (got strided ones)")
        self.weights, self.learning_rate = list(weights), learning_rate
        self.decays = list(decays) or [0.0] * len(self.weights)
        self.first_moments = [torch.zeros_like(weight) for weight in weights]
        self.second_moments = [torch.zeros_like(weight) for weight in weights]
        self.counts = [torch.zeros((), dtype=torch.float32, device=weight.device) for weight in weights]

    @torch.no_grad()
    def step(
        self,
        gradients: Sequence[Tensor],
        parts: Sequence[slice] | None = None,
        found_inf: Tensor | None = None,
    ) -> None:
        """One step.

        Args:
            gradients: In the shape of the weights, or of their parts; strided ones are copied.
            parts: The rows of each weight that take the step; all rows if left out.
            found_inf: float32 (), on the weights' device: where it is 1, nothing moves or is counted.
        """
        states = [self.weights, self.first_moments, self.second_moments]
        if parts is not None:
            states = [[tensor[rows] for tensor, rows in zip(one, parts, strict=True)] for one in states]
        weights, first_moments, second_moments = states
        moves = 1.0 if found_inf is None else 1 - found_inf.double()
        for weight, decay in zip(weights, self.decays, strict=True):
            if decay:
                weight.mul_(1 - moves * self.learning_rate * decay)
        adam(
            weights,
            [gradient.contiguous() for gradient in gradients],
            first_moments,
            second_moments,
            [],
            self.counts,
            fused=True,
            capturable=self.counts[0].is_cuda,
            found_inf=found_inf,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )


def copy_of(weight: Tensor) -> Tensor:
    """A contiguous copy of a weight, to be trained."""
    return weight.detach().clone(memory_format=torch.contiguous_format)
