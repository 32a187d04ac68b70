"""Designs of coalitions, and what a model says of them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from harness.attributions import coalitions, groups
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier


def test_few_players_have_every_coalition_with_the_kernels_weight() -> None:
    """Of 6 there are 62; each weighs 5 / (C(6, s) s (6 - s)), in parts of their sum."""
    keep, weights = coalitions.shapley_kernel(6, 100, seed=0)
    assert len(keep.unique(dim=0)) == len(keep) == 62
    sizes = keep.sum(dim=1).tolist()
    kernel = torch.tensor([5 / (math.comb(6, s) * s * (6 - s)) for s in sizes])
    torch.testing.assert_close(weights, (kernel / kernel.sum()).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("samples", [200, 2048])
def test_many_players_have_the_outer_sizes_whole_and_the_others_in_pairs(samples: int) -> None:
    """The weights of all sizes are the kernel's in the mean; each coalition stands with its complement."""
    keep, weights = coalitions.shapley_kernel(49, samples, seed=3)
    assert abs(len(keep) - samples) <= 1
    assert float(weights.sum()) == pytest.approx(1)
    sizes = keep.sum(dim=1)
    assert 0 < int(sizes.min()) <= int(sizes.max()) < 49
    rows = {tuple(row) for row in keep.int().tolist()}
    assert all(tuple(1 - one for one in row) in rows for row in rows)
    share = (48 / 48 + 48 / 48) / sum(48 / (s * (49 - s)) for s in range(1, 49))
    whole = (sizes == 1) | (sizes == 48)
    assert float(weights[whole].sum()) == pytest.approx(share, rel=0.5 if samples == 200 else 1e-9)


def test_a_design_is_the_seeds_alone() -> None:
    """Another seed draws others; the same seed the same, whatever was drawn before."""
    for design in (coalitions.permutations, coalitions.masks, lambda *a: coalitions.shapley_kernel(*a)[0]):
        first = design(20, 50, 1)
        torch.rand(7)
        assert torch.equal(first, design(20, 50, 1))
        assert not torch.equal(first, design(20, 50, 2))


def test_orders_stand_beside_their_reverse() -> None:
    """Each is a permutation; an odd number leaves the last alone."""
    orders = coalitions.permutations(9, 5, 0)
    assert orders.shape == (5, 9)
    assert all(sorted(row) == list(range(9)) for row in orders.tolist())
    assert torch.equal(orders[0].flip(0), orders[1])


def _k_sparse() -> nn.Module:
    return PixelClassifier(KSparseAutoencoder(10, 64, 40), Classifier(40, hidden=(16,), classes=5)).eval()


def _any() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 20), nn.Tanh(), nn.Linear(20, 5)).eval()


@pytest.mark.parametrize("network", [_k_sparse, _any])
def test_values_are_the_logits_of_inputs_without_some_groups(network: object) -> None:
    """On both paths, image by image and coalition by coalition, whatever the chunk."""
    torch.manual_seed(0)
    model = network()  # type: ignore[operator]
    images, targets = torch.rand(5, 64), torch.arange(5)
    of = groups.blocks(64, (8, 8), ("row", "column"), 2)
    keep = torch.tensor(list(itertools.product([False, True], repeat=4))).repeat(1, 4)
    expected = torch.stack(
        [model(image * keep[:, of])[:, target] for image, target in zip(images, targets, strict=True)]
    ).detach()
    for chunk_size in (3, 512):
        found = coalitions.values(model, images, targets, keep, of, chunk_size=chunk_size)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("missing", [1, 8])
def test_rows_in_parts_are_rows_at_once(missing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where few groups leave, and where many do; images in blocks that do not fit."""
    torch.manual_seed(0)
    model, images, targets = _k_sparse(), torch.rand(5, 64), torch.arange(5)
    of = groups.blocks(64, (8, 8), ("row", "column"), 2)
    keep = torch.rand(11, 16).argsort(dim=1) >= missing
    whole = coalitions.values(model, images, targets, keep, of, chunk_size=512)
    monkeypatch.setattr(coalitions, "ROWS", {"cpu": 3, "cuda": 3})
    monkeypatch.setattr(coalitions, "BLOCK", 2)
    parts = coalitions.values(model, images, targets, keep, of, chunk_size=512)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)
    expected = torch.stack(
        [model(image * keep[:, of])[:, target] for image, target in zip(images, targets, strict=True)]
    )
    torch.testing.assert_close(whole, expected.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("network", [_k_sparse, _any])
def test_coalitions_that_an_input_cannot_tell_apart_are_asked_once(network: object) -> None:
    """With half of the groups at the baseline there are 2^4 inputs of 2^8 coalitions; of a blank one, one."""
    torch.manual_seed(0)
    model, images, targets = network(), torch.rand(3, 64), torch.arange(3)  # type: ignore[operator]
    of = groups.blocks(64, (8, 4, 2), ("row", "column", "channel"), 2).clamp_max(7)
    images[0, of >= 4] = 0
    images[1] = 0
    keep = torch.tensor(list(itertools.product([False, True], repeat=8)))
    seen: list[int] = []
    handle = model.register_forward_hook(lambda _module, given, _logits: seen.append(len(given[0])))
    found = coalitions.values(model, images, targets, keep, of, chunk_size=1000)
    handle.remove()
    if network is _any:
        assert seen == [16, 1, 256]
    unhooked = coalitions.values(model, images, targets, keep, of, chunk_size=1000)
    expected = torch.stack(
        [model(image * keep[:, of])[:, target] for image, target in zip(images, targets, strict=True)]
    ).detach()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(unhooked, expected, rtol=1e-5, atol=1e-5)


def test_the_fit_is_what_sums_of_groups_explain() -> None:
    """1 of a model that adds its groups up, whatever its constant; 0 of maps that say nothing."""
    torch.manual_seed(0)
    of = groups.blocks(64, (8, 8), ("row", "column"), 2)
    keep = coalitions.masks(16, 100, 0)
    maps = torch.rand(3, 64)
    added = groups.summed(maps, of) @ keep.float().T
    torch.testing.assert_close(coalitions.fit(added + 5, maps, keep, of), torch.ones(3).double())
    nothing = coalitions.fit(added, torch.zeros_like(maps), keep, of)
    torch.testing.assert_close(nothing, torch.zeros(3).double())
    assert float(coalitions.fit(added, -maps, keep, of).max()) < 0
    assert coalitions.fit(torch.ones_like(added), maps, keep, of).isnan().all()
