"""What tells a class from the others, as an attribution method."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harness.attributions import register


@register("centred_gradients", space="sensitivity")
def centred_gradients(model: nn.Module, images: Tensor, targets: Tensor, **_: Any) -> Tensor:
    """The gradient of the target's logit less the mean logit: what all logits gain changes no probability.

    Args:
        model: Gives logits [n, classes].
        images: float32 [n, features].
        targets: int64 [n], the classes explained.

    Returns:
        float32 [n, features].
    """
    inputs = images.detach().requires_grad_()
    logits = model(inputs)
    chosen = logits.gather(1, targets[:, None])[:, 0]
    (maps,) = torch.autograd.grad((chosen - logits.mean(1)).sum(), inputs)
    return maps
