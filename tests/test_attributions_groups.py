"""Features that are taken away together."""

from __future__ import annotations

import pytest
import torch

from harness.attributions import groups
from harness.errors import ConfigurationError


def test_an_image_is_cut_into_blocks_of_all_its_channels() -> None:
    """28 x 28 pixels are 49 blocks of 4 x 4; those of a colour image are the same in each channel."""
    grey = groups.blocks(784)
    assert torch.equal(grey, groups.blocks(784, (28, 28), ("row", "column"), 4))
    assert grey.bincount().tolist() == [16] * 49
    assert grey.reshape(28, 28)[:4, :4].unique().tolist() == [0]
    assert grey.reshape(28, 28)[27, 27] == 48
    colour = groups.blocks(3 * 784, (3, 28, 28), ("channel", "row", "column"))
    assert torch.equal(colour, grey.repeat(3))


@pytest.mark.parametrize(
    ("shape", "axes", "grain", "count"),
    [
        ((2, 21), ("channel", "time"), None, 14),  # each channel of a series by itself
        ((2, 21), ("channel", "time"), 21, 2),
        ((5,), ("feature",), None, 5),  # every column of a table
        ((8, 14, 14), ("frame", "row", "column"), None, 4 * 49),
        ((10, 10), ("row", "column"), 4, 9),  # the last blocks are smaller
        ((6,), ("time",), None, 6),
    ],
)
def test_each_kind_of_input_is_cut_along_its_places(
    shape: tuple[int, ...], axes: tuple[str, ...], grain: int | None, count: int
) -> None:
    """Neighbours belong together; what has no neighbours is alone."""
    features = int(torch.tensor(shape).prod())
    found = groups.blocks(features, shape, axes, grain)
    assert found.shape == (features,)
    assert found.unique().tolist() == list(range(count))


def test_a_mask_of_ones_own_names_the_groups() -> None:
    """Its labels may be any whole numbers."""
    assert groups.of_mask([7, -1, 7, 3], 4).tolist() == [2, 0, 2, 1]
    assert groups.chosen(4, groups=(7, -1, 7, 3)).tolist() == [2, 0, 2, 1]


@pytest.mark.parametrize(
    ("mask", "words"), [([1, 2], "for each of 3"), ([1.0, 2, 3], "float"), ([4] * 3, "two")]
)
def test_a_mask_that_names_no_groups_is_refused(mask: list[float], words: str) -> None:
    """One number a feature, whole, and two groups at least."""
    with pytest.raises(ConfigurationError, match=words):
        groups.of_mask(torch.tensor(mask), 3)


def test_sides_must_be_those_of_the_features() -> None:
    """A shape of somebody else's data is no guess to go on with."""
    with pytest.raises(ConfigurationError, match="sides of 12 features"):
        groups.blocks(12, (3, 5), ("row", "column"))


def test_what_is_spread_sums_up_to_what_the_groups_have() -> None:
    """Nothing goes to features that are the baseline already, and a group of those alone has nothing."""
    images = torch.tensor([[1.0, 0.0, 2.0, 3.0, 0.0, 0.0]])
    of = torch.tensor([0, 0, 1, 1, 2, 2])
    maps = groups.spread(torch.tensor([[3.0, 4.0, 0.0]]), images, of)
    assert maps.tolist() == [[3.0, 0.0, 2.0, 2.0, 0.0, 0.0]]
    assert groups.summed(maps, of).tolist() == [[3.0, 4.0, 0.0]]
