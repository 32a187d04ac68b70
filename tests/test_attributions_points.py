"""Expected gradients: against sums written out, against captum, in any batch, and held to its definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import attributions, environment
from harness.attributions import attribute, explain, points
from harness.attributions.points import reference_draws
from harness.errors import InputError
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier
from harness.subjects.sparse import gradients

N, PIXELS = 24, 64
NAME = "expected_gradients"


@pytest.fixture(scope="module", params=["k-sparse", "smooth"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    """Of 64 features: one through the sparse path, one through autograd."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if request.param == "k-sparse":
            sparse = KSparseAutoencoder(10, PIXELS, 40)
            return PixelClassifier(sparse, Classifier(40, hidden=(16, 12), classes=5)).eval()
        return nn.Sequential(nn.Linear(PIXELS, 30), nn.Tanh(), nn.Linear(30, 5)).eval()


def drawn(n: int, seed: int) -> Tensor:
    """Images with a dark background, float32 [n, 64]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, PIXELS, generator=generator) * (torch.rand(n, PIXELS, generator=generator) < 0.6)


IMAGES, REFERENCES, TARGETS = drawn(N, 1), drawn(9, 2), torch.arange(N) % 5
SETTINGS: dict[str, Any] = {"references": REFERENCES, "expected_gradients_samples": 20, "noise_seed": 4}


def maps_of(network: nn.Module, chosen: slice | Tensor = slice(None), **changed: Any) -> Tensor:
    """The maps of some of the images."""
    return attribute(network, IMAGES[chosen], TARGETS[chosen], NAME, SETTINGS | changed).own


def test_it_is_the_mean_over_the_draws(network: nn.Module) -> None:
    """Of (x - r) times the gradient on the way from r, one draw after another, in float64."""
    exact, expected = network.double(), torch.zeros(N, PIXELS, dtype=torch.float64)
    try:
        which, positions = reference_draws(len(REFERENCES), 20, 4)
        for number, position in zip(which.tolist(), positions.double().tolist(), strict=True):
            reference = REFERENCES[number].double()
            ways = torch.lerp(reference.expand(N, -1), IMAGES.double(), position).requires_grad_()
            chosen = exact(ways).gather(1, TARGETS[:, None]).sum()
            expected += (IMAGES - reference) * torch.autograd.grad(chosen, ways)[0] / 20
    finally:
        network.float()
    torch.testing.assert_close(maps_of(network).double(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("draws", [1, 20])
@pytest.mark.parametrize("right", [True, False])
def test_the_fast_path_is_held_against_autograd_once_for_all_draws(
    monkeypatch: pytest.MonkeyPatch, *, draws: int, right: bool
) -> None:
    """However many are drawn; where it does not hold, every draw goes by autograd."""
    with environment.seeded(0):
        network = PixelClassifier(KSparseAutoencoder(10, PIXELS, 40), Classifier(40, classes=5)).eval()
    asked: list[str] = []
    expected = maps_of(network, expected_gradients_samples=draws)
    monkeypatch.setattr(gradients, "proven", _telling("held", lambda *_: right, asked))
    monkeypatch.setattr(points, "_by_autograd", _telling("by autograd", points._by_autograd, asked))
    found = maps_of(network, expected_gradients_samples=draws)
    assert asked == ["held", *([] if right else ["by autograd"] * draws)]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def _telling(name: str, function: Callable[..., Any], told: list[str]) -> Callable[..., Any]:
    def asked(*given: Any, **named: Any) -> Any:
        told.append(name)
        return function(*given, **named)

    return asked


@pytest.mark.thorough
def test_many_draws_come_to_captums_integrated_gradients_from_each_reference() -> None:
    """Their mean over the references, whatever is drawn."""
    from captum.attr import IntegratedGradients

    torch.manual_seed(0)
    smooth = nn.Sequential(nn.Linear(PIXELS, 30), nn.Tanh(), nn.Linear(30, 5)).eval()
    oracle = torch.stack(
        [
            IntegratedGradients(smooth).attribute(IMAGES, one[None], target=TARGETS, n_steps=100)
            for one in REFERENCES
        ]
    ).mean(dim=0)
    far = {
        count: float((maps_of(smooth, expected_gradients_samples=count) - oracle).norm() / oracle.norm())
        for count in (40, 4000)
    }
    # chance falls with the root of the draws: ten times less
    assert far[4000] < 0.04 < far[40]


def test_neither_chunk_nor_company_nor_order_changes_a_map(network: nn.Module) -> None:
    """One design serves every image."""
    whole = maps_of(network)
    for size in (1, 7):
        torch.testing.assert_close(maps_of(network, chunk_size=size), whole, rtol=1e-4, atol=1e-6)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))[:10]
    torch.testing.assert_close(maps_of(network, order), whole[order], rtol=1e-4, atol=1e-6)


@pytest.mark.thorough
def test_maps_satisfy_their_definition_and_others_do_not(network: nn.Module) -> None:
    """Of other references, another seed, fewer draws, and of a baseline of 0, they are found out."""
    other: dict[str, dict[str, Any]] = {
        "references": {"references": drawn(9, 5)},
        "seed": {"noise_seed": 5},
        "draws": {"expected_gradients_samples": 10},
        "baseline": {"references": torch.zeros(1, PIXELS)},
    }
    wrong = {what: maps_of(network, **changed) for what, changed in other.items()}
    right = maps_of(network)
    wrong |= {
        "2 %": 1.02 * right,
        "sign": -right,
        "copy": explain(network, IMAGES, TARGETS, "gradients")["gradients"],
    }

    def share(maps: Tensor) -> float:
        answers = attributions.identity_errors(network, IMAGES, TARGETS, maps, NAME, SETTINGS, seed=3)
        assert answers is not None
        return float((answers.errors < 1e-3).double().mean())

    assert share(right) >= 0.95
    assert {what: share(maps) for what, maps in wrong.items() if share(maps) > 0.1} == {}


def test_it_sums_to_the_logit_less_the_mean_of_the_references() -> None:
    """Up to chance: within 4 standard errors of the draws' own sums."""
    torch.manual_seed(0)
    smooth = nn.Sequential(nn.Linear(PIXELS, 30), nn.Tanh(), nn.Linear(30, 5)).eval()
    with torch.no_grad():
        total = (smooth(IMAGES) - smooth(REFERENCES).mean(dim=0)).gather(1, TARGETS[:, None])[:, 0]
    sums = torch.stack(
        [maps_of(smooth, noise_seed=seed, expected_gradients_samples=30).sum(dim=1) for seed in range(50)]
    )
    assert ((sums.mean(dim=0) - total).abs() < 4 * sums.std(dim=0) / np.sqrt(50)).all()


@pytest.mark.parametrize(
    "given", [None, torch.zeros(0, PIXELS), torch.zeros(3, PIXELS - 1), torch.zeros(PIXELS)]
)
def test_without_references_it_is_refused(given: Tensor | None) -> None:
    """It says what is wanted, and what was given."""
    layer = nn.Linear(PIXELS, 5)
    settings = {} if given is None else {"references": given}
    with pytest.raises(InputError, match=r"expected_gradients: references must be .* \[r, 64\].*got"):
        attribute(layer, IMAGES, TARGETS, NAME, settings)
