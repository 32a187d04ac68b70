"""The networks against numpy in float64 and against what the equations of their docstrings say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from harness.subjects import models
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier

Doubles = npt.NDArray[np.float64]


def some_images(n: int, pixels: int) -> Tensor:
    """Images of uniform noise, float64 [n, pixels]."""
    return torch.rand(n, pixels, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def array(tensor: Tensor) -> Doubles:
    """The same numbers outside torch."""
    return np.array(tensor.detach().tolist(), dtype=np.float64)


def preactivations(autoencoder: KSparseAutoencoder, images: Tensor) -> Doubles:
    """h(x) = W x + b, row by row."""
    weight, bias = array(autoencoder.encoder.weight), array(autoencoder.encoder.bias)
    return np.stack([weight @ image + bias for image in array(images)])


def largest(h: Doubles, k: int) -> Doubles:
    """The k largest of relu(h), 0 elsewhere, by sorting each row."""
    codes = np.zeros_like(h)
    for row, values in enumerate(h):
        for unit in sorted(range(len(values)), key=lambda unit: -values[unit])[:k]:
            codes[row, unit] = max(values[unit], 0.0)
    return codes


@pytest.fixture(params=[1, 3, 8], ids=lambda k: f"k={k}")
def autoencoder(request: pytest.FixtureRequest) -> KSparseAutoencoder:
    """An untrained autoencoder in float64, of 12 pixels and 8 units."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return KSparseAutoencoder(k=request.param, pixels=12, code_width=8).double()


def test_codes_are_the_k_largest_of_the_rectified_preactivations(autoencoder: KSparseAutoencoder) -> None:
    """A code keeps the k largest of relu(W x + b) where they are, and is 0 elsewhere."""
    images = some_images(50, 12)
    expected = largest(preactivations(autoencoder, images), autoencoder.k)
    np.testing.assert_allclose(array(autoencoder.encode(images)), expected, rtol=1e-12)


def test_a_code_has_at_most_k_positive_units_and_none_below_zero(autoencoder: KSparseAutoencoder) -> None:
    """However many units are positive before the choice, at most k are after it."""
    images = some_images(50, 12)
    for shift in (-0.5, 0.0, 5.0):
        with torch.no_grad():
            autoencoder.encoder.bias.fill_(shift)
        codes = autoencoder.encode(images)
        positive_before = (preactivations(autoencoder, images) > 0).sum(axis=1)
        positive = array((codes > 0).sum(dim=1))
        np.testing.assert_array_equal(positive, np.minimum(positive_before, autoencoder.k))
        assert codes.min() >= 0


def test_units_that_tie_do_not_pass_k() -> None:
    """Where all units are equal, still no more than k are active."""
    autoencoder = KSparseAutoencoder(k=3, pixels=4, code_width=8)
    for parameter in autoencoder.encoder.parameters():
        nn.init.ones_(parameter)
    assert (autoencoder.encode(torch.ones(5, 4)) > 0).sum(dim=1).tolist() == [3] * 5


@pytest.mark.parametrize("k", [0, -1, 9, 5000])
def test_k_outside_the_code_is_refused(k: int) -> None:
    """A k that is not in 1..code_width is refused, and the message says both."""
    with pytest.raises(ValueError, match=rf"1\.\.8.*got {k}\b"):
        KSparseAutoencoder(k=k, pixels=12, code_width=8)


@pytest.mark.parametrize("k", [1, 8])
def test_k_at_the_ends_of_its_range_is_taken(k: int) -> None:
    """A code may have a single active unit, and may have all."""
    assert KSparseAutoencoder(k=k, pixels=12, code_width=8).k == k


def test_the_gradient_flows_through_active_units_alone(autoencoder: KSparseAutoencoder) -> None:
    """d(sum of z)/dx is the sum of the active units' weights, and no other unit's weights have a gradient."""
    for image in some_images(10, 12):
        autoencoder.zero_grad()
        pixels = image[None].clone().requires_grad_()
        autoencoder.encode(pixels).sum().backward()
        assert pixels.grad is not None
        assert autoencoder.encoder.weight.grad is not None
        active = largest(preactivations(autoencoder, image[None]), autoencoder.k)[0] > 0
        weight = array(autoencoder.encoder.weight)
        np.testing.assert_allclose(array(pixels.grad)[0], weight[active].sum(axis=0), atol=1e-12)
        expected = np.where(active[:, None], array(image), 0.0)
        np.testing.assert_allclose(array(autoencoder.encoder.weight.grad), expected, atol=1e-12)


def test_a_chosen_unit_whose_relu_is_zero_passes_no_gradient() -> None:
    """Units below 0 that fill the k up are not active: they give neither value nor gradient."""
    autoencoder = KSparseAutoencoder(k=3, pixels=2, code_width=4).double()
    with torch.no_grad():
        autoencoder.encoder.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]))
        autoencoder.encoder.bias.copy_(torch.tensor([0.0, -100.0, -100.0, -100.0]))
    image = torch.tensor([[0.5, 0.25]], dtype=torch.float64, requires_grad=True)
    codes = autoencoder.encode(image)
    (gradient,) = torch.autograd.grad(codes.sum(), image)
    assert codes.tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert gradient.tolist() == [[1.0, 2.0]]


def test_decoding_is_affine_in_the_codes(autoencoder: KSparseAutoencoder) -> None:
    """x_hat = D z + c, for any codes."""
    codes = some_images(20, 8) - 0.5
    weight, bias = array(autoencoder.decoder.weight), array(autoencoder.decoder.bias)
    expected = np.stack([weight @ code + bias for code in array(codes)])
    np.testing.assert_allclose(array(autoencoder.decode(codes)), expected, atol=1e-14)


