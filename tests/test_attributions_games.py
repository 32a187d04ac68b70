"""Maps of methods that take groups away are held to their definitions by forward passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import attributions
from harness.attributions import coalitions

SETTINGS: dict[str, Any] = {
    "shape": (8, 8), "axes": ("row", "column"), "grain": 2, "noise_seed": 4, "kernel_shap_samples": 200,
    "lime_samples": 200, "shapley_permutations": 6, "occlusion_window": 3, "occlusion_stride": 2,
}  # fmt: skip
PERTURBATION = ("occlusion", "kernel_shap", "shapley_sampling", "lime")
N = 8


@pytest.fixture
def network() -> nn.Module:
    """Of 64 features and 3 classes; not linear."""
    torch.manual_seed(0)
    first = nn.Linear(64, 30)
    nn.init.normal_(first.weight)
    return nn.Sequential(first, nn.Tanh(), nn.Linear(30, 3)).eval()


@pytest.fixture
def images() -> Tensor:
    """With a blank ground."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(N, 64, generator=generator)
    images[:, :10] = 0
    return images


TARGETS = torch.arange(N) % 3


def worst(network: nn.Module, images: Tensor, name: str, maps: Tensor, **changed: Any) -> Tensor:
    """Each map's error."""
    answers = attributions.identity_errors(network, images, TARGETS, maps, name, SETTINGS | changed, seed=2)
    assert answers is not None
    return answers.errors


@pytest.mark.parametrize("name", PERTURBATION)
def test_maps_satisfy_their_definition(network: nn.Module, images: Tensor, name: str) -> None:
    """In float64 a map of float32 is right to its own rounding."""
    maps = attributions.attribute(network, images, TARGETS, name, SETTINGS).own
    assert float(worst(network, images, name, maps).max()) < 1e-4


WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "another image's": lambda maps: maps.roll(1, dims=0),
    "another sign": lambda maps: -maps,
    "too large by 2 %": lambda maps: 1.02 * maps,
    "shifted by a feature": lambda maps: maps.roll(1, dims=1),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", PERTURBATION)
@pytest.mark.parametrize("what", WRONG)
def test_a_map_that_is_something_else_does_not(
    network: nn.Module, images: Tensor, name: str, what: str
) -> None:
    """Seven of eight at least are found out."""
    maps = WRONG[what](attributions.attribute(network, images, TARGETS, name, SETTINGS).own)
    assert int((worst(network, images, name, maps) > 1e-3).sum()) >= N - 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("occlusion", {"occlusion_window": 4}),
        ("occlusion", {"occlusion_stride": 1}),
        ("kernel_shap", {"kernel_shap_samples": 100}),
        ("kernel_shap", {"noise_seed": 5}),
        ("kernel_shap", {"grain": 4}),
        ("shapley_sampling", {"shapley_permutations": 3}),
        ("shapley_sampling", {"noise_seed": 5}),
        ("lime", {"lime_samples": 100}),
        ("lime", {"noise_seed": 5}),
    ],
)
def test_other_settings_than_the_declared_are_found_out(
    network: nn.Module, images: Tensor, name: str, changed: dict[str, Any]
) -> None:
    """Half the coalitions, another window, draws of another seed."""
    maps = attributions.attribute(network, images, TARGETS, name, SETTINGS | changed).own
    assert int((worst(network, images, name, maps) > 1e-3).sum()) >= N - 1


def test_coalitions_that_weigh_otherwise_are_found_out(
    network: nn.Module, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How coalitions weigh is written twice: the check does not believe the method's own weights."""
    true = coalitions.shapley_kernel

    def flat(*given: Any) -> tuple[Tensor, Tensor]:
        keep, weights = true(*given)
        return keep, torch.full_like(weights, 1 / len(weights))

    monkeypatch.setattr(coalitions, "shapley_kernel", flat)
    maps = attributions.attribute(network, images, TARGETS, "kernel_shap", SETTINGS).own
    assert int((worst(network, images, "kernel_shap", maps) > 1e-3).sum()) >= N - 1
