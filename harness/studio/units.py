"""The units of a code at one input: what each adds to the decision, and what if some are switched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.errors import InputError
from harness.studio.decision import Decision
from harness.subjects.models import Coded

MOST = 20
"""The most units that are told."""

Switch = tuple[int, str, float]


@torch.no_grad()
def switched(network: Coded, inputs: Tensor, switches: Sequence[Switch]) -> Tensor:
    """The code of an input with some of its units set to a value, or multiplied with one.

    Args:
        network: In evaluation mode.
        inputs: float32 [1, features].
        switches: (unit, how, value), how being `set` or `times`, in this order; at every place of a code that
            is taken at several.

    Returns:
        float32 [1, units] or [1, places, units].

    Raises:
        InputError: there is no such unit.
    """
    codes = network.encode(inputs).clone()
    for unit, how, value in switches:
        if not 0 <= unit < codes.shape[-1]:
            raise InputError(f"units: must be in 0..{codes.shape[-1] - 1}, the code's (got {unit})")
        codes[..., unit] = codes[..., unit] * value if how == "times" else value
    return codes


def bench(network: Coded, decision: Decision, *, atoms: bool) -> list[dict[str, Any]]:
    """The active units by what they add to the decision, z_j times its slope along z_j; the largest first.

    Args:
        network: In evaluation mode.
        decision: What is explained.
        atoms: Whether the code has atoms.

    Returns:
        At most `MOST` records of `unit`, `activation` and `contribution`, summed over places where there are
        several, and `atom` (float32 [features], or None).
    """
    with torch.no_grad():
        codes = network.encode(decision.inputs)
    leaves = codes.detach().requires_grad_()
    logits = network.readout(leaves, decision.inputs).gather(1, decision.targets[:, None])
    (slopes,) = torch.autograd.grad(logits.sum(), leaves)
    added, activations = decision.joined(codes * slopes), codes[0]
    if added.ndim > 1:
        added, activations = added.sum(dim=0), activations.sum(dim=0)
    there = codes[0].flatten(0, -2).any(dim=0) if codes.ndim > 2 else codes[0] != 0
    order = added.abs().masked_fill(~there, -1).argsort(descending=True, stable=True)
    named = order[: min(MOST, int(there.sum()))].tolist()
    known: Any = network
    return [
        {
            "unit": unit,
            "activation": float(activations[unit]),
            "contribution": float(added[unit]),
            "atom": known.autoencoder.atoms[unit].detach() if atoms else None,
        }
        for unit in named
    ]
