"""`import harness`: what notebooks and scripts are promised."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import harness


def test_every_public_name_is_there() -> None:
    """Each name of `__all__` can be had, and an unknown one is an AttributeError."""
    for name in harness.__all__:
        assert getattr(harness, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        harness.nothing  # noqa: B018


def test_importing_does_nothing() -> None:
    """`import harness` loads neither torch nor numpy."""
    code = "import sys, harness; sys.exit(any(name in sys.modules for name in ('torch', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_notebook_explains_a_batch_with_a_subset_of_methods() -> None:
    """A network with another k, two methods on a batch, and the three-row figure of one image."""
    autoencoder = harness.KSparseAutoencoder(k=100)
    model = harness.PixelClassifier(autoencoder, harness.Classifier())
    images = torch.rand(3, 784, generator=torch.Generator().manual_seed(0))
    maps = harness.explain(model, images, methods=["gradients", "integrated_gradients"], attribution_steps=4)
    assert list(maps) == ["gradients", "integrated_gradients"]
    assert all(one.shape == (3, 784) for one in maps.values())
    figure = harness.draw_explanation(images[0].numpy(), {name: one[0].numpy() for name, one in maps.items()})
    assert len(figure.axes[0].images) == 1 + 2 * 3


def test_the_predicted_class_is_explained_by_default() -> None:
    """Without targets the maps are those of the predicted classes."""
    model = harness.PixelClassifier(harness.KSparseAutoencoder(k=20), harness.Classifier()).eval()
    images = torch.rand(4, 784, generator=torch.Generator().manual_seed(0))
    predicted = model(images).argmax(1)
    for name, one in harness.explain(model, images, methods=["smoothgrad"]).items():
        torch.testing.assert_close(one, harness.explain(model, images, predicted, methods=[name])[name])
