"""Integrated gradients that see the jumps of a top-k code: complete across its switches.

What the path adds between switches belongs to the pixels by the chain rule, as ever. What a switch adds
belongs to the two units that change places, and to pixels by what these show of each unit: a rule, of which
`ALLOCATIONS` has several.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from harness.attributions.changes import of_switch_aware_integrated_gradients
from harness.attributions.method import CHUNK_SIZE, register
from harness.attributions.paths import Jumps, Lines, explained
from harness.errors import ConfigurationError
from harness.registry import suggestion

Rule = Callable[[Tensor, Tensor, Jumps, Lines], Tensor]
"""`(weight, images, jumps, lines) -> factors`: what (x - x0) is multiplied by, so that a jump's parts become
shares of pixels, float [n, pixels]."""


def by_evidence(weight: Tensor, images: Tensor, jumps: Jumps, lines: Lines) -> Tensor:
    """Each unit's part to the pixels that speak for it: in parts of (W_up (x - x0)_p)^+, over its sum.

    Of a unit for which none speaks, in parts of |W_up (x - x0)_p|.
    """
    del lines
    up, down = weight.clamp_min(0), weight.clamp_max(0)
    light, dark = images.clamp_min(0), images.clamp_max(0)
    has_dark = bool((dark < 0).any())
    speaks = light @ up.T + (dark @ down.T if has_dark else 0)
    at_all = speaks + (light @ -down.T + (dark @ -up.T if has_dark else 0))
    parts = _parts_of(jumps, at_all > 0)
    own = _by_unit(parts, jumps, speaks)
    rest = torch.where(speaks > 0, 0.0, own / torch.where(at_all > 0, at_all, 1.0))
    own = torch.where(speaks > 0, own / torch.where(speaks > 0, speaks, 1.0), 0.0)
    factors = own @ up
    if has_dark:
        factors = torch.where(images < 0, own @ down, factors)
    if bool(rest.any()):
        factors = factors + (rest @ weight.abs()) * torch.where(images < 0, -1.0, 1.0)
    return factors


def by_magnitude(weight: Tensor, images: Tensor, jumps: Jumps, lines: Lines) -> Tensor:
    """Each unit's part in parts of |W_up (x - x0)_p|, over its sum."""
    del lines
    sizes = images.abs() @ weight.abs().T
    own = _by_unit(_parts_of(jumps, sizes > 0), jumps, sizes)
    found = (own / torch.where(sizes > 0, sizes, 1.0)) @ weight.abs()
    return found * torch.where(images < 0, -1.0, 1.0)


def by_normal(weight: Tensor, images: Tensor, jumps: Jumps, lines: Lines) -> Tensor:
    """The whole jump along what decides between the two units: in parts of (W_j - W_i)_p (x - x0)_p.

    So it is in the limit of integrated gradients of a function that is smoothed ever less.
    """
    own = lines.rates[jumps.image[:, None], jumps.units]
    moved = own[:, 1] - own[:, 0]
    still = moved == 0  # of equals that a model chose between at an end, nothing decides
    share = torch.where(still, 0.0, jumps.parts.sum(dim=1) / torch.where(still, 1.0, moved))
    found = _by_unit(torch.stack([-share, share], dim=1), jumps, lines.rates) @ weight
    if bool(still.any()):
        found += by_magnitude(weight, images, replace(jumps, parts=jumps.parts * still[:, None]), lines)
    return found


def by_common(weight: Tensor, images: Tensor, jumps: Jumps, lines: Lines) -> Tensor:
    """The whole jump to the pixels that speak for both units, in parts of the lesser; else for either.

    Where none speaks for any of them, in parts of the larger of both |W_up (x - x0)_p|.
    """
    del lines
    shares = torch.zeros_like(images)
    for some in range(0, len(jumps.image), 4096):
        part = slice(some, some + 4096)
        image, values = jumps.image[part], images[jumps.image[part]]
        own = [weight[one] * values for one in jumps.units[part].unbind(dim=1)]
        both, either = (rule(*(one.clamp_min(0) for one in own)) for rule in (torch.minimum, torch.maximum))
        at_all = torch.maximum(*(one.abs() for one in own))
        either = torch.where(either.any(dim=1, keepdim=True), either, at_all)
        evidence = torch.where(both.any(dim=1, keepdim=True), both, either)
        total = evidence.sum(dim=1, keepdim=True)
        found = evidence / torch.where(total > 0, total, 1.0) * jumps.parts[part].sum(dim=1, keepdim=True)
        shares.index_add_(0, image, found / torch.where(values == 0, 1.0, values))
    return shares


