"""Maps against the package shap: exact values of all coalitions, and means that come to the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import attributions

PLAYERS = 8
IMAGES = torch.rand(4, PLAYERS, generator=torch.Generator().manual_seed(1)) + 0.01
REFERENCES = torch.rand(6, PLAYERS, generator=torch.Generator().manual_seed(2))
TARGETS = torch.tensor([0, 1, 2, 0])
TABLE: dict[str, Any] = {"shape": (PLAYERS,), "axes": ("column",), "grain": 1}


@pytest.fixture(scope="module")
def shap() -> Iterator[Any]:
    """The package; on import it warns of matplotlib's and numpy's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap

        yield shap


@pytest.fixture
def network() -> nn.Module:
    """Of 8 features and 3 classes; not linear."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(PLAYERS, 30), nn.Tanh(), nn.Linear(30, 3)).eval()


def of_targets(values: Any) -> Tensor:
    """Their [n, features, classes] as the maps of the classes explained."""
    found = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    return found[torch.arange(len(TARGETS)), :, TARGETS]


@pytest.mark.thorough
def test_kernel_shap_of_every_coalition_is_theirs(shap: Any, network: nn.Module) -> None:
    """All 254 coalitions of eight features, by the same weights: both are the Shapley values."""

    def logits(rows: Any) -> Any:
        with torch.no_grad():
            return network(torch.as_tensor(rows, dtype=torch.float32)).numpy()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = shap.KernelExplainer(logits, np.zeros((1, PLAYERS), dtype=np.float32))
        theirs = of_targets(explainer.shap_values(IMAGES.numpy(), nsamples=2**PLAYERS, silent=True))
    settings = TABLE | {"kernel_shap_samples": 2**PLAYERS}
    ours = attributions.attribute(network, IMAGES, TARGETS, "kernel_shap", settings).own
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.thorough
def test_expected_gradients_come_to_theirs(shap: Any, network: nn.Module) -> None:
    """Of the same references, both by many draws: within 5 % of the map's norm."""
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        explainer = shap.GradientExplainer(network, REFERENCES, batch_size=200)
        theirs = of_targets(explainer.shap_values(IMAGES, nsamples=4000, rseed=0))
    settings = {"references": REFERENCES, "expected_gradients_samples": 4000}
    ours = attributions.attribute(network, IMAGES, TARGETS, "expected_gradients", settings).own
    assert float((ours - theirs).norm() / theirs.norm()) < 0.05


def test_deeplift_is_theirs_for_one_reference(shap: Any) -> None:
    """Of a rectifier network and the baseline: the rescale rule, through the code's own multipliers."""
    from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier

    torch.manual_seed(0)
    dense = PixelClassifier(
        KSparseAutoencoder(20, PLAYERS, 20), Classifier(20, hidden=(16, 12), classes=3)
    ).eval()
    layers = [dense.autoencoder.encoder, nn.ReLU(), *dense.classifier.children()]
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        explainer = shap.DeepExplainer(nn.Sequential(*layers).eval(), torch.zeros(1, PLAYERS))
        theirs = of_targets(explainer.shap_values(IMAGES, check_additivity=False))
    ours = attributions.attribute(dense, IMAGES, TARGETS, "deeplift_code").own
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
