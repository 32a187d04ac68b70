"""Where the k of a k-sparse code change along a line, exactly.

Along x0 + a (x - x0) every pre-activation is a line h_j(a) = c_j + a u_j. The code keeps the k largest of
relu(h), so what is active changes in three ways: an active unit falls to 0, or another rises above 0 while
fewer than k are active (both at level 0: the code stays continuous), or a unit overtakes the least of the k
at a level above 0, and the code jumps.

Each is where two lines cross. From a on, with S the active units, the next change is the first root of

    G(a) = min_{i in S} h_i(a) - max(max_{j not in S} h_j(a), 0)                      if S has k units,
    G(a) = min(min_{i in S} h_i(a), -max_{j not in S} h_j(a))                         if fewer,

a concave function, as a minimum of lines. Newton's method from the right of its root comes down on it and
ends there after a few steps, as G has finitely many pieces.

The line is looked at in windows, all at once: in a short one most units are active throughout or nowhere, as
their values at its two ends tell, and the few others alone can change places.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NOBODY = -1
"""In the place of a unit, where one leaves for 0 or enters from there."""

WINDOWS = 8
"""Parts of a line that are looked at at once; each longer than the one before, as most changes come early."""

ROUNDING = 4
"""Values that differ by less, in last places of a row's largest, are one value."""


class Switches(NamedTuple):
    """The changes of active units along n lines, in their order.

    Attributes:
        positions: float [n, events], a in [0, 1]; 1 after a line's last change.
        leaving: int64 [n, events], the unit that leaves the code, or `NOBODY`.
        entering: int64 [n, events], likewise the one that enters.
        levels: float [n, events], the value at which they change; 0 where the code does not jump.
        first: bool [n, units], who is active before the first change.
    """

    positions: Tensor
    leaving: Tensor
    entering: Tensor
    levels: Tensor
    first: Tensor

    def active(self, units: Tensor) -> Tensor:
        """Who of these (int64 [some]) is active before each change, and after the last.

        bool [n, events + 1, some].
        """
        turned = (self.entering[:, :, None] == units).byte() + (self.leaving[:, :, None] == units)
        first = self.first.index_select(1, units).byte()
        return torch.cat([first[:, None], turned], dim=1).cumsum(dim=1) % 2 == 1


@torch.no_grad()
def switches(
    offsets: Tensor, rates: Tensor, k: int, first: Tensor | None = None, last: Tensor | None = None
) -> Switches:
    """The changes of the k largest of relu(h), h(a) = offsets + a rates, for a from 0 to 1.

    Equal lines never change places, and of these the ones stay active that `first` names. Where units are
    equal for a moment the faster are active after it. What a model itself chose at the two ends, among
    equals, is a change there.

    Args:
        offsets: float [n, units], h at a = 0.
        rates: float [n, units].
        k: Active units at most.
        first: bool [n, units], who is active at a = 0; as in the first window if left out.
        last: Likewise at a = 1.
    """
    able = _columns_of(offsets, rates, k)
    begin, end = (None if one is None else one.gather(1, able) for one in (first, last))
    found = _by_column(offsets.gather(1, able), rates.gather(1, able), k, begin, end)
    leaving, entering = (
        torch.where(one == NOBODY, NOBODY, able.gather(1, one.clamp_min(0)))
        for one in (found.leaving, found.entering)
    )
    active = _units_where(found.first, able, offsets.shape[1])
    return Switches(found.positions, leaving, entering, found.levels, active)


def _columns_of(offsets: Tensor, rates: Tensor, k: int) -> Tensor:
    """The units that may be active somewhere on each line, and as many others as fill the rows.

    int64 [n, most].
    """
    ends = offsets, offsets + rates
    low, high = torch.minimum(*ends), torch.maximum(*ends)
    return _columns_where((high >= _kth(low, k) - _slack(high)) & (high > 0))


def _kth(values: Tensor, k: int) -> Tensor:
    """The k-th largest of each row, or 0 where that is larger: [rows, 1]."""
    largest = values.topk(min(k, values.shape[1]), dim=1, sorted=False).values
    return largest.amin(dim=1, keepdim=True).clamp_min(0)


def _slack(values: Tensor) -> Tensor:
    return ROUNDING * torch.finfo(values.dtype).eps * values.abs().amax(dim=1, keepdim=True)


def _columns_where(wanted: Tensor) -> Tensor:
    """The columns where a row is true, and others that fill it: int64 [rows, most]."""
    most = int(wanted.sum(dim=1).max()) if len(wanted) else 0
    return wanted.byte().topk(max(1, most), dim=1).indices


