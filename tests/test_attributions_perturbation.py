"""Methods that take groups away: against brute force, against captum, and what holds for each."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import attributions, environment
from harness.attributions import coalitions, groups, perturbation
from harness.errors import ConfigurationError

PERTURBATION = ("occlusion", "kernel_shap", "shapley_sampling", "lime")
SIDES: dict[str, Any] = {"shape": (8, 8), "axes": ("row", "column"), "grain": 4}
"""Four groups: so few that every coalition can be asked."""


@pytest.fixture
def network() -> nn.Module:
    """Of 64 features and 3 classes; not linear."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 30), nn.Tanh(), nn.Linear(30, 3)).eval()


@pytest.fixture
def images() -> Tensor:
    """Five, of which no feature is the baseline."""
    return torch.rand(5, 64, generator=torch.Generator().manual_seed(1)) + 0.01


TARGETS = torch.tensor([0, 1, 2, 0, 1])


def shapley(network: nn.Module, image: Tensor, target: int, of: Tensor) -> list[float]:
    """Shapley values of groups, from every coalition (Shapley 1953)."""
    players = int(of.max()) + 1

    def value(coalition: tuple[int, ...]) -> float:
        inside = torch.isin(of, torch.tensor(coalition, dtype=torch.int64))
        return float(network((image * inside)[None])[0, target].detach())

    found = []
    for player in range(players):
        others = [one for one in range(players) if one != player]
        total = 0.0
        for size in range(players):
            weight = 1 / (players * math.comb(players - 1, size))
            for coalition in itertools.combinations(others, size):
                total += weight * (value((*coalition, player)) - value(coalition))
        found.append(total)
    return found


def test_kernel_shap_of_every_coalition_is_the_shapley_value(network: nn.Module, images: Tensor) -> None:
    """The best weighted fit at all coalitions is the Shapley value (Lundberg and Lee 2017, theorem 2)."""
    of = groups.blocks(64, (8, 8), ("row", "column"), 4)
    maps = attributions.attribute(network, images, TARGETS, "kernel_shap", SIDES).own
    for image, target, own in zip(images, TARGETS.tolist(), maps, strict=True):
        expected = torch.tensor(shapley(network, image, target, of))
        torch.testing.assert_close(groups.summed(own, of), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "settings"),
    [("shapley_sampling", "shapley_permutations"), ("kernel_shap", "kernel_shap_samples")],
)
def test_more_samples_come_nearer_to_the_shapley_value(
    network: nn.Module, images: Tensor, name: str, settings: str
) -> None:
    """Of 16 groups, the error falls with about the root of what is asked."""
    sides = SIDES | {"grain": 2}
    exact = attributions.attribute(
        network, images, TARGETS, "kernel_shap", sides | {"kernel_shap_samples": 70_000}
    ).own
    few, many = {"shapley_permutations": (4, 400), "kernel_shap_samples": (60, 6000)}[settings]
    off = [
        float(
            (
                attributions.attribute(network, images, TARGETS, name, sides | {settings: count}).own - exact
            ).norm()
        )
        for count in (few, many)
    ]
    assert off[1] < off[0] / 3


@pytest.mark.parametrize("name", ["kernel_shap", "shapley_sampling"])
def test_contributions_sum_to_what_the_input_has_over_the_baseline(
    network: nn.Module, images: Tensor, name: str
) -> None:
    """Efficiency is exact, however few coalitions are asked; the blank part of an image adds nothing."""
    images[:, :32] = 0
    settings = SIDES | {"grain": 2, "kernel_shap_samples": 30, "shapley_permutations": 3}
    maps = attributions.attribute(network, images, TARGETS, name, settings).own
    with torch.no_grad():
        total = (network(images) - network(images * 0)).gather(1, TARGETS[:, None])[:, 0]
    torch.testing.assert_close(maps.sum(dim=1), total, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PERTURBATION)