Allocation = Literal["evidence", "magnitude", "common", "normal"]

ALLOCATIONS: dict[str, Rule] = {
    "evidence": by_evidence,
    "magnitude": by_magnitude,
    "common": by_common,
    "normal": by_normal,
}
"""What a switch adds, to pixels: by name."""


def _parts_of(jumps: Jumps, can: Tensor) -> Tensor:
    """The parts of each jump; that of a unit on which no pixel bears is the other's: float [jumps, 2]."""
    able = can[jumps.image[:, None], jumps.units]
    return torch.where(
        able.all(dim=1, keepdim=True), jumps.parts, jumps.parts.sum(dim=1, keepdim=True) * able
    )


def _by_unit(parts: Tensor, jumps: Jumps, like: Tensor) -> Tensor:
    """The sum of parts by image and unit, in the form of `like` [n, units]."""
    place = (jumps.image[:, None] * like.shape[1] + jumps.units).flatten()
    return torch.zeros_like(like).flatten().index_add_(0, place, parts.flatten()).view_as(like)


def _cost(_features: int, *, attribution_steps: int = 50, switch_points: int = 2) -> int:
    """With the 60 switches that a path of the reference recipe has."""
    return 3 * (attribution_steps // 5 + 60 * (1 + switch_points))


def switch_aware_path_gradients(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    attribution_steps: int = 50,
    switch_points: int = 2,
    switch_allocation: Allocation = "evidence",
    split_kinks: bool = False,
    chunk_size: int = CHUNK_SIZE,
) -> Tensor:
    """What (x - x0) is multiplied by in `switch_aware_integrated_gradients`, float32 [n, pixels]."""
    if switch_allocation not in ALLOCATIONS:
        raise ConfigurationError(
            f"switch_allocation: unknown {switch_allocation!r}: {suggestion(switch_allocation, ALLOCATIONS)}"
        )
    factors, rule = torch.zeros_like(images), ALLOCATIONS[switch_allocation]
    for path in explained(
        model,
        images,
        targets,
        steps=attribution_steps,
        across=switch_points,
        split_kinks=split_kinks,
        chunk_size=chunk_size,
    ):
        shares = rule(path.weight, images[path.chunk], path.jumps, path.lines)
        factors[path.chunk] = torch.addmm(shares, path.slopes, path.weight)
    return factors


@register(
    "switch_aware_integrated_gradients",
    space="contribution",
    sensitivity=switch_aware_path_gradients,
    identity=of_switch_aware_integrated_gradients,
    needs=["gradient", "code", "k"],
    cost=_cost,
)
def switch_aware_integrated_gradients(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    attribution_steps: int = 50,
    switch_points: int = 2,
    switch_allocation: Allocation = "evidence",
    split_kinks: bool = False,
    chunk_size: int = CHUNK_SIZE,
) -> Tensor:
    """Integrated gradients from the baseline 0, and what happens at the switches of the top-k beside them.

    float32 [n, pixels]. The path is split at each switch, and into as many equal parts as make
    `attribution_steps` with the switches, a fifth of these at least; a piece counts by the gradient at its
    middle. A switch at value v, of unit i out and j in, counts by the
    gradient at midpoints of the line between the two codes: -v dg_y/dz_i to unit i and v dg_y/dz_j to unit j,
    which add up to the jump. The map sums to f_y(x) - f_y(x0) but for the classifier's own kinks within a
    piece or a line, and exactly where these are split at them.

    Where the code never jumps, or all units are kept, this is integrated gradients. Like these it depends on
    nothing but the function and the path as long as units are only renamed (Sundararajan, Taly and Yan 2017,
    implementation invariance); of two networks that compute the same function with other codes it may say
    different things of a switch, as it asks which units change places.

    Args:
        model: A linear encoder, a code of its k largest units, rectified, and a classifier on it.
        images: float32 [n, pixels].
        targets: int64 [n].
        attribution_steps: Pieces of the path, at least.
        switch_points: Midpoints on the line across a switch.
        switch_allocation: How a unit's part becomes shares of pixels, by name in `ALLOCATIONS`.
        split_kinks: Whether pieces and lines are split where a hidden unit of the classifier passes 0.
        chunk_size: Images in memory at once.

    Raises:
        InputError: the model has no such code.
        ConfigurationError: no such allocation.
    """
    return images * switch_aware_path_gradients(
        model,
        images,
        targets,
        attribution_steps=attribution_steps,
        switch_points=switch_points,
        switch_allocation=switch_allocation,
        split_kinks=split_kinks,
        chunk_size=chunk_size,
    )
