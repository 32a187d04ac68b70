"""Curves against the images they speak of, stability and randomisation against their definitions."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.attributions import attribute, sanity
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier

N, PIXELS, CLASSES = 9, 60, 5


class Wrapped(nn.Module):
    """A model whose structure nobody knows, so that it takes the general way."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """The model's logits."""
        logits: Tensor = self.model(images)
        return logits


@pytest.fixture(scope="module")
def network() -> PixelClassifier:
    """A network of 60 pixels, 40 units of which 8 are active, and 5 classes."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        head = Classifier(40, hidden=(16, 12), classes=CLASSES)
        for layer in head:
            if isinstance(layer, nn.Linear):
                layer.weight.data.mul_(3)  # an untrained network is unsure of everything
        return PixelClassifier(KSparseAutoencoder(8, PIXELS, 40), head).eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Images in which a third of the pixels are 0."""
    generator = torch.Generator().manual_seed(2)
    pixels = torch.rand(N, PIXELS, generator=generator)
    return pixels * (torch.rand(N, PIXELS, generator=generator) < 2 / 3)


@pytest.fixture(scope="module")
def targets() -> Tensor:
    """A class for each image."""
    return torch.arange(N) % CLASSES


@pytest.fixture(scope="module")
def orders(images: Tensor) -> Mapping[str, Tensor]:
    """Two orders: random values, and the image, whose zeros are ties."""
    generator = torch.Generator().manual_seed(3)
    return {"random": torch.randn(N, PIXELS, generator=generator), "image": images.clone()}


def by_hand(model: nn.Module, image: Tensor, target: int, order: Tensor) -> tuple[list[float], list[float]]:
    """Both curves of one image, pixel by pixel: sorted in Python, one forward pass a point."""
    ranked = sorted(range(PIXELS), key=lambda pixel: (-float(order[pixel]), pixel))
    deletion: list[float] = []
    insertion: list[float] = []
    for step in range(41):
        first = ranked[: round(step * PIXELS / 40)]
        without, alone = image.clone(), torch.zeros_like(image)
        without[first] = 0
        alone[first] = image[first]
        for curve, one in ((deletion, without), (insertion, alone)):
            with torch.no_grad():
                logits = model(one[None])[0].double().tolist()
            curve.append(math.exp(logits[target]) / math.fsum(map(math.exp, logits)))
    return deletion, insertion


@pytest.mark.parametrize("kind", ["sparse", "any"])
def test_curves_are_the_class_probability_of_occluded_images(
    network: PixelClassifier, images: Tensor, targets: Tensor, orders: Mapping[str, Tensor], kind: str
) -> None:
    """Both ways of computing give what one forward pass for each occluded image gives."""
    model = network if kind == "sparse" else Wrapped(network)
    deletion, insertion = sanity.curves(model, images, targets, orders)
    assert deletion.shape == insertion.shape == (2, N, 41)
    for number, order in enumerate(orders.values()):
        for row in range(N):
            expected = by_hand(network, images[row], int(targets[row]), order[row])
            assert deletion[number, row].tolist() == pytest.approx(expected[0], abs=1e-6)
            assert insertion[number, row].tolist() == pytest.approx(expected[1], abs=1e-6)


def test_curves_end_at_the_image_and_at_the_baseline(
    network: PixelClassifier, images: Tensor, targets: Tensor, orders: Mapping[str, Tensor]
) -> None:
    """Deletion goes from the image to the baseline 0, insertion the other way, whatever the order."""
    deletion, insertion = sanity.curves(network, images, targets, orders)
    with torch.no_grad():
        whole = network(images).softmax(dim=1)[torch.arange(N), targets]
        empty = network(torch.zeros(1, PIXELS)).softmax(dim=1)[0, targets]
    for number in range(2):
        for found, expected in (
            (deletion[number, :, 0], whole),
            (deletion[number, :, -1], empty),
            (insertion[number, :, 0], empty),
            (insertion[number, :, -1], whole),
        ):
            torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_equal_pixels_go_in_their_own_order(
    network: PixelClassifier, images: Tensor, targets: Tensor
) -> None:
    """A constant map removes the first pixels first, like one that falls from the first to the last."""
    falling = -torch.arange(PIXELS, dtype=torch.float32).expand(N, -1)
    orders = {"constant": torch.full_like(images, 0.1), "falling": falling}
    for curve in sanity.curves(network, images, targets, orders):
        assert torch.equal(curve[0], curve[1])


def test_an_order_goes_by_sign(network: PixelClassifier, images: Tensor, targets: Tensor) -> None:
    """The most negative pixel goes last: insertion by -m is deletion by m, backwards."""
    order = torch.randn(N, PIXELS, generator=torch.Generator().manual_seed(4))
    deletion, insertion = sanity.curves(network, images, targets, {"m": order, "turned": -order})
    # what the first i pixels of m leave is what the last of -m are
    torch.testing.assert_close(insertion[1].flip(1)[:, ::2], deletion[0][:, ::2], atol=1e-6, rtol=0)