def test_neither_batch_nor_chunk_nor_order_changes_a_map(
    network: nn.Module, images: Tensor, name: str
) -> None:
    """One design serves every image."""
    whole = attributions.attribute(network, images, TARGETS, name, SIDES | {"chunk_size": 3}).own
    order = torch.tensor([3, 0, 4])
    part = attributions.attribute(network, images[order], TARGETS[order], name, SIDES).own
    torch.testing.assert_close(part, whole[order], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", PERTURBATION)
def test_features_at_the_baseline_add_nothing(network: nn.Module, images: Tensor, name: str) -> None:
    """Nor does an image that is the baseline."""
    images[0], images[1, 10:50] = 0, 0
    maps = attributions.attribute(network, images, TARGETS, name, SIDES).own
    assert not maps[images == 0].any()
    assert maps[images != 0].all()


@pytest.mark.parametrize(
    ("name", "changed", "said"),
    [
        ("occlusion", {"occlusion_window": 3, "occlusion_stride": 4}, r"occlusion_stride must be in 1\.\.3"),
        ("kernel_shap", {"grain": 1, "kernel_shap_samples": 96}, "enough to fit 64 groups, about 192"),
        ("kernel_shap", {"grain": 8}, "two or more"),
    ],
)
def test_settings_by_which_there_are_no_maps_are_refused(
    network: nn.Module, images: Tensor, name: str, changed: dict[str, int], said: str
) -> None:
    """As what they are, and before any work as well."""
    settings = SIDES | changed
    with pytest.raises(ConfigurationError, match=said):
        attributions.attribute(network, images, TARGETS, name, settings)
    with pytest.raises(ConfigurationError, match=r"must be|two or more"):
        attributions.refuse_unfit([name], 64, settings)


@pytest.mark.parametrize("name", PERTURBATION)
def test_one_group_of_everything_is_refused_before_any_work(name: str) -> None:
    """Its map would say nothing but the logit itself."""
    attributions.refuse_unfit([name], 64, SIDES)
    with pytest.raises(ConfigurationError, match="smaller than the whole input"):
        attributions.refuse_unfit([name], 64, SIDES | {"grain": 9, "occlusion_window": 9})


def _mask(grain: int) -> Tensor:
    return groups.blocks(64, (8, 8), ("row", "column"), grain)


def test_occlusion_is_captums(network: nn.Module, images: Tensor) -> None:
    """The same windows, strides that do not fit among them, and the same means where windows overlap."""
    from captum.attr import Occlusion

    for window, stride in ((4, 2), (3, 2), (5, 4), (8, 1)):
        settings = SIDES | {"occlusion_window": window, "occlusion_stride": stride}
        ours = attributions.attribute(network, images, TARGETS, "occlusion", settings).own
        model = nn.Sequential(nn.Flatten(), network)
        theirs = Occlusion(model).attribute(
            images.view(-1, 8, 8), (window, window), (stride, stride), target=TARGETS
        )
        torch.testing.assert_close(ours, theirs.flatten(1).float(), rtol=1e-4, atol=1e-5)


def test_shapley_values_are_captums(network: nn.Module, images: Tensor) -> None:
    """By sampling of orders until both are near; captum gives every feature of a group the group's value."""
    from captum.attr import ShapleyValues

    theirs = ShapleyValues(network).attribute(images, target=TARGETS, feature_mask=_mask(4)[None])
    ours = attributions.attribute(network, images, TARGETS, "kernel_shap", SIDES).own
    torch.testing.assert_close(16 * ours, theirs.float(), rtol=1e-3, atol=1e-4)
    sampled = attributions.attribute(
        network, images, TARGETS, "shapley_sampling", SIDES | {"shapley_permutations": 2000}
    ).own
    torch.testing.assert_close(sampled, ours, rtol=0.1, atol=2e-4)


def test_lime_is_scikit_learns_ridge_at_the_same_coalitions(network: nn.Module, images: Tensor) -> None:
    """With the kernel and the penalty of the package `lime`, whose samples scikit-learn's Ridge fits."""
    from sklearn.linear_model import Ridge  # type: ignore[import-untyped]

    settings = SIDES | {"grain": 2, "lime_samples": 300, "noise_seed": 5}
    ours = attributions.attribute(network, images, TARGETS, "lime", settings).own
    of = _mask(2)
    keep = coalitions.masks(16, 300, 5)
    distances = 1 - np.sqrt(keep.double().mean(dim=1).numpy())
    weights = np.sqrt(np.exp(-(distances**2) / 0.25**2))
    np.testing.assert_allclose(perturbation.closeness(keep).numpy(), weights, rtol=1e-12)
    for image, target, own in zip(images, TARGETS.tolist(), ours, strict=True):
        with torch.no_grad():
            answers = network(image * keep[:, of])[:, target].double().numpy()
        fitted = Ridge(alpha=1.0).fit(keep.numpy(), answers, sample_weight=weights).coef_
        np.testing.assert_allclose(groups.summed(own, of).numpy(), fitted, rtol=1e-3, atol=1e-5)


def test_lime_is_captums_at_the_same_coalitions(network: nn.Module, images: Tensor) -> None:
    """Captum's fit of what the network says, under the kernel and the penalty that ours has."""
    from captum._utils.models.linear_model import SkLearnRidge
    from captum.attr import LimeBase

    of, keep, drawn = _mask(2), coalitions.masks(16, 300, 5), iter(())
    theirs = LimeBase(
        network,
        SkLearnRidge(alpha=1.0),
        similarity_func=lambda _whole, _part, kept, **_: perturbation.closeness(kept),
        perturb_func=lambda *_, **__: next(drawn)[None],
        perturb_interpretable_space=True,
        from_interp_rep_transform=lambda kept, image, **_: image * kept[:, of],
        to_interp_rep_transform=None,
    )
    settings = SIDES | {"grain": 2, "lime_samples": 300, "noise_seed": 5}
    ours = attributions.attribute(network, images, TARGETS, "lime", settings).own
    for image, target, own in zip(images, TARGETS, ours, strict=True):
        drawn = iter(keep.float())
        fitted = theirs.attribute(image[None], target=target[None], n_samples=300, perturbations_per_eval=100)
        torch.testing.assert_close(groups.summed(own, of), fitted[0].float(), rtol=1e-3, atol=1e-5)


@pytest.mark.thorough
def test_kernel_shap_is_near_captums(network: nn.Module, images: Tensor) -> None:
    """Captum draws its coalitions one by one, and weighs them alike; ours are all there are."""
    from captum.attr import KernelShap

    with environment.seeded(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum's
        theirs = KernelShap(network).attribute(
            images[:1], target=TARGETS[:1], feature_mask=_mask(4)[None], n_samples=4000,
            perturbations_per_eval=1000, return_input_shape=False,
        )  # fmt: skip
    ours = attributions.attribute(network, images[:1], TARGETS[:1], "kernel_shap", SIDES).own
    found = groups.summed(ours, _mask(4))[0]
    assert float((found - theirs[0]).abs().max()) < 0.05 * float(found.abs().max())


def test_windows_that_cover_the_same_features_are_one_cell() -> None:
    """Of a window of 4 that moves by 2 the cells are 2 x 2; each window covers 16 features."""
    cells, windows = perturbation.window_cells(784, (28, 28), ("row", "column"), 4, 2)
    assert windows.shape == (13 * 13, 14 * 14)
    assert cells.bincount().tolist() == [4] * 196
    assert windows[:, cells].sum(dim=1).tolist() == [16] * 169


def test_no_image_gives_no_map(network: nn.Module) -> None:
    """An empty selection is no crash."""
    none = torch.empty(0, 64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in PERTURBATION:
            maps = attributions.attribute(network, none, torch.empty(0, dtype=torch.int64), name, SIDES)
            assert maps.own.shape == (0, 64)