def _units_where(wanted: Tensor, columns: Tensor, units: int) -> Tensor:
    """Bool [rows, units], true of a row's columns where that is wanted; a GPU sorts what it scatters else."""
    there = torch.where(wanted, columns, units)
    return wanted.new_zeros(len(wanted), units + 1).scatter_(1, there, value=True)[:, :-1]


def _by_column(offsets: Tensor, rates: Tensor, k: int, first: Tensor | None, last: Tensor | None) -> Switches:
    """`switches`, by window."""
    n = len(offsets)
    ends = torch.linspace(0, 1, WINDOWS + 1, dtype=offsets.dtype, device=offsets.device) ** 2
    starts = (offsets[:, None] + ends[:-1, None] * rates[:, None]).flatten(0, 1)
    slopes = (ends.diff()[:, None] * rates[:, None]).flatten(0, 1)
    columns, always, wanted = _contested(starts, slopes, k)
    chosen = torch.zeros_like(always) if first is None else first.repeat_interleave(WINDOWS, dim=0)
    begin, change, preferred = (one.gather(1, columns) for one in (starts, slopes, chosen))
    begun, over, found = _in_window(begin, change, preferred, wanted)
    named = torch.cat([columns, columns.new_full((len(columns), 1), NOBODY)], dim=1)  # the last of NOBODY
    places = torch.addcmul(ends[:-1].repeat(n)[:, None], ends.diff().repeat(n)[:, None], found[0]).clamp_max(
        1
    )
    events = [places, named.gather(1, found[1]), named.gather(1, found[2]), found[3]]
    begun, over = (
        (always | _units_where(one, columns, always.shape[1])).unflatten(0, (n, WINDOWS))
        for one in (begun, over)
    )
    before = torch.cat([(begun[:, 0] if first is None else first)[:, None], over], dim=1)
    after = torch.cat([begun, (over[:, -1] if last is None else last)[:, None]], dim=1)
    joined = [
        torch.cat([one, torch.cat([own.unflatten(0, (n, WINDOWS)), _none(own, n)], dim=1)], dim=2).flatten(1)
        for one, own in zip(_between(before, after, ends, offsets, rates), events, strict=True)
    ]
    is_one = joined[1] + joined[2] > 2 * NOBODY
    order = (~is_one).byte().argsort(dim=1, stable=True)[:, : int(is_one.sum(dim=1).max()) if n else 0]
    positions, leaving, entering, levels = (one.gather(1, order) for one in joined)
    positions = torch.where(is_one.gather(1, order), positions, 1.0)
    return Switches(positions, leaving, entering, levels, before[:, 0])


def _none(events: Tensor, n: int) -> Tensor:
    """No event, in the place of the window after the last."""
    return events.new_full((n, 1, events.shape[1]), NOBODY)


