"""A map is asked for its own definition by forward passes alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import attributions
from harness.attributions import integrity
from harness.config.parameters import ATTRIBUTION_METHODS
from harness.measurements.integrity import TOLERANCE
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier

SETTINGS: dict[str, Any] = dict(
    attribution_steps=20, smoothgrad_samples=8, smoothgrad_sigma=0.1, noise_seed=7, chunk_size=16
)
N = 60


@pytest.fixture(scope="module")
def network() -> PixelClassifier:
    """A network of 64 pixels, 40 units of which 10 are active, and 5 classes."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return PixelClassifier(
            KSparseAutoencoder(10, 64, 40), Classifier(40, hidden=(16, 12), classes=5)
        ).eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Images with a dark background."""
    generator = torch.Generator().manual_seed(2)
    pixels = torch.rand(N, 64, generator=generator)
    return pixels * (torch.rand(N, 64, generator=generator) < 0.6)


@pytest.fixture(scope="module")
def targets(network: PixelClassifier, images: Tensor) -> Tensor:
    """The classes that the network names."""
    with torch.no_grad():
        named: Tensor = network(images).argmax(dim=1)
    return named


def share(
    network: nn.Module, images: Tensor, targets: Tensor, name: str, maps: Tensor, **changed: Any
) -> float:
    """The share of maps that satisfy their definition."""
    answers = attributions.identity_errors(network, images, targets, maps, name, SETTINGS | changed, seed=3)
    assert answers is not None
    errors = answers.errors
    assert errors.shape == answers.along.shape == (len(images),)
    assert errors.dtype == torch.float64
    return float((errors <= TOLERANCE["float64"]).double().mean())


def own(network: nn.Module, images: Tensor, targets: Tensor, name: str, **changed: Any) -> Tensor:
    return attributions.attribute(network, images, targets, name, SETTINGS | changed).own


@pytest.mark.parametrize("name", ATTRIBUTION_METHODS)
def test_maps_of_each_method_satisfy_their_definition(
    network: PixelClassifier, images: Tensor, targets: Tensor, name: str
) -> None:
    """What the harness computes passes the check that shares no code with it."""
    assert share(network, images, targets, name, own(network, images, targets, name)) >= 0.95


@pytest.mark.thorough
@pytest.mark.parametrize("name", ATTRIBUTION_METHODS)
@pytest.mark.parametrize(
    "plant",
    [
        lambda maps: -maps,
        lambda maps: 0.98 * maps,
        lambda maps: maps.roll(1, dims=0),
        lambda maps: maps.roll(1, dims=1),
        lambda maps: torch.randn(maps.shape, generator=torch.Generator().manual_seed(4)),
        lambda maps: torch.full_like(maps, 0.1),
        lambda maps: torch.zeros_like(maps),
        lambda maps: torch.full_like(maps, float("nan")),
    ],
    ids=["sign", "weights of 0.98", "another sample", "a pixel off", "random", "constant", "zero", "NaN"],
)
def test_a_map_that_is_something_else_does_not(
    network: PixelClassifier,
    images: Tensor,
    targets: Tensor,
    name: str,
    plant: Callable[[Tensor], Tensor],
) -> None:
    """Maps that keep every correlation between methods, or none, are found out."""
    assert share(network, images, targets, name, plant(own(network, images, targets, name))) <= 0.1


@pytest.mark.thorough
@pytest.mark.parametrize("name", ATTRIBUTION_METHODS)
def test_maps_of_another_class_are_found_out(
    network: PixelClassifier, images: Tensor, targets: Tensor, name: str
) -> None:
    """The class that is to be explained is the selection's, not the file's."""
    wrong = (targets + 1) % 5
    assert share(network, images, targets, name, own(network, images, wrong, name)) <= 0.1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("integrated_gradients", {"attribution_steps": 2}),
        ("integrated_gradients", {"attribution_steps": 10}),
        ("smoothgrad", {"smoothgrad_sigma": 1.0}),
        ("smoothgrad", {"noise_seed": 8}),
        ("smoothgrad", {"smoothgrad_samples": 4}),
    ],
)
def test_other_settings_than_the_declared_are_found_out(
    network: PixelClassifier, images: Tensor, targets: Tensor, name: str, changed: dict[str, Any]
) -> None:
    """The check asks for the declared steps, samples, noise and seed."""
    assert share(network, images, targets, name, own(network, images, targets, name, **changed)) <= 0.1


def test_maps_of_another_k_are_found_out(network: PixelClassifier, images: Tensor, targets: Tensor) -> None:
    """A network that explains with another k than it is declared to have explains another function."""
    other = PixelClassifier(KSparseAutoencoder(5, 64, 40), network.classifier).eval()
    other.autoencoder.load_state_dict(network.autoencoder.state_dict())
    assert share(network, images, targets, "gradients", own(other, images, targets, "gradients")) <= 0.1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_the_median_is_torchs(count: int) -> None:
    """Of each row it is the same number as torch's, to the bit, ties, infinities and NaN among it."""
    generator = torch.Generator().manual_seed(count)
    values = torch.randn(400, count, generator=generator, dtype=torch.float64)
    special = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0, -0.0, 1.0], dtype=torch.float64)
    drawn = special[torch.randint(len(special), values.shape, generator=generator)]
    values = torch.where(torch.rand(values.shape, generator=generator) < 0.3, drawn, values)
    expected = values.median(dim=1).values
    assert expected.isnan().any()
    torch.testing.assert_close(integrity._median(values), expected, rtol=0, atol=0, equal_nan=True)


