"""The autoencoders beside the k-sparse one, against numpy and against what their docstrings say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness import datasets
from harness.attributions.decoder import (
    decoder_reconstruction,
    decoder_sensitivity,
    decoder_weighted,
    of_decoder_weighted,
)
from harness.attributions.integrity import errors
from harness.subjects import training
from harness.subjects.autoencoders import (
    RectifiedAutoencoder,
    RevivingAutoencoder,
    VariationalAutoencoder,
)
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier

PIXELS, UNITS = 12, 20


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def images(n: int = 60) -> Tensor:
    """Mixtures of four patterns."""
    generator = torch.Generator().manual_seed(1)
    patterns = torch.rand(4, PIXELS, generator=generator)
    weights = torch.rand(n, 4, generator=generator) * (torch.rand(n, 4, generator=generator) > 0.5)
    return (weights @ patterns / 2).clamp(0, 1)


def array(values: Tensor) -> Any:
    return values.detach().numpy().astype(np.float64)


def trained(model: Any, epochs: int = 40, x: Tensor | None = None, learning_rate: float = 1e-2) -> Any:
    generator = torch.Generator().manual_seed(0)
    recipe: dict[str, Any] = dict(epochs=epochs, batch_size=10, learning_rate=learning_rate)
    return list(
        training.train_autoencoder(model, images() if x is None else x, generator=generator, **recipe)
    )


MADE: dict[str, Any] = {
    "rectified": lambda: RectifiedAutoencoder(PIXELS, UNITS, 0.01),
    "reviving": lambda: RevivingAutoencoder(3, PIXELS, UNITS, patience=5),
    "variational": lambda: VariationalAutoencoder(PIXELS, 4, 16),
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", MADE)
def test_training_minimises_the_models_own_loss(kind: str) -> None:
    """It falls, the reconstructions come nearer, and the same seed gives the same weights."""
    torch.manual_seed(3)
    model = MADE[kind]()
    before = (model(images()) - images()).square().mean()
    torch.manual_seed(4)
    log = trained(model)
    assert log[-1].loss < log[0].loss
    assert (model(images()) - images()).square().mean() < before / 2
    torch.manual_seed(3)
    again = MADE[kind]()
    torch.manual_seed(4)
    trained(again)
    assert torch.equal(model(images()), again(images()))


def test_the_penalty_is_of_each_unit_by_its_atoms_length() -> None:
    """The loss is mean (x_hat - x)^2 + l1 mean_i sum_j z_ij |d_j|; without a weight it is the first alone."""
    model, x = RectifiedAutoencoder(PIXELS, UNITS, 0.3), images()
    weight, bias = array(model.encoder.weight), array(model.encoder.bias)
    codes = np.maximum(array(x) @ weight.T + bias, 0)
    atoms = array(model.decoder.weight)
    error = np.square(codes @ atoms.T + array(model.decoder.bias) - array(x)).mean()
    penalty = (codes * np.linalg.norm(atoms, axis=0)).sum(axis=1).mean()
    np.testing.assert_allclose(array(model.loss(x)), error + 0.3 * penalty, rtol=1e-5)
    model.l1 = 0.0
    np.testing.assert_allclose(array(model.loss(x)), error, rtol=1e-5)


@torch.no_grad()
def test_a_penalty_makes_codes_sparse() -> None:
    """Fewer units are active than without, and the error is larger."""
    dense, sparse = RectifiedAutoencoder(PIXELS, UNITS), RectifiedAutoencoder(PIXELS, UNITS, 0.05)
    sparse.load_state_dict(dense.state_dict())
    found = []
    for model in (dense, sparse):
        trained(model)
        codes = model.encode(images())
        found.append((float((codes > 0).float().mean()), float((model(images()) - images()).square().mean())))
    assert found[1][0] < found[0][0] / 2
    assert found[1][1] > found[0][1]


def test_atoms_have_length_1_and_a_code_at_most_k_units() -> None:
    """x_hat is the code's sum of atoms and the offset; the encoder sees x less the offset."""
    model, x = RevivingAutoencoder(3, PIXELS, UNITS), images()
    trained(model)
    torch.testing.assert_close(model.atoms.norm(dim=1), torch.ones(UNITS))
    codes = model.encode(x)
    assert int((codes > 0).sum(dim=1).max()) <= 3
    h = (x - model.decoder.bias) @ model.encoder.weight.T + model.encoder.bias
    expected = torch.where(h >= h.topk(3, dim=1).values[:, -1:], h.relu(), torch.zeros_like(h))
    torch.testing.assert_close(codes, expected)
    torch.testing.assert_close(model.decode(codes), codes @ model.atoms + model.decoder.bias)


def test_encoder_rows_are_atoms_at_the_start() -> None:
    """As Gao et al. initialise."""
    model = RevivingAutoencoder(3, PIXELS, UNITS)
    torch.testing.assert_close(model.encoder.weight, model.atoms)


@pytest.mark.thorough
def test_dead_units_are_revived() -> None:
    """By the auxiliary loss more units live, and the error is smaller; idle steps are counted."""
    dataset = datasets.load("fashion-mnist-mini", None)
    x = torch.from_numpy(dataset.inputs(dataset.train_images[:320]))
    start, found = RevivingAutoencoder(5, 784, 256).state_dict(), []
    for patience in (5, 10**9):
        model = RevivingAutoencoder(5, 784, 256, patience=patience)
        model.load_state_dict(start)
        trained(model, epochs=15, x=x, learning_rate=1e-3)
        alive = int((model.encode(x) > 0).any(dim=0).sum())
        found.append((alive, float((model(x) - x).detach().square().mean())))
    assert found[0][0] > 1.3 * found[1][0]
    assert found[0][1] < found[1][1]
    model = RevivingAutoencoder(2, PIXELS, UNITS)
    for _ in range(4):
        model.loss(images())
    used = (model.encode(images()) > 0).any(dim=0)
    assert torch.equal(model.unused, torch.where(used, 0, 4))