def test_a_reconstruction_is_the_decoded_code(autoencoder: KSparseAutoencoder) -> None:
    """Calling the autoencoder encodes and decodes, with nothing in between or after."""
    images = some_images(20, 12)
    codes = largest(preactivations(autoencoder, images), autoencoder.k)
    expected = codes @ array(autoencoder.decoder.weight).T + array(autoencoder.decoder.bias)
    np.testing.assert_allclose(array(autoencoder(images)), expected, atol=1e-14)


def test_an_atom_is_what_one_unit_adds_to_an_image(autoencoder: KSparseAutoencoder) -> None:
    """Row j of the atoms is the change of the reconstruction when unit j goes from 0 to 1."""
    units = torch.eye(8, dtype=torch.float64)
    change = autoencoder.decode(units) - autoencoder.decode(torch.zeros_like(units))
    assert autoencoder.atoms.shape == (8, 12)
    np.testing.assert_allclose(array(autoencoder.atoms), array(change), atol=1e-14)


def test_an_image_is_coded_alike_in_any_company(autoencoder: KSparseAutoencoder) -> None:
    """The rows of a batch do not touch one another, not even where one is NaN."""
    images = some_images(6, 12)
    among = images.clone()
    among[3] = torch.nan
    others = [0, 1, 2, 4, 5]
    np.testing.assert_allclose(
        array(autoencoder.encode(among)[others]), array(autoencoder.encode(images[others])), atol=1e-14
    )


def test_the_autoencoder_has_the_users_sizes_and_names() -> None:
    """By default 784 pixels, 1024 units, 50 active; weights are named encoder and decoder."""
    autoencoder = KSparseAutoencoder()
    assert autoencoder.k == 50
    assert {name: tuple(value.shape) for name, value in autoencoder.state_dict().items()} == {
        "encoder.weight": (1024, 784),
        "encoder.bias": (1024,),
        "decoder.weight": (784, 1024),
        "decoder.bias": (784,),
    }


def test_the_classifier_has_the_users_layers() -> None:
    """By default 1024-512-256-10, with relu and dropout 0.3 after each hidden layer and bare logits."""
    classifier = Classifier()
    kinds = [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert [type(layer) for layer in classifier] == kinds
    assert [layer.p for layer in classifier if isinstance(layer, nn.Dropout)] == [0.3, 0.3]
    assert {name: tuple(value.shape) for name, value in classifier.state_dict().items()} == {
        "0.weight": (512, 1024),
        "0.bias": (512,),
        "3.weight": (256, 512),
        "3.bias": (256,),
        "6.weight": (10, 256),
        "6.bias": (10,),
    }


@pytest.mark.parametrize(
    ("hidden", "shapes"),
    [
        ((), [(4, 20)]),
        ((7,), [(7, 20), (4, 7)]),
        ((7, 6, 5), [(7, 20), (6, 7), (5, 6), (4, 5)]),
    ],
)
def test_the_classifier_has_the_layers_asked_for(
    hidden: tuple[int, ...], shapes: list[tuple[int, int]]
) -> None:
    """Each width in `hidden` is a layer between the codes and the classes, in that order."""
    classifier = Classifier(20, hidden=hidden, classes=4, dropout=0.1)
    linear = [layer for layer in classifier if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in linear] == shapes
    assert [layer.p for layer in classifier if isinstance(layer, nn.Dropout)] == [0.1] * len(hidden)


def test_logits_are_those_of_numpy(tiny_model: PixelClassifier) -> None:
    """f(x) = classifier(z(x)): the codes, then linear and relu in turn, the last layer without relu."""
    model, images = tiny_model.double(), some_images(30, 12)
    values = largest(preactivations(model.autoencoder, images), 3)
    weights = [array(parameter) for parameter in model.classifier.parameters()]
    for weight, bias in zip(weights[0:4:2], weights[1:4:2], strict=True):
        values = np.maximum(values @ weight.T + bias, 0.0)
    np.testing.assert_allclose(array(model(images)), values @ weights[4].T + weights[5], atol=1e-14)


def test_dropout_acts_in_training_alone(tiny_model: PixelClassifier) -> None:
    """In training the same image has other logits each time, in evaluation always the same."""
    images = some_images(1, 12).float().expand(64, -1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert len(tiny_model.train()(images).unique(dim=0)) > 1
    logits = tiny_model.eval()(images)
    assert torch.equal(logits, tiny_model(images))
    torch.testing.assert_close(logits, logits[:1].expand_as(logits))


@pytest.mark.parametrize("k", [1, 3, 8])
def test_the_largest_are_marked(k: int) -> None:
    """Each row has k ones, at values none of which is under any other value of the row."""
    values = torch.randn(20, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    marks = models.largest(values.requires_grad_(), k)
    assert not marks.requires_grad
    assert marks.dtype == values.dtype
    assert torch.equal(marks.sum(dim=1), torch.full((20,), float(k), dtype=torch.float64))
    least = values.where(marks == 1, torch.inf).amin(dim=1)
    assert (values.where(marks == 0, -torch.inf).amax(dim=1) < least).all()


def test_weights_of_both_parts_are_named_by_part(tiny_model: PixelClassifier) -> None:
    """The whole network's weights are those of its parts, under the part's name."""
    parts = [
        f"{part}.{name}"
        for part in ("autoencoder", "classifier")
        for name in getattr(tiny_model, part).state_dict()
    ]
    assert list(tiny_model.state_dict()) == parts