def test_a_linear_model_has_exact_identities() -> None:
    """For f = A x the inner product of v with the map of class y is that with row y of A."""
    weight = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
    model = nn.Linear(3, 2, bias=False)
    model.weight.data.copy_(weight)
    images, targets = torch.rand(4, 3, dtype=torch.float64), torch.tensor([0, 1, 1, 0])
    directions = torch.tensor([[1.0, 0.0, 2.0], [0.0, -1.0, 1.0]], dtype=torch.float64)
    rows = weight.double()[targets]
    exact = model.double()
    asked = integrity.of_gradients(exact, images, targets, directions)
    assert torch.allclose(asked, rows @ directions.T, atol=1e-7)
    asked = integrity.of_integrated_gradients(exact, images, targets, directions, attribution_steps=3)
    assert torch.allclose(asked, (images * rows) @ directions.T, atol=1e-7)
    asked = integrity.of_smoothgrad(exact, images, targets, directions, smoothgrad_samples=2)
    assert torch.allclose(asked, rows @ directions.T, atol=1e-7)


def test_the_check_changes_neither_model_nor_maps(
    network: PixelClassifier, images: Tensor, targets: Tensor
) -> None:
    """A float64 copy is asked; the model keeps its type and its weights."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    maps = own(network, images, targets, "gradients")
    kept = maps.clone()
    share(network, images, targets, "gradients", maps)
    assert torch.equal(maps, kept)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_chunks_change_no_error(network: PixelClassifier, images: Tensor, targets: Tensor) -> None:
    """How many images are asked at once is a matter of memory alone."""
    maps = own(network, images, targets, "smoothgrad")

    def errors(chunk_size: int) -> Any:
        settings = SETTINGS | {"chunk_size": chunk_size}
        found = attributions.identity_errors(network, images, targets, maps, "smoothgrad", settings, seed=3)
        assert found is not None
        return found.errors.numpy()

    assert np.mean(np.abs(errors(7) - errors(512)) < 1e-6) >= 0.95


def test_a_method_without_identity_is_not_judged_by_one(
    network: PixelClassifier, images: Tensor, targets: Tensor
) -> None:
    """A method that declares none has no errors, rather than errors of 0."""
    maps = own(network, images, targets, "decoder_reconstruction")
    found = attributions.identity_errors(network, images, targets, maps, "decoder_reconstruction", seed=3)
    assert found is None


@pytest.mark.parametrize("name", ["gradients", "integrated_gradients", "smoothgrad"])
def test_a_hooked_network_is_asked_whole(
    network: PixelClassifier, images: Tensor, targets: Tensor, name: str
) -> None:
    """The encoder's product is shared by points only where nothing is hooked; the errors are the same."""
    maps = own(network, images, targets, name)

    def errors() -> Tensor:
        found = attributions.identity_errors(network, images, targets, maps, name, SETTINGS, seed=3)
        assert found is not None
        return found.errors

    split = errors()
    asked: list[None] = []
    hook = network.autoencoder.encoder.register_forward_hook(lambda *_: asked.append(None))
    whole = errors()
    hook.remove()
    assert asked
    assert float(((split - whole).abs() < 1e-6).double().mean()) >= 0.95


def test_no_image_gives_no_error(network: PixelClassifier) -> None:
    """An empty selection is not a crash."""
    none = torch.empty(0, 64)
    found = attributions.identity_errors(
        network, none, torch.empty(0, dtype=torch.int64), none, "gradients", seed=3
    )
    assert found is not None
    assert found.errors.shape == found.along.shape == (0,)


@pytest.mark.parametrize("spoil", ["k", "weights", "logits"])
def test_predictions_of_another_network_are_found_out(
    network: PixelClassifier, images: Tensor, spoil: str
) -> None:
    """Stored logits must be those of the stored weights and the declared k."""
    with torch.no_grad():
        logits = network(images)
    clean = integrity.prediction_errors(network, images, logits)
    assert float((clean <= TOLERANCE["float64"]).double().mean()) >= 0.95
    other = PixelClassifier(
        KSparseAutoencoder(7 if spoil == "k" else 10, 64, 40), Classifier(40, hidden=(16, 12), classes=5)
    ).eval()
    if spoil != "weights":
        other.load_state_dict(network.state_dict())
    if spoil == "logits":
        logits = logits.roll(1, dims=0)
    assert (
        float((integrity.prediction_errors(other, images, logits) <= TOLERANCE["float64"]).double().mean())
        <= 0.1
    )