def test_the_auxiliary_loss_is_of_what_is_left_unexplained() -> None:
    """1/32 of the mean squared distance of the rest from what the largest dead units make."""
    model, x = RevivingAutoencoder(2, PIXELS, UNITS, auxiliary=3, patience=1), images()
    model.unused.fill_(5)
    codes = model.encode(x)
    left = x - model.decode(codes)
    dead = ~(codes > 0).any(dim=0)
    h = ((x - model.decoder.bias) @ model.encoder.weight.T + model.encoder.bias).relu() * dead
    kept = torch.zeros_like(h)
    for row in range(len(x)):
        places = h[row].topk(3).indices
        kept[row, places] = h[row, places]
    expected = left.square().mean() + (left - kept @ model.atoms).square().mean() / 32
    torch.testing.assert_close(model.loss(x), expected)


def test_the_evidence_bound_is_that_of_the_best_variance() -> None:
    """A Gaussian of any other variance gives a larger negative bound of the same draws."""
    model, x = VariationalAutoencoder(PIXELS, 4, 16), images()
    torch.manual_seed(7)
    found = float(model.loss(x).detach())
    torch.manual_seed(7)
    hidden = model.encoder[:2](x)
    mean, log_variance = model.encoder[2](hidden), model.log_variance(hidden)
    codes = torch.distributions.Normal(mean, (log_variance / 2).exp()).loc
    codes = codes + torch.randn_like(mean) * (log_variance / 2).exp()
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    divergence = float(torch.distributions.kl_divergence(posterior, prior).sum(dim=1).mean().detach())
    rebuilt, best = model.decode(codes), []
    for scale in np.linspace(0.05, 1.5, 400):
        likelihood = torch.distributions.Normal(rebuilt, float(scale)).log_prob(x).sum(dim=1).mean()
        best.append((divergence - float(likelihood.detach())) / PIXELS)
    assert found == pytest.approx(min(best), abs=1e-3)
    assert found <= min(best) + 1e-6


def test_the_code_of_a_variational_autoencoder_is_its_mean() -> None:
    """The same every time, whatever mode it is in."""
    model = VariationalAutoencoder(PIXELS, 4, 16).train()
    assert torch.equal(model.encode(images()), model.encode(images()))


@pytest.mark.parametrize("kind", MADE)
def test_decoder_maps_follow_the_decoder_at_the_images_code(kind: str) -> None:
    """The map is the decoder's derivative along the weighted code, by differences; its definition holds."""
    torch.manual_seed(5)
    autoencoder = MADE[kind]()
    width = autoencoder.encode(images(1)).shape[1]
    model = PixelClassifier(autoencoder, Classifier(width, hidden=(8,), classes=3)).eval()
    x, targets = images(9), torch.arange(9) % 3
    exact = PixelClassifier(autoencoder, model.classifier).double()
    codes = exact.encode(x.double()).detach().requires_grad_()
    (slope,) = torch.autograd.grad(exact.classifier(codes).gather(1, targets[:, None]).sum(), codes)
    codes = codes.detach()
    step = 1e-6
    for function, weights in (
        (decoder_weighted, codes * slope),
        (decoder_sensitivity, (codes != 0) * slope),
        (decoder_reconstruction, codes),
    ):
        ahead, behind = exact.decode(codes + step * weights), exact.decode(codes - step * weights)
        expected = (ahead - behind) / (2 * step)
        model.float()
        maps = function(model, x, targets)
        exact.double()
        torch.testing.assert_close(maps.double(), expected, rtol=1e-3, atol=1e-5)
    model.float()
    maps = decoder_weighted(model, x, targets)
    assert float(errors(model, x, targets, maps, of_decoder_weighted, seed=0).errors.max()) < 1e-4
    wrong = maps.roll(1, dims=1)
    assert float(errors(model, x, targets, wrong, of_decoder_weighted, seed=0).errors.min()) > 1e-2


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RectifiedAutoencoder(PIXELS, UNITS, -1.0), "l1 must be a number from 0"),
        (lambda: RectifiedAutoencoder(PIXELS, UNITS, float("nan")), "l1 must be a number from 0"),
        (lambda: RevivingAutoencoder(0, PIXELS, UNITS), "k must be a whole number in 1..20"),
        (lambda: RevivingAutoencoder(3, PIXELS, UNITS, patience=0), "must be from 1"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(make: Any, said: str) -> None:
    """By what must be."""
    with pytest.raises(ValueError, match=said):
        make()


def test_without_a_penalty_it_is_the_k_sparse_one_of_every_unit() -> None:
    """Top-k of as many as there are leaves every unit as it is."""
    dense, every = RectifiedAutoencoder(PIXELS, UNITS), KSparseAutoencoder(UNITS, PIXELS, UNITS)
    every.load_state_dict(dense.state_dict())
    assert torch.equal(dense.encode(images()), every.encode(images()))
    assert torch.equal(dense(images()), every(images()))
