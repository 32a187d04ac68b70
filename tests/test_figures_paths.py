"""The logit along a path, as a line with its steps."""

from __future__ import annotations

import numpy as np
import pytest

from harness.figures import Layout, Steps, path, svg


def steps_of(at: list[float], jumps: list[float]) -> Steps:
    """A logit that rises by 2 evenly, and jumps beside."""
    even, places, heights = np.linspace(0, 1, 11), np.array(at), np.array(jumps)
    so_far = np.r_[0.0, heights.cumsum()]
    along = 2 * even + so_far[np.searchsorted(places, even)]
    return Steps(along, places, 2 * places + so_far[:-1], heights)


def test_the_curve_goes_straight_up_and_down_at_its_jumps() -> None:
    """Two of them at one place follow one another; between jumps it is the logit."""
    steps = steps_of([0.25, 0.55, 0.55], [1.0, -2.0, 0.5])
    x, y = steps.curve()
    assert (np.diff(x) >= 0).all()
    at = x == 0.55
    assert y[at] == pytest.approx([2.1, 0.1, 0.1, 0.6])
    inside = x == 0.25
    assert y[inside] == pytest.approx([0.5, 1.5])
    assert (y[0], y[-1]) == pytest.approx((0.0, 1.5))
    assert steps.largest == 1


def test_its_jumps_alone_are_a_staircase_from_where_it_starts() -> None:
    """Which ends at the start and the sum of the jumps."""
    x, y = steps_of([0.25, 0.55], [1.0, -2.0]).by_jumps()
    assert x.tolist() == [0, 0.25, 0.25, 0.55, 0.55, 1]
    assert y == pytest.approx([0, 0, 1, 1, -1, -1])


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "shape"), [("image", (4, 6)), ("series", (2, 12)), ("table", (24,))])
@pytest.mark.parametrize("units", [0, 2])
@pytest.mark.parametrize("jumps", [[], [1.0, -0.5]])
def test_a_path_is_drawn_of_every_kind(
    kind: str, shape: tuple[int, ...], units: int, jumps: list[float]
) -> None:
    """With the atoms of the two units, or without any; with jumps, or without."""
    sample = np.random.default_rng(0).random(24)
    steps = steps_of([0.3, 0.7][: len(jumps)], jumps)
    layout = Layout.of_shape(kind, shape, sample[None])
    atoms = [(sample - 0.5, f"unit {number} enters", "by\n1") for number in range(units)]
    text = svg(path(steps, layout, sample, atoms), "x")
    assert "by its jumps alone" in text
    assert ("largest jump, +1" in text) == bool(jumps)
    assert ("unit 1 enters" in text) == bool(units)