# images that lie on a kink


def pooled(shape: tuple[int, int, int], *layers: nn.Module) -> nn.Module:
    """A network of images of that shape whose pooling windows see a ground that is one value."""
    torch.manual_seed(0)
    features = nn.Sequential(nn.Unflatten(1, shape), *layers, nn.Flatten())
    width = features(torch.zeros(1, math.prod(shape))).shape[1]
    return nn.Sequential(features, nn.Linear(width, 3)).eval()


def _once() -> nn.Module:
    return pooled((1, 12, 12), nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3))


def _twice() -> nn.Module:
    """A tie that the first pooling leaves may be moved by any pixel that the second sees."""
    return pooled(
        (3, 28, 28), nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    )  # fmt: skip


def _small() -> nn.Module:
    """So few features that 1 % of them is less than one."""
    return pooled(
        (1, 8, 8), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    )  # fmt: skip


def _grounded(side: int, channels: int) -> Tensor:
    """Three images, one value all around what they show, and a spot in it that is flat in each channel."""
    images = torch.full((3, channels, side, side), 0.2)
    inner = slice(side // 4, 3 * side // 4)
    images[..., inner, inner] = torch.rand(images[..., inner, inner].shape)
    middle = side // 2
    images[..., middle : middle + 4, middle : middle + 5] = torch.rand(3, channels, 1, 1)
    return images.flatten(1)


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["gradients", "integrated_gradients"])
@pytest.mark.parametrize(
    ("network", "side", "channels"),
    [(_once, 12, 1), (_twice, 28, 3), (_small, 8, 1)],
    ids=["once", "twice", "few features"],
)
def test_a_map_of_an_image_on_a_kink_is_held_to_it_where_it_has_a_derivative(
    network: Callable[[], nn.Module], side: int, channels: int, method: str
) -> None:
    """Ties of what is flat are no error of the map; one that is another's, or of another sign, still is."""
    model, images, targets = network(), _grounded(side, channels), torch.arange(3)
    identity = attributions.methods[method].identity
    assert identity is not None
    maps = attributions.attribute(model, images, targets, method, {"attribution_steps": 10}).own

    def asked(maps: Tensor) -> integrity.Answers:
        steps: dict[str, Any] = {"attribution_steps": 10} if method == "integrated_gradients" else {}
        return integrity.errors(model, images, targets, maps, identity, seed=0, **steps)

    right = asked(maps)
    assert float(right.errors.max()) < 1e-3
    assert float(right.along.min()) < 1, "no image lies on a kink: the test asks nothing"
    assert float(right.along.min()) > 0.01
    for wrong in (-maps, maps.roll(1, dims=0), maps * (1 + 0.1 * torch.rand(maps.shape))):
        assert float(asked(wrong).errors.min()) > 1e-3


def test_a_kink_within_the_step_is_stepped_under() -> None:
    """Features that have two values only, and a unit that the step would turn on: the map is right."""
    first, last = nn.Linear(64, 1), nn.Linear(1, 2)
    model = nn.Sequential(first, nn.ReLU(), last)
    image = (torch.arange(64) % 2).float()[None]
    with torch.no_grad():
        first.weight.mul_(1 - image)  # so the unit is on by its bias alone
        first.bias.fill_(2e-8)
    target = torch.zeros(1, dtype=torch.int64)
    maps = attributions.attribute(model, image, target, "gradients").own
    found = integrity.errors(model, image, target, maps, integrity.of_gradients, seed=0)
    assert float(found.errors) < 1e-3
    assert float(found.along) == 1
    assert float(integrity.errors(model, image, target, -maps, integrity.of_gradients, seed=0).errors) > 0.1


def test_points_asked_together_are_asked_alike(
    network: PixelClassifier, images: Tensor, targets: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many points go through the network in one pass changes no slope."""
    exact, points = network.double(), images[:3].double()
    steps = torch.randn(2, 1, points.shape[1], dtype=torch.float64)
    noise = 0.1 * torch.randn(5, points.shape[1], dtype=torch.float64)
    for asked in ([((number + 0.5) / 5, None) for number in range(5)], [(1.0, one) for one in noise]):
        found = []
        for together in (1, 3 * exact.autoencoder.encoder.out_features * 2, 2**16):
            monkeypatch.setattr(integrity, "TOGETHER", together)
            found.append(torch.stack([*integrity.slopes_at(exact, points, targets[:3], steps, asked)]))
        assert found[0].shape == (5, 3, 2)
        torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(found[2], found[0], rtol=1e-6, atol=1e-6)
