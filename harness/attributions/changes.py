"""The definition of integrated gradients that see jumps, a second time: what their inner products must be.

Shares no code with `switched`. Where a code changes is found by looking: two codes on a path with the same
active units have no change between them, as two lines cross once; where they differ, the crossing of who left
and who came is tried, and else the middle. Slopes are central differences in code space.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.attributions import integrity
from harness.subjects.models import hooked

NOBODY = -1

GRID = 64
"""Places at which a path is looked at first."""

NEAR = 1e-12
"""How far before and after a crossing the codes are looked at, on a path of length 1."""

FINE = 2000, 100
"""Parts of a path, and points on a line across a switch, in place of a split at every kink."""


def of_switch_aware_integrated_gradients(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    directions: Tensor,
    *,
    attribution_steps: int = 50,
    switch_points: int = 2,
    switch_allocation: str = "evidence",
    split_kinks: bool = False,
) -> Tensor:
    """Of slopes along x times the direction between changes of the code, and of its jumps at these.

    Where the method splits at kinks, it is compared with many points.
    """
    points = FINE[1] if split_kinks else switch_points
    coded: Any = model
    k, weight = int(coded.autoencoder.k), coded.autoencoder.encoder.weight
    blank = torch.zeros_like(images[:1])
    start, end = _pre_activations(coded, blank), _pre_activations(coded, images)
    lines = start.expand_as(end), end - start
    firsts, lasts = ((coded.autoencoder.encode(one) > 0).expand_as(end) for one in (blank, images))
    changes = _changes(*lines, firsts, lasts, k)
    ahead = F.linear(directions[:, None] * images, weight)  # [directions, n, units]
    found = images.new_zeros(len(images), len(directions))
    for number, image in enumerate(images):
        place, *units = (one[changes[0] == number] for one in changes[1:])
        used = firsts[number].clone()
        for one in units:
            used[one[one != NOBODY]] = True
        some = used.nonzero()[:, 0]  # the others are never active
        offsets, rates = (one[number, some] for one in lines)
        logit = integrity.logit_of(_on(coded.classifier, some, len(used)), targets[number : number + 1])
        parts = FINE[0] if split_kinks else max(attribution_steps // 5, attribution_steps - len(place), 1)
        marks = torch.cat([place, (torch.arange(parts + 1) / parts).to(place)]).sort().values
        middle, length = (marks[1:] + marks[:-1]) / 2, marks.diff()
        middle, length = middle[length > 0], length[length > 0]
        h = offsets + middle[:, None] * rates
        active = _active(h, k)
        steps = ahead[:, number, None, some] * active
        found[number] += length @ integrity.slopes_along(logit, h * active, steps)
        shares = _shares(weight, image, units, directions, switch_allocation, lines[1][number])
        units = [torch.where(one == NOBODY, NOBODY, torch.searchsorted(some, one)) for one in units]
        before = _active_before(firsts[number, some], *units)
        h = (offsets + place[:, None] * rates).relu() * before
        codes, jumps = _jumps(h, place, units, (offsets, rates))
        steps = jumps[1] * shares[1] - jumps[0] * shares[0]
        for point in range(points):
            at = (point + 0.5) / points
            along = codes + (1 - at) * jumps[0] + at * jumps[1]
            found[number] += integrity.slopes_along(logit, along, steps).sum(dim=0) / points
    return found


def _on(classifier: nn.Module, units: Tensor, width: int) -> Callable[[Tensor], Tensor]:
    """The classifier on codes of some units, the others being 0."""
    parts = list(classifier) if isinstance(classifier, nn.Sequential) else []
    if parts and type(parts[0]) is nn.Linear:
        rest = nn.Sequential(*parts[1:])
        first: nn.Linear = parts[0]
        columns = first.weight[:, units]
        return lambda codes: rest(F.linear(codes, columns, first.bias))
    return lambda codes: classifier(codes.new_zeros(len(codes), width).index_copy_(1, units, codes))


def _pre_activations(model: Any, images: Tensor) -> Tensor:
    """What the encoder gives of images, [n, units]."""
    seen: list[Tensor] = []
    with hooked(model.autoencoder.encoder, lambda found: seen.append(found.clone())):
        model.autoencoder.encode(images)
    return seen[0]


def _active(h: Tensor, k: int) -> Tensor:
    """Who is among the k largest of each row, and above 0."""
    chosen = torch.zeros_like(h, dtype=torch.bool).scatter_(
        1, h.topk(min(k, h.shape[1]), dim=1).indices, value=True
    )
    return chosen & (h > 0)


def _changes(
    offsets: Tensor, rates: Tensor, first: Tensor, last: Tensor, k: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Every change, in its image's order: image, place, who leaves and who enters, or `NOBODY`."""

    def active(image: Tensor, place: Tensor) -> Tensor:
        return _active(offsets[image] + place[:, None] * rates[image], k)

    n = len(offsets)
    numbers = torch.arange(n, device=offsets.device)
    inside = (torch.arange(GRID, device=offsets.device) + 0.37) / GRID
    places = torch.cat([inside.new_zeros(1), inside, inside.new_ones(1)]).to(offsets)
    sets = [first, *(active(numbers, one.expand(n)) for one in places[1:-1]), last]
    parts = []
    for number in range(len(places) - 1):
        differ = (sets[number] != sets[number + 1]).any(dim=1).nonzero()[:, 0]
        ends = (places[number + step].expand(len(differ)) for step in (0, 1))
        parts.append((differ, *ends, sets[number][differ], sets[number + 1][differ]))
    image, begin, end, before, after = (torch.cat(one) for one in zip(*parts, strict=True))
    found = []
    while len(image):
        leaving, entering = (_some_unit(one) for one in (before & ~after, after & ~before))
        lost, come = (before & ~after).sum(dim=1), (after & ~before).sum(dim=1)
        crossing = _crossing(offsets, rates, image, leaving, entering)
        crossing = torch.where((crossing >= begin) & (crossing <= end), crossing, (begin + end) / 2)
        left, right = crossing - NEAR, crossing + NEAR
        alone = (lost <= 1) & (come <= 1)
        alone &= (left <= begin) | (active(image, left) == before).all(dim=1)
        alone &= (right >= end) | (active(image, right) == after).all(dim=1)
        over = alone | (end - begin < 4 * NEAR)  # what does not come apart changes at once
        found.append((image[over], crossing[over], leaving[over], entering[over]))
        once, middle = over & ~alone, (begin + end) / 2
        rest = before ^ _only(leaving, before) ^ _only(entering, before)
        between = active(image, middle)
        halves = (image, begin, middle, before, between), (image, middle, end, between, after)
        one_half, other = ([each[~over] for each in half] for half in halves)
        left_over = [one[once] for one in (image, begin, end, rest, after)]
        joined = [torch.cat(one) for one in zip(left_over, one_half, other, strict=True)]
        differ = (joined[3] != joined[4]).any(dim=1)
        image, begin, end, before, after = (one[differ] for one in joined)
    if not found:
        return image, begin, image, image
    image, place, leaving, entering = (torch.cat(one) for one in zip(*found, strict=True))
    order = (image + place / 2).argsort(stable=True)
    return image[order], place[order], leaving[order], entering[order]


