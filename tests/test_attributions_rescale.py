"""DeepLift through a code."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from harness import attributions
from harness.errors import InputError
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier

TARGETS = torch.arange(20) % 5


@pytest.fixture(scope="module")
def network() -> PixelClassifier:
    """64 pixels, 40 units of which 10 are active, 5 classes."""
    torch.manual_seed(1)
    return PixelClassifier(KSparseAutoencoder(10, 64, 40), Classifier(40, hidden=(16, 12), classes=5)).eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    """With a dark ground."""
    generator = torch.Generator().manual_seed(2)
    return torch.rand(20, 64, generator=generator) * (torch.rand(20, 64, generator=generator) < 0.6)


def test_it_is_complete_where_integrated_gradients_are_not(network: PixelClassifier, images: Tensor) -> None:
    """To rounding, whatever the top-k switched on the way; fifty steps leave a gap."""
    with torch.no_grad():
        total = (network(images) - network(images * 0)).gather(1, TARGETS[:, None])[:, 0]
    gaps = {
        name: float(
            (attributions.attribute(network, images, TARGETS, name).own.sum(dim=1) - total).abs().max()
        )
        for name in ("deeplift_code", "integrated_gradients")
    }
    assert gaps["deeplift_code"] < 1e-5
    assert gaps["integrated_gradients"] > 1e-3


def test_it_is_captums_where_captum_sees_the_same_network(images: Tensor) -> None:
    """Of linear layers and relu, as modules, once each: a code in which every unit is kept."""
    from captum.attr import DeepLift

    torch.manual_seed(0)
    network = PixelClassifier(KSparseAutoencoder(40, 64, 40), Classifier(40, hidden=(16,), classes=5)).eval()
    plain = nn.Sequential(network.autoencoder.encoder, nn.ReLU(), network.classifier)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own hooks
        theirs = DeepLift(plain).attribute(images.clone().requires_grad_(), target=TARGETS)
    ours = attributions.attribute(network, images, TARGETS, "deeplift_code").own
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-4, atol=1e-5)


def test_its_maps_satisfy_their_definition_and_others_do_not(
    network: PixelClassifier, images: Tensor
) -> None:
    """Directions pushed forward meet maps pulled back."""

    def errors(maps: Tensor) -> Tensor:
        found = attributions.identity_errors(network, images, TARGETS, maps, "deeplift_code", seed=0)
        assert found is not None
        return found.errors

    maps = attributions.attribute(network, images, TARGETS, "deeplift_code").own
    assert float(errors(maps).max()) < 1e-4
    gradients = attributions.attribute(network, images, TARGETS, "input_x_gradient").own
    for wrong in (-maps, 1.02 * maps, maps.roll(1, dims=0), gradients):
        assert int((errors(wrong) > 1e-3).sum()) >= 18


def test_another_network_is_refused(images: Tensor) -> None:
    """One that is no code on linear layers, and one that only looks like it."""
    with pytest.raises(InputError, match="linear encoder"):
        attributions.attribute(nn.Linear(64, 5), images, TARGETS, "deeplift_code")
    torch.manual_seed(0)
    network = PixelClassifier(KSparseAutoencoder(10, 64, 40), Classifier(40, hidden=(16,), classes=5)).eval()
    network.classifier.get_submodule("0").register_forward_hook(lambda _module, _given, out: out + 3)
    with pytest.raises(InputError, match="sum to the logit"):
        attributions.attribute(network, images, TARGETS, "deeplift_code")