def test_neither_batch_nor_order_changes_a_curve(
    network: PixelClassifier, images: Tensor, targets: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images alone, in small chunks or backwards have the curves that they have together."""
    order = torch.randn(N, PIXELS, generator=torch.Generator().manual_seed(5))
    whole = sanity.curves(network, images, targets, {"m": order})
    backwards = sanity.curves(network, images.flip(0), targets.flip(0), {"m": order.flip(0)})
    monkeypatch.setattr(sanity, "ROWS", {"cpu": 1, "cuda": 1})
    alone = sanity.curves(network, images, targets, {"m": order})
    for number in range(2):
        torch.testing.assert_close(backwards[number].flip(1), whole[number], atol=1e-6, rtol=0)
        torch.testing.assert_close(alone[number], whole[number], atol=1e-6, rtol=0)


def test_curves_of_a_broken_network_are_not_numbers(images: Tensor, targets: Tensor) -> None:
    """NaN weights give NaN curves, and not those of the units that are left."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        broken = PixelClassifier(
            KSparseAutoencoder(8, PIXELS, 40), Classifier(40, hidden=(16, 12), classes=CLASSES)
        ).eval()
    broken.autoencoder.encoder.weight.data[3] = math.nan
    for model in (broken, Wrapped(broken)):
        for curve in sanity.curves(model, images, targets, {"image": images}):
            assert torch.isnan(curve[0, 0, 1:-1]).any()


def test_no_image_has_no_curve(network: PixelClassifier) -> None:
    """An empty selection is not a crash."""
    none, nobody = torch.empty(0, PIXELS), torch.empty(0, dtype=torch.int64)
    for curve in sanity.curves(network, none, nobody, {"image": none}):
        assert curve.shape == (1, 0, 41)


def test_a_linear_model_has_the_best_deletion_in_the_order_of_its_weights() -> None:
    """For two classes f = (w x, 0) no order lowers the curve faster than that of the contributions w x."""
    model = nn.Linear(PIXELS, 2, bias=False)
    generator = torch.Generator().manual_seed(6)
    model.weight.data = torch.stack([torch.randn(PIXELS, generator=generator), torch.zeros(PIXELS)])
    images = torch.rand(6, PIXELS, generator=generator)
    orders = {"best": images * model.weight[0].detach()}
    orders |= {f"random {number}": torch.rand(6, PIXELS, generator=generator) for number in range(20)}
    deletion, insertion = sanity.curves(model, images, torch.zeros(6, dtype=torch.int64), orders)
    assert (deletion[0] <= deletion[1:] + 1e-6).all()
    assert (insertion[0] >= insertion[1:] - 1e-6).all()


# stability


