"""Faithfulness, randomisation, stability and concentration against Quantus (Hedström et al. 2023).

One small network, trained on real images cut to 20 x 20 pixels, so that 40 steps are whole pixels. Quantus
explains with plain autograd here, so nothing that is compared shares code. Where a definition differs, the
test says how and makes them equal by parameters, or by handing over our draws.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import datasets, environment
from harness.attributions import attribute, explain, sanity
from harness.measurements import correlations
from harness.measurements.location import gini
from harness.subjects import training
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier

with warnings.catch_warnings():  # on import it warns of its own syntax and of its dependencies' age
    warnings.simplefilter("ignore")
    import quantus
    from quantus.helpers.model.pytorch_model import PyTorchModel

pytestmark = pytest.mark.filterwarnings("ignore:The settings for perturbing input:UserWarning")
"""Quantus warns of every image whose step removes pixels that were 0 already."""

SIDE, N = 20, 30
QUIET: dict[str, Any] = dict(disable_warnings=True, display_progressbar=False)
ASIS: dict[str, Any] = dict(abs=False, normalise=False) | QUIET
"""By default it takes absolute values, and divides each map by its largest value."""


@pytest.fixture(scope="module")
def real() -> tuple[PixelClassifier, Tensor, Tensor]:
    """A network trained for seconds, test images, and the classes that it names."""
    data = datasets.load("fashion-mnist-mini", None)

    def pixels(images: Any) -> Tensor:
        cut = images.reshape(-1, 28, 28)[:, 4:24, 4:24].reshape(-1, SIDE * SIDE)
        return torch.from_numpy(cut.copy()).float() / 255

    train, labels = pixels(data.train_images[:2000]), torch.from_numpy(data.train_labels[:2000].copy()).long()
    with environment.seeded(0):
        network = PixelClassifier(KSparseAutoencoder(12, SIDE * SIDE, 96), Classifier(96, hidden=(64, 32)))
        settings: dict[str, Any] = dict(batch_size=64, learning_rate=3e-3)
        generator = torch.Generator().manual_seed(0)
        list(
            training.train_autoencoder(network.autoencoder, train, epochs=4, generator=generator, **settings)
        )
        codes = training.encode(network.autoencoder, train)
        list(
            training.train_classifier(
                network.classifier, codes, labels, epochs=20, generator=generator, **settings
            )
        )
    images = pixels(data.test_images[:N])
    network.eval()
    with torch.no_grad():
        named = network(images).argmax(dim=1)
    return network, images, named


class Pictures(nn.Module):
    """The network on pictures [n, 1, rows, columns], which is what Quantus hands over."""

    def __init__(self, network: PixelClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.network(pictures.flatten(1))
        return logits


def pictures(rows: Any) -> Any:
    return np.asarray(rows).astype(np.float32).reshape(-1, 1, SIDE, SIDE)


def by_autograd(model: nn.Module, inputs: Any, targets: Any, times_input: bool = False, **_: Any) -> Any:
    """Simple gradients, or gradient times input, as Quantus asks for them."""
    points = torch.as_tensor(inputs, dtype=torch.float32).clone().requires_grad_()
    chosen = model(points).gather(1, torch.as_tensor(targets)[:, None]).sum()
    (slope,) = torch.autograd.grad(chosen, points)
    return (slope * points if times_input else slope).detach().numpy()


def asked(real: tuple[PixelClassifier, Tensor, Tensor], **more: Any) -> dict[str, Any]:
    """What every metric of Quantus is called with; one batch of all images."""
    network, images, targets = real
    return (
        dict(
            model=Pictures(network).eval(),
            x_batch=pictures(images),
            y_batch=targets.numpy(),
            explain_func=by_autograd,
            batch_size=N,
            device="cpu",
        )
        | more
    )


def test_the_network_is_real(real: tuple[PixelClassifier, Tensor, Tensor]) -> None:
    """It is surer of what it names than of all else together, so that there is something to lose."""
    network, images, targets = real
    with torch.no_grad():
        sure = network(images).softmax(dim=1).gather(1, targets[:, None])
    assert float(sure.median()) > 0.5


@pytest.mark.parametrize("method", ["gradients", "integrated_gradients", "decoder_weighted"])
def test_deletion_is_pixel_flipping(real: tuple[PixelClassifier, Tensor, Tensor], method: str) -> None:
    """Each point is that of Quantus's curve, which lacks the first: the image as it is.

    Equal by parameters: softmax, baseline black, 10 of 400 pixels a step, maps with their signs.
    """
    network, images, targets = real
    maps = explain(network, images, targets, method)[method]
    deletion, _ = sanity.curves(network, images, targets, {method: maps})
    metric = quantus.PixelFlipping(features_in_step=10, perturb_baseline="black", **ASIS)
    theirs = np.array(metric(**asked(real, a_batch=pictures(maps), softmax=True)))
    assert theirs.shape == (N, 40)
    assert np.abs(deletion[0, :, 1:].numpy() - theirs).max() < 1e-4


def test_insertion_is_pixel_flipping_backwards(real: tuple[PixelClassifier, Tensor, Tensor]) -> None:
    """Quantus has no insertion: what the first pixels alone show is left when all others were flipped."""
    network, images, targets = real
    maps = explain(network, images, targets, "gradients")["gradients"]
    _, insertion = sanity.curves(network, images, targets, {"gradients": maps})
    metric = quantus.PixelFlipping(features_in_step=10, perturb_baseline="black", **ASIS)
    theirs = np.array(metric(**asked(real, a_batch=pictures(-maps), softmax=True)))
    assert np.abs(insertion[0, :, :-1].flip(1).numpy() - theirs).max() < 1e-4


def test_concentration_is_sparseness(real: tuple[PixelClassifier, Tensor, Tensor]) -> None:
    """Quantus divides each map by its largest value, which no index of Gini feels, and adds 1e-7."""
    network, images, targets = real
    maps = explain(network, images, targets, "integrated_gradients")["integrated_gradients"]
    metric = quantus.Sparseness(abs=True, normalise=True, **QUIET)
    theirs = np.array(metric(**asked(real, a_batch=pictures(maps))))
    assert gini(maps.numpy()) == pytest.approx(theirs, abs=1e-4)


def test_max_sensitivity_is_quantus_at_the_same_draws(real: tuple[PixelClassifier, Tensor, Tensor]) -> None:
    """Quantus draws anew for every image and step; handed our draws it finds our numbers.

    It divides by the map's norm as Yeh et al.'s code does, takes 200 draws and a radius of 0.2 by default.
    """
    network, images, targets = real
    draws = iter(0.02 * (2 * torch.rand(10, SIDE * SIDE, generator=torch.Generator().manual_seed(4)) - 1))

    def ours_as_theirs(arr: Any, **_: Any) -> Any:
        return arr + next(draws).numpy()

    metric = quantus.MaxSensitivity(nr_samples=10, perturb_func=ours_as_theirs, **ASIS)
    maps = by_autograd(network, images, targets)
    theirs = np.array(metric(**asked(real, a_batch=pictures(maps))))
    ours = sanity.max_sensitivity(
        lambda x, y: attribute(network, x, y, "gradients").own,
        images,
        targets,
        radius=0.02,
        draws=10,
        generator=torch.Generator().manual_seed(4),
    )
    equal = np.abs(ours.numpy() - theirs) <= 1e-4 * theirs + 1e-6
    assert equal.mean() >= 0.9  # a near-tie of the top-k may fall either way
    assert next(draws, None) is None


@pytest.mark.parametrize(("order", "kind"), [("top_down", 0), ("independent", 1)])
def test_the_layers_are_renewed_in_quantus_order(
    real: tuple[PixelClassifier, Tensor, Tensor], order: str, kind: int
) -> None:
    """The same layers are new in the same turn; Quantus renews the decoder too, which no logit feels.

    Alone it renews them from the input on, where the turn changes nothing.
    """
    network, _, _ = real

    def renewed(model: nn.Module) -> set[str]:
        before = network.state_dict()
        after = {name.removeprefix("network."): one for name, one in model.state_dict().items()}
        changed = {
            name.rpartition(".")[0] for name, one in after.items() if not torch.equal(one, before[name])
        }
        return changed - {"autoencoder.decoder"}

    wrapped = PyTorchModel(Pictures(network))
    theirs = [
        renewed(model)
        for name, model in wrapped.get_random_layer_generator(order=order, seed=1)
        if not name.endswith("decoder")
    ]
    ours = [renewed(models[kind]) for _, *models in sanity.randomised(network, 1)]
    assert ours == (theirs if order == "top_down" else theirs[::-1])
    assert len(ours) == 4


@pytest.mark.parametrize(("order", "kind"), [("top_down", 0), ("independent", 1)])
def test_randomisation_is_mprt_at_the_same_weights(
    real: tuple[PixelClassifier, Tensor, Tensor], order: str, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handed our new weights, Quantus finds our correlations, layer by layer.

    It restarts torch at one seed for every layer, and takes Spearman's correlation of absolute values by
    default; here it takes Pearson's of signed contributions.
    """
    network, images, targets = real
    models = [(layer, pair[kind]) for layer, *pair in sanity.randomised(network, 7)]

    def ours_as_theirs(*_: Any, **__: Any) -> Iterator[tuple[str, nn.Module]]:
        for layer, model in models:
            assert isinstance(model, PixelClassifier)
            yield layer, Pictures(model).eval()

    monkeypatch.setattr(PyTorchModel, "get_random_layer_generator", ours_as_theirs)
    metric = quantus.MPRT(
        similarity_func=quantus.similarity_func.correlation_pearson, layer_order=order, **ASIS
    )
    maps = by_autograd(network, images, targets, times_input=True)
    theirs = metric(
        **asked(real, a_batch=pictures(maps), explain_func_kwargs={"times_input": True}),
    )
    for layer, model in models:
        found = correlations(maps, explain(model, images, targets, "gradients")["gradients"].numpy())
        assert np.mean(np.abs(found - np.array(theirs[layer])) < 1e-4) >= 0.9  # near-ties, as above
