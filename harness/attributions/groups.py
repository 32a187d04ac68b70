"""Which features of an input are taken away together: blocks of pixels, runs of steps, a mask of one's own.

Methods that take features away need few of them: 49 blocks in place of 784 pixels. What a group adds to a
logit is spread over its features evenly, but over none that is the baseline already: taking that away
changes nothing. So maps of groups have a number a feature like any other, and their sums by group are what
was asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from harness.errors import ConfigurationError

PARTS = 7
"""Into how many parts an axis is cut where no grain is named."""

PLACES = ("row", "column", "time", "frame")
"""Axes along which neighbours belong together."""

Axes = Sequence[str]


def belong_together(axis: str, axes: Axes) -> bool:
    """Whether what lies along an axis is one: the channels of an image, not those of a series."""
    return axis == "channel" and "row" in axes


def places(features: int, shape: Sequence[int] = (), axes: Axes = ()) -> tuple[tuple[int, ...], Axes]:
    """The sides and axes of an input; of one of which nobody tells, those of a square image or of a row.

    Raises:
        ConfigurationError: the sides are not those of so many features.
    """
    if not shape:
        side = math.isqrt(features)
        return ((side, side), ("row", "column")) if side * side == features else ((features,), ("feature",))
    if math.prod(shape) != features or len(shape) != len(axes):
        raise ConfigurationError(
            f"shape must be the sides of {features} features, one for each axis (got {tuple(shape)} for "
            f"{', '.join(axes) or 'none'})"
        )
    return tuple(shape), axes


def chosen(
    features: int,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    grain: int | None = None,
    groups: Sequence[int] | None = None,
) -> Tensor:
    """The groups that settings declare: a mask of one's own, or blocks; int64 [features]."""
    return blocks(features, shape, axes, grain) if groups is None else of_mask(groups, features)


def blocks(features: int, shape: Sequence[int] = (), axes: Axes = (), grain: int | None = None) -> Tensor:
    """Each feature's group: int64 [features], from 0 on.

    Along each axis of places a group is `grain` wide, by default a seventh of the side; the channels of an
    image belong together, those of a series and the features of a table each alone.

    Args:
        features: How many there are.
        shape: The input's sides, and `axes` their names; of a square image where left out.
        axes: Of `harness.forms.AXES`.
        grain: The side of a group, in pixels, steps or frames.
    """
    shape, axes = places(features, shape, axes)
    number = torch.zeros((), dtype=torch.int64)
    for side, axis in zip(shape, axes, strict=True):
        place = torch.arange(side)
        if axis in PLACES:
            place = place // (grain or math.ceil(side / PARTS))
        elif belong_together(axis, axes):
            place = torch.zeros_like(place)
        number = number[..., None] * (int(place[-1]) + 1) + place
    return number.flatten()


def of_mask(mask: Sequence[int] | Tensor, features: int) -> Tensor:
    """A mask of one's own as groups: int64 [features], numbered from 0 on in order of their labels.

    Raises:
        ConfigurationError: it has not one whole number a feature, or one group alone.
    """
    given = torch.as_tensor(mask).flatten()
    if given.is_floating_point() or len(given) != features:
        raise ConfigurationError(
            f"groups must be a whole number for each of {features} features (got {len(given)}, {given.dtype})"
        )
    numbers: Tensor
    labels, numbers = given.long().unique(return_inverse=True)
    if len(labels) < 2:
        raise ConfigurationError("groups must be two or more (got one: every feature has the same number)")
    return numbers


def summed(maps: Tensor, groups: Tensor) -> Tensor:
    """The sums of maps [..., features] by group: [..., groups]."""
    sums = maps.new_zeros(*maps.shape[:-1], int(groups.max()) + 1)
    return sums.index_add_(-1, groups.to(maps.device), maps)


def spread(values: Tensor, images: Tensor, groups: Tensor) -> Tensor:
    """Each group's value, spread evenly over those of its features that are not the baseline.

    Args:
        values: float [n, groups].
        images: float [n, features], 0 where the baseline is.
        groups: int64 [features].

    Returns:
        float [n, features].
    """
    there = (images != 0).to(values)
    counts = summed(there, groups).clamp_min(1)
    return (values / counts)[:, groups] * there