def test_max_sensitivity_is_the_largest_relative_change() -> None:
    """For the map m(x) = x^2 it is the largest |(x + e)^2 - x^2| / |x^2| over the draws, by hand."""
    images = torch.rand(4, 7, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    draws = 0.05 * (2 * torch.rand(6, 7, generator=torch.Generator().manual_seed(8)) - 1).double()
    found = sanity.max_sensitivity(
        lambda x, _: x**2,
        images,
        torch.zeros(4, dtype=torch.int64),
        radius=0.05,
        draws=6,
        generator=torch.Generator().manual_seed(8),
    )
    for row, value in zip(images.tolist(), found.tolist(), strict=True):
        changes = [
            math.dist([(x + e) ** 2 for x, e in zip(row, draw, strict=True)], [x**2 for x in row])
            for draw in draws.tolist()
        ]
        assert value == pytest.approx(max(changes) / math.hypot(*(x**2 for x in row)), rel=1e-6)


def test_draws_fill_the_ball_and_stay_in_it() -> None:
    """No pixel moves by more than the radius, and many move by nearly as much, both ways."""
    seen: list[Tensor] = []

    def explain(images: Tensor, _: Tensor) -> Tensor:
        seen.append(images)
        return images + 1

    images = torch.full((2, 500), 0.5)
    sanity.max_sensitivity(
        explain, images, torch.zeros(2, dtype=torch.int64), generator=torch.Generator().manual_seed(9)
    )
    moved = torch.stack(seen[1:]) - images
    assert moved.shape == (10, 2, 500)
    assert float(moved.abs().max()) <= 0.02 + 1e-6
    assert float(moved.min()) < -0.0199
    assert float(moved.max()) > 0.0199
    assert abs(float(moved.mean())) < 5 * 0.02 / math.sqrt(3 * 5000)


def test_neither_batch_nor_order_changes_a_sensitivity(network: PixelClassifier, images: Tensor) -> None:
    """Every image is moved by the same draws, whichever others stand beside it."""
    targets = torch.arange(N) % CLASSES

    def found(rows: Tensor) -> Tensor:
        return sanity.max_sensitivity(
            lambda x, y: attribute(network, x, y, "gradients").own,
            images[rows],
            targets[rows],
            radius=0.001,
            generator=torch.Generator().manual_seed(10),
        )

    whole = found(torch.arange(N))
    torch.testing.assert_close(found(torch.arange(N).flip(0)).flip(0), whole)
    torch.testing.assert_close(torch.cat([found(torch.tensor([row])) for row in range(N)]), whole)


def test_a_constant_method_is_perfectly_stable_and_a_zero_map_has_no_stability() -> None:
    """A map that never changes has 0; one that is 0 has no relative change."""
    images, targets = torch.rand(3, 5), torch.zeros(3, dtype=torch.int64)

    def found(maps: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return sanity.max_sensitivity(lambda *_: maps, images, targets, generator=generator)

    assert found(torch.ones(3, 5)).tolist() == [0, 0, 0]
    assert torch.isnan(found(torch.zeros(3, 5))).all()


# randomisation


LAYERS = ["classifier.6", "classifier.3", "classifier.0", "encoder"]


def weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of each layer, by the names of `LAYERS`."""
    return {
        name.removeprefix("autoencoder."): torch.cat([one.detach().flatten() for one in layer.parameters()])
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear)
    }


def test_layers_are_renewed_from_the_output_backwards(network: PixelClassifier) -> None:
    """Cascading renews a layer and all before it in the list, the other model that layer alone."""
    before = weights(network)
    models = list(sanity.randomised(network, 0))
    assert [layer for layer, _, _ in models] == LAYERS
    for number, (layer, cascading, alone) in enumerate(models):
        for name, old in before.items():
            renewed = not torch.equal(weights(cascading)[name], old)
            assert renewed == (name in LAYERS[: number + 1])
            assert (not torch.equal(weights(alone)[name], old)) == (name == layer)
            if name == layer:
                assert torch.equal(weights(cascading)[name], weights(alone)[name])


def test_new_weights_are_torchs_initial_ones(network: PixelClassifier) -> None:
    """They are uniform within 1 / sqrt(inputs), as a new linear layer's are, and fill that range."""
    for layer, _, alone in sanity.randomised(network, 3):
        inputs = {"classifier.6": 12, "classifier.3": 16, "classifier.0": 40, "encoder": PIXELS}[layer]
        scaled = weights(alone)[layer].abs() * math.sqrt(inputs)
        assert float(scaled.max()) <= 1 + 1e-6
        assert 0.4 < float(scaled.mean()) < 0.6


def test_a_seed_renews_alike_and_another_otherwise(network: PixelClassifier) -> None:
    """The same seed draws the same weights whatever torch's own generator does; another draws others."""
    first = [weights(one)["classifier.0"] for _, one, _ in sanity.randomised(network, 5)]
    torch.rand(1)
    again = [weights(one)["classifier.0"] for _, one, _ in sanity.randomised(network, 5)]
    other = [weights(one)["classifier.0"] for _, one, _ in sanity.randomised(network, 6)]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[-1], other[-1])


def test_randomising_leaves_the_model_and_torchs_generator_alone(network: PixelClassifier) -> None:
    """The model that is asked keeps its weights, and a run draws on as if nothing had been asked."""
    before, state = copy.deepcopy(weights(network)), torch.get_rng_state()
    list(sanity.randomised(network, 0))
    assert all(torch.equal(one, before[name]) for name, one in weights(network).items())
    assert torch.equal(torch.get_rng_state(), state)


def test_layers_do_not_start_from_the_same_draw() -> None:
    """Two layers of one shape are not given the same weights."""
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))
    (_, _, last), (_, _, first) = sanity.randomised(model, 0)
    assert not torch.equal(weights(last)["2"], weights(first)["0"])


def test_models_of_another_kind_are_randomised_too() -> None:
    """Any module whose layers know their initial weights is renewed layer by layer."""
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    found: Any = list(sanity.randomised(model, 0))
    assert [layer for layer, _, _ in found] == ["2", "0"]
    images = torch.rand(2, 6)
    assert not torch.equal(F.softmax(found[0][1](images), dim=1), F.softmax(model(images), dim=1))


class Scaled(nn.Module):
    """Bare parameters: one whose numbers can be put in another order, and one of ones."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.ones = nn.Module(), nn.Module()
        self.inner.weight = nn.Parameter(torch.arange(18.0).view(3, 6))
        self.ones.scale = nn.Parameter(torch.ones(3))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs @ self.inner.weight.T) * self.ones.scale  # type: ignore[operator]


def test_a_layer_that_stays_as_it_is_is_not_called_randomised() -> None:
    """Its numbers in another order are the same numbers; it is named by itself."""
    model = Scaled()
    ((name, _, alone),) = sanity.randomised(model, 0)
    assert name == "inner"
    one, other = (each.get_parameter("inner.weight") for each in (model, alone))
    assert not torch.equal(one, other)
    assert torch.equal(one.flatten().sort().values, other.flatten().sort().values)
    assert sanity.unchanged(model) == ["ones"]
    assert sanity.unchanged(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))) == []
