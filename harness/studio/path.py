"""The decision along the straight path to one input, and by how much it jumps where units swap."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.attributions.paths import jumps_of
from harness.errors import InputError
from harness.studio.decision import Decision
from harness.subjects.models import Coded, hooked
from harness.subjects.sparse.switches import NOBODY

PLACES = 50
"""Evenly spaced places of the path at which the model is asked; its jumps are found between them."""


def along(network: Coded, decision: Decision) -> dict[str, Any] | None:
    """The path from the baseline to the input; None of a model whose code has no switches of this kind.

    Args:
        network: In evaluation mode.
        decision: What is explained.

    Returns:
        `t` in [0, 1] and `logit` at it; `jumps`, each with its place `t`, its `size`, and the units `leaving`
        and `entering` (None for nobody); and `nearest_tie`, as `nearest_tie` has it.
    """
    try:
        # which asks at one place after another; of one input all places go together
        found = jumps_of(network, decision.inputs, decision.targets, places=1)
    except InputError:
        return None
    places = torch.linspace(0, 1, PLACES, device=decision.inputs.device)
    with torch.no_grad():
        logits = decision.logit(network(places[:, None] * decision.inputs[:1]))
    sizes = decision.joined(found.jumps)
    events = (found.levels[0] > 0).nonzero()[:, 0].tolist()
    return {
        "t": places.tolist(),
        "logit": logits.tolist(),
        "jumps": [
            {
                "t": float(found.positions[0, event]),
                "size": float(sizes[event]),
                "leaving": _named(found.leaving[0, event]),
                "entering": _named(found.entering[0, event]),
            }
            for event in events
        ],
        "nearest_tie": nearest_tie(network, decision.inputs[:1]),
    }


def _named(unit: Tensor) -> int | None:
    return None if int(unit) == NOBODY else int(unit)


@torch.no_grad()
def nearest_tie(network: Any, inputs: Tensor) -> float | None:
    """How far the weakest of the k active units is above the next one at an input, in parts of itself.

    None where fewer than k units are active, or there is no other unit.
    """
    seen: list[Tensor] = []
    with hooked(network.autoencoder.encoder, lambda found: seen.append(found.clone())):
        network.encode(inputs)
    h, k = F.relu(seen[0][0]), int(network.autoencoder.k)
    if k >= len(h):
        return None
    least, following = h.topk(k + 1).values[-2:].tolist()
    return (least - following) / least if least > 0 else None
