"""Where the k of a code change along a line."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.subjects.sparse.switches import NOBODY, Switches, switches


def drawn(seed: int, units: int) -> tuple[Tensor, Tensor]:
    """One line's offsets and rates, float64 [1, units]."""
    generator = torch.Generator().manual_seed(seed)
    offsets = torch.randn(1, units, generator=generator, dtype=torch.float64) / 2
    return offsets, torch.randn(1, units, generator=generator, dtype=torch.float64)


def looked_at(offsets: Tensor, rates: Tensor, k: int, places: Tensor) -> Tensor:
    """Who is active at places of one line, by the definition: bool [places, units]."""
    h = offsets + places[:, None] * rates
    chosen = torch.zeros_like(h, dtype=torch.bool).scatter_(1, h.topk(k, dim=1).indices, value=True)
    return chosen & (h > 0)


def count(found: Switches) -> Tensor:
    """How many changes each line has."""
    return (found.leaving + found.entering > 2 * NOBODY).sum(dim=1)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), units=st.integers(1, 30), share=st.floats(0, 1))
def test_between_changes_the_code_is_the_k_largest(seed: int, units: int, share: float) -> None:
    """At the middle of every piece between two changes, those are active who are said to be."""
    k = 1 + round(share * (units - 1))
    offsets, rates = drawn(seed, units)
    found = switches(offsets, rates, k)
    places = found.positions[0, : int(count(found)[0])]
    assert bool((places.diff() >= 0).all())
    assert bool(((places >= 0) & (places <= 1)).all())
    marks = torch.cat([places.new_zeros(1), places, places.new_ones(1)])
    active = found.active(torch.arange(units))[0, : len(places) + 1]
    long = marks.diff() > 1e-9
    middle = ((marks[1:] + marks[:-1]) / 2)[long]
    assert torch.equal(active[long], looked_at(offsets, rates, k, middle))
    # and no change is one of nothing
    assert bool((active[1:] != active[:-1]).any(dim=1).all())


def test_a_line_is_what_a_fine_grid_shows() -> None:
    """As many changes as on 200,001 places, each where it is seen there."""
    for units, k, seed in ((8, 2, 0), (8, 8, 1), (30, 5, 2), (12, 11, 3)):
        offsets, rates = drawn(seed, units)
        found = switches(offsets, rates, k)
        grid = torch.linspace(0, 1, 200_001, dtype=torch.float64)
        active = looked_at(offsets, rates, k, grid)
        seen = grid[1:][(active[1:] != active[:-1]).any(dim=1)]
        torch.testing.assert_close(found.positions[0, : len(seen)], seen, rtol=0, atol=1e-5)
        assert int(count(found)) == len(seen)


def test_levels_tell_who_jumps() -> None:
    """At a swap the two lines meet at the level; where only one changes, it is at 0."""
    offsets, rates = drawn(5, 20)
    found = switches(offsets, rates, 4)
    for place, out, into, level in zip(
        found.positions[0], found.leaving[0], found.entering[0], found.levels[0], strict=True
    ):
        values = [float(offsets[0, unit] + place * rates[0, unit]) for unit in (out, into) if unit != NOBODY]
        assert values == pytest.approx([float(level)] * len(values), abs=1e-9)
        assert (float(level) > 0) == (len(values) == 2)


def test_many_lines_are_each_as_alone() -> None:
    """A line's changes do not depend on which were looked at with it."""
    lines = [drawn(seed, 25) for seed in range(6)]
    offsets, rates = (torch.cat(one) for one in zip(*lines, strict=True))
    together = switches(offsets, rates, 6)
    for number, line in enumerate(lines):
        alone = switches(*line, 6)
        length = int(count(alone))
        assert int(count(together)[number]) == length
        for one, other in zip(alone[:4], together[:4], strict=True):
            torch.testing.assert_close(other[number, :length], one[0, :length], rtol=0, atol=1e-14)


def test_equal_lines_never_change_places() -> None:
    """Nor do parallel ones; all units kept means that no code jumps."""
    offsets = torch.tensor([[1.0, 1.0, 2.0, 0.5]], dtype=torch.float64)
    rates = torch.ones_like(offsets)
    assert int(count(switches(offsets, rates, 2))) == 0
    found = switches(*drawn(1, 10), 10)
    assert int(count(found)) > 0
    assert not bool(found.levels.any())


def test_several_lines_that_meet_in_one_place_change_one_after_another() -> None:
    """Three lines meet at 0.5: from then on the fastest are active, and who is between is right."""
    offsets = torch.tensor([[1.0, 0.75, 0.5]], dtype=torch.float64)
    rates = torch.tensor([[0.0, 0.5, 1.0]], dtype=torch.float64)
    for k, after in ((1, [False, False, True]), (2, [False, True, True])):
        found = switches(offsets, rates, k)
        assert found.positions[0, 0].item() == pytest.approx(0.5)
        assert found.active(torch.arange(3))[0, -1].tolist() == after


def test_what_a_model_chose_among_equals_is_a_change_at_the_end() -> None:
    """Two units tie at both ends; who was chosen there is told, and taken for it."""
    offsets = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    rates = torch.tensor([[0.0, 0.0]], dtype=torch.float64)
    first, last = torch.tensor([[True, False]]), torch.tensor([[False, True]])
    found = switches(offsets, rates, 1, first, last)
    assert found.active(torch.arange(2))[0, [0, -1]].tolist() == [[True, False], [False, True]]
    assert found.levels[0].tolist() == [1.0] * int(count(found))
    assert int(count(found)) >= 1


def test_no_line_has_no_change() -> None:
    """Of no image, or of a black one."""
    nothing = torch.zeros(0, 5, dtype=torch.float64)
    assert switches(nothing, nothing, 2).positions.shape == (0, 0)
    still = torch.rand(3, 5, dtype=torch.float64)
    assert switches(still, torch.zeros_like(still), 2).positions.shape == (3, 0)