def _contested(starts: Tensor, slopes: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Who may change places in each window.

    Returns:
        int64 [rows, most], the units that may, and as many others as fill the rows;
        bool [rows, units], who is active throughout, and not among these;
        int64 [rows], how many of the first may be active at once.
    """
    ends = starts, starts + slopes
    low, high = torch.minimum(*ends), torch.maximum(*ends)
    always = low > _kth(high, k) + _slack(high)
    columns = _columns_where((high >= _kth(low, k) - _slack(high)) & (high > 0) & ~always)
    always = always.scatter(1, columns, value=False)
    return columns, always, min(k, low.shape[1]) - always.sum(dim=1)


def _in_window(
    offsets: Tensor, rates: Tensor, chosen: Tensor, k: Tensor
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Who is active at first and at last (bool [rows, columns]), and the changes: positions, columns, levels.

    The columns of `NOBODY` are one past the last.
    """
    width = offsets.shape[1]
    least = _slack(torch.maximum(offsets.abs(), (offsets + rates).abs()))[:, 0]
    first = active = _active_at_first(offsets, rates, chosen, k)
    last = first.clone()
    now, found = torch.zeros_like(least), []
    rows = torch.arange(len(offsets), device=offsets.device)  # those that may change yet
    while True:
        place, leaving, entering = _next(offsets, rates, active, now, least, k)
        moves = (leaving + entering > 2 * NOBODY).nonzero()[:, 0]
        if not len(moves):
            break
        rows, offsets, rates, active, now, least, k, leaving, entering = (
            one[moves] for one in (rows, offsets, rates, active, place, least, k, leaving, entering)
        )
        alive = torch.arange(len(rows), device=rows.device)
        for units, value in ((leaving, False), (entering, True)):
            there = units != NOBODY
            active[alive[there], units[there]] = value
        last[rows] = active
        both = (leaving != NOBODY) & (entering != NOBODY)
        column = leaving.clamp_min(0)[:, None]
        level = (offsets.gather(1, column) + now[:, None] * rates.gather(1, column))[:, 0].clamp_min(0)
        event = (now, leaving % (width + 1), entering % (width + 1), torch.where(both, level, 0.0))
        nothing = (1.0, width, width, 0.0)
        found.append(
            [
                one.new_full((len(first),), no).index_copy(0, rows, one)
                for one, no in zip(event, nothing, strict=True)
            ]
        )
    if not found:
        none = offsets.new_zeros(len(first), 0)
        return first, last, [none, none.long(), none.long(), none]
    return first, last, [torch.stack(one, dim=1) for one in zip(*found, strict=True)]


def _between(before: Tensor, after: Tensor, ends: Tensor, offsets: Tensor, rates: Tensor) -> list[Tensor]:
    """Changes where windows meet, among equals: of who is active before and after, bool [n, ends, units]."""
    found = []
    places = ends.expand(len(before), -1)
    while bool((before != after).any()):
        leaves, enters = before & ~after, after & ~before
        leaving, entering = (
            torch.where(one.any(dim=2), one.byte().argmax(dim=2), NOBODY) for one in (leaves, enters)
        )
        before = before ^ _chosen(leaving, before) ^ _chosen(entering, before)
        column = leaving.clamp_min(0)
        level = (offsets.gather(1, column) + ends * rates.gather(1, column)).clamp_min(0)
        both = (leaving != NOBODY) & (entering != NOBODY)
        found.append((places, leaving, entering, torch.where(both, level, 0.0)))
    if not found:
        nothing = offsets.new_zeros(*places.shape, 0)
        return [nothing, nothing.long(), nothing.long(), nothing]
    return [torch.stack(one, dim=2) for one in zip(*found, strict=True)]


def _chosen(units: Tensor, like: Tensor) -> Tensor:
    return units[:, :, None] == torch.arange(like.shape[2], device=like.device)


def _active_at_first(offsets: Tensor, rates: Tensor, chosen: Tensor, k: Tensor) -> Tensor:
    """Who is active just after a = 0: the largest, of equals the faster, and of equal lines the chosen."""
    by_both = chosen.byte().argsort(dim=1, descending=True, stable=True)
    for values in (rates, offsets):
        order = values.gather(1, by_both).argsort(dim=1, descending=True, stable=True)
        by_both = by_both.gather(1, order)
    largest = by_both.argsort(dim=1) < k[:, None]
    return largest & ((offsets > 0) | ((offsets == 0) & (rates > 0)))


def _next(
    offsets: Tensor, rates: Tensor, active: Tensor, now: Tensor, least: Tensor, k: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The next change of each row: where (float [rows]), and who leaves and enters (int64 [rows])."""
    full = active.sum(dim=1) == k
    place = torch.ones_like(now)
    leaving = torch.full_like(now, NOBODY, dtype=torch.int64)
    entering = leaving.clone()
    offsets_active = torch.where(active, offsets, torch.inf)
    offsets_others = torch.where(active, -torch.inf, offsets)
    while True:
        ahead = place[:, None] * rates
        low, lowest = (offsets_active + ahead).min(dim=1)
        high, highest = (offsets_others + ahead).max(dim=1)
        leaves = full | (low < -high)
        enters = torch.where(full, high > 0, ~leaves)
        gap = torch.where(leaves, low, 0.0) - torch.where(enters, high, 0.0)
        crossing = [
            torch.where(leaves, one.gather(1, lowest[:, None])[:, 0], 0.0)
            - torch.where(enters, one.gather(1, highest[:, None])[:, 0], 0.0)
            for one in (offsets, rates)
        ]
        root = torch.minimum(torch.maximum(-crossing[0] / crossing[1], now), place)
        # at its root a line is not under 0 any more, but for rounding
        under = (gap < -least) & ((root < place) | (leaving + entering == 2 * NOBODY))
        if not bool(under.any()):
            return place, leaving, entering
        place = torch.where(under, root, place)
        leaving = torch.where(under, torch.where(leaves, lowest, NOBODY), leaving)
        entering = torch.where(under, torch.where(enters, highest, NOBODY), entering)