def _some_unit(wanted: Tensor) -> Tensor:
    """A unit where a row is true: int64 [rows], or `NOBODY`."""
    return torch.where(wanted.any(dim=1), wanted.byte().argmax(dim=1), NOBODY)


def _only(units: Tensor, like: Tensor) -> Tensor:
    return units[:, None] == torch.arange(like.shape[1], device=like.device)


def _crossing(offsets: Tensor, rates: Tensor, image: Tensor, leaving: Tensor, entering: Tensor) -> Tensor:
    """Where the line of who leaves meets that of who enters; nobody's is 0."""

    def line(units: Tensor, of: Tensor) -> Tensor:
        return torch.where(units == NOBODY, 0.0, of[image, units.clamp_min(0)])

    return (line(leaving, offsets) - line(entering, offsets)) / (line(entering, rates) - line(leaving, rates))


def _active_before(first: Tensor, leaving: Tensor, entering: Tensor) -> Tensor:
    """Who is active before each change of one image: bool [changes, units]."""
    rows, active = [], first
    for units in zip(leaving.tolist(), entering.tolist(), strict=True):
        rows.append(active)
        active = active.clone()
        for unit in units:
            if unit != NOBODY:
                active[unit] = not active[unit]
    return torch.stack(rows) if rows else first.new_zeros(0, len(first))


def _jumps(
    codes: Tensor, place: Tensor, units: list[Tensor], line: tuple[Tensor, Tensor]
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The codes of both units at 0, and what each of them has at the change: [changes, units] each."""
    leaving, entering = units
    both = (leaving != NOBODY) & (entering != NOBODY)
    level = line[0][leaving.clamp_min(0)] + place * line[1][leaving.clamp_min(0)]
    level = torch.where(both, level.clamp_min(0), 0.0)
    out, into = (_only(one, codes) for one in units)
    return codes * ~(out | into), (level[:, None] * out, level[:, None] * into)


def _shares(
    weight: Tensor, image: Tensor, units: list[Tensor], directions: Tensor, allocation: str, rates: Tensor
) -> list[Tensor]:
    """The inner product with each direction of both units' shares: [directions, changes, 1] each."""
    out, into = (weight[one.clamp_min(0)] * image for one in units)  # [changes, pixels]
    if allocation == "normal":
        moved = (rates[units[1].clamp_min(0)] - rates[units[0].clamp_min(0)])[:, None]
        still = moved == 0  # and nothing decides between the two
        both = [
            torch.where(still, _normalised(one.abs()), (into - out) / torch.where(still, 1.0, moved))
            for one in (out, into)
        ]
    elif allocation == "common":
        least, most = (rule(out.clamp_min(0), into.clamp_min(0)) for rule in (torch.minimum, torch.maximum))
        most = torch.where(most.any(dim=1, keepdim=True), most, torch.maximum(out.abs(), into.abs()))
        both = [_normalised(torch.where(least.any(dim=1, keepdim=True), least, most))] * 2
    else:
        both = []
        for one in (out, into):
            speaks = one.clamp_min(0) if allocation == "evidence" else one.abs()
            both.append(_normalised(torch.where(speaks.any(dim=1, keepdim=True), speaks, one.abs())))
        nobody = [~one.any(dim=1, keepdim=True) for one in both]
        both = [torch.where(nobody[0], both[1], both[0]), torch.where(nobody[1], both[0], both[1])]
    return [(directions @ one.T)[:, :, None] for one in both]


def _normalised(rows: Tensor) -> Tensor:
    total = rows.sum(dim=1, keepdim=True)
    return rows / torch.where(total > 0, total, 1.0)
