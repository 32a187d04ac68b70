"""Maps against closed forms, sums written out in numpy, another library, and themselves in other batches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from captum.attr import IntegratedGradients, Saliency
from torch import Tensor, nn

from harness import attributions, datasets, environment
from harness.attributions import MapFunction, attribute, explain, identity_errors, midpoints, noise_images
from harness.errors import ConfigurationError, InputError
from harness.subjects import training
from harness.subjects.models import Classifier, Convolutional, KSparseAutoencoder, PixelClassifier

Doubles = npt.NDArray[np.float64]

EVERY = tuple(attributions.methods)
METHODS = tuple(
    name
    for name, one in attributions.methods.items()
    if not one.needs & {"places", "modules"} and name != "expected_gradients"
)
"""Those that a k-sparse network has maps of, with nothing else given."""

SAME = 1e-5
"""Maps that differ by less than this share of the map's maximum are the same map."""

TIE = 1e-6
"""A choice decided by less than this share of the layer's largest value can fall otherwise in float32."""


def array(tensor: Tensor) -> Doubles:
    """The same numbers in float64, outside torch."""
    return np.array(tensor.detach().tolist(), dtype=np.float64)


def noise(n: int, pixels: int, seed: int = 3) -> Tensor:
    """Images of uniform noise, float32 [n, pixels]."""
    return torch.rand(n, pixels, generator=torch.Generator().manual_seed(seed))


def assert_maps(maps: Tensor, expected: Doubles | list[list[float]], tolerance: float = SAME) -> None:
    """Assert that the maps are the expected ones, to a share of each one's maximum."""
    wanted = np.asarray(expected, dtype=np.float64)
    deviation = np.abs(array(maps) - wanted).max(axis=1)
    assert (deviation <= tolerance * np.abs(wanted).max(axis=1)).all(), deviation


# closed forms


def test_midpoints_lie_in_the_middle_of_equal_steps() -> None:
    """Position i of n is (i + 1/2) / n."""
    positions, _ = midpoints(4)
    assert positions.tolist() == [0.125, 0.375, 0.625, 0.875]


@pytest.mark.parametrize("steps", [1, 2, 50, 1000])
def test_quadrature_weights_sum_to_one(steps: int) -> None:
    """The weights are equal and sum to 1, so that a constant gradient is its own mean."""
    positions, weights = midpoints(steps)
    assert len(positions) == len(weights) == steps
    assert float(weights.double().sum()) == pytest.approx(1, abs=1e-6)
    assert len(weights.unique()) == 1


class Cubes(nn.Module):
    """f_1(x) = sum of x^3, f_2(x) = -2 f_1(x): gradients that change along a path, by a known law."""

    def forward(self, images: Tensor) -> Tensor:
        total = images.pow(3).sum(dim=1)
        return torch.stack([total, -2 * total], dim=1)


@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_integrated_gradients_of_a_cube_are_those_of_the_midpoint_rule(steps: int) -> None:
    """The mean of a^2 over n midpoints of [0, 1] is 1/3 - 1/(12 n^2), so x^3 is given x^3 (1 - 1/(4 n^2))."""
    images, targets = noise(4, 5), torch.tensor([0, 1, 0, 1])
    maps = attributions.integrated_gradients(Cubes(), images, targets, attribution_steps=steps)
    sign = np.array([[1.0], [-2.0], [1.0], [-2.0]])
    assert_maps(maps, sign * array(images) ** 3 * (1 - 1 / (4 * steps**2)), tolerance=1e-6)


def test_the_path_has_fifty_steps_unless_told_otherwise() -> None:
    """By default integrated gradients and their sensitivity form take 50 steps."""
    images, targets = noise(4, 5), torch.zeros(4, dtype=torch.int64)
    for function in (attributions.integrated_gradients, attributions.path_gradients):
        told = function(Cubes(), images, targets, attribution_steps=50)
        assert torch.equal(function(Cubes(), images, targets), told)
        assert not torch.equal(function(Cubes(), images, targets, attribution_steps=49), told)


def test_smoothgrad_of_a_cube_is_the_mean_over_the_noise() -> None:
    """The gradient of x^3 at noisy copies is 3 (x + e)^2, and SmoothGrad its mean over the 25 draws."""
    images, targets = noise(4, 5), torch.tensor([0, 1, 0, 1])
    draws = array(noise_images(25, 0.1, 5, seed=9))
    expected = np.stack([3 * (image + draws) ** 2 for image in array(images)]).mean(axis=1)
    maps = attributions.smoothgrad(Cubes(), images, targets, noise_seed=9)
    assert_maps(maps, expected * np.array([[1.0], [-2.0], [1.0], [-2.0]]), tolerance=1e-6)


def test_smoothgrads_sigma_is_absolute() -> None:
    """On a black image the cube's mean gradient is 3 sigma^2, so sigma is no share of the image's range."""
    black, target = torch.zeros(1, 500), torch.tensor([0])
    for sigma in (0.1, 0.4):
        maps = attributions.smoothgrad(Cubes(), black, target, smoothgrad_samples=100, smoothgrad_sigma=sigma)
        # 50,000 draws: the standard error is 0.6 % of the mean
        assert float(maps.mean()) == pytest.approx(3 * sigma**2, rel=0.03)


def linear(weight: list[list[float]], bias: list[float]) -> nn.Linear:
    """A linear layer with these numbers."""
    layer = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias))
    return layer


def test_a_linear_model_is_explained_by_its_weights() -> None:
    """Where f is linear every gradient is the target's weights, and x * w adds up to f_y(x) - f_y(0)."""
    model = linear([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]], [7.0, -7.0])
    images, targets = torch.tensor([[1.0, 0.5, 0.25], [0.0, 0.2, 0.8]]), torch.tensor([0, 1])
    weights = [[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]]
    assert_maps(attributions.gradients(model, images, targets), weights)
    assert_maps(attributions.smoothgrad(model, images, targets), weights)
    assert_maps(attributions.path_gradients(model, images, targets), weights)
    contributions = attributions.integrated_gradients(model, images, targets)
    assert_maps(contributions, [[1.0, -1.0, 0.75], [0.0, 0.8, -0.8]])
    gains = model(images)[range(2), targets] - model(torch.zeros(2, 3))[range(2), targets]
    torch.testing.assert_close(contributions.sum(dim=1), gains.detach())


def test_a_relu_network_by_hand() -> None:
    """Two units, of which one opens where x_1 + x_2 passes 1/2: worked out on paper, step for step.

    f_1 = 2 r(x_1 + x_2 - 1/2) + r(x_1 - x_2), f_2 = -r(x_1 + x_2 - 1/2) + 3 r(x_1 - x_2), r the relu. On the
    way to (0.6, 0.4) the first unit opens half-way (25 of 50 steps), on the way to (0.2, 0.6) at 0.625 (19).
    """
    model = nn.Sequential(
        linear([[1.0, 1.0], [1.0, -1.0]], [-0.5, 0.0]),
        nn.ReLU(),
        linear([[2.0, 1.0], [-1.0, 3.0]], [0.0, 0.0]),
    )
    images, targets = torch.tensor([[0.6, 0.4], [0.2, 0.6]]), torch.tensor([0, 1])
    assert_maps(attributions.gradients(model, images, targets), [[3.0, 1.0], [-1.0, -1.0]])
    assert_maps(attributions.path_gradients(model, images, targets), [[2.0, 0.0], [-0.38, -0.38]])
    assert_maps(attributions.integrated_gradients(model, images, targets), [[1.2, 0.0], [-0.076, -0.228]])


def test_a_sparse_network_by_hand() -> None:
    """Three units, of which the largest alone is active: worked out on paper for every method.

    At (0.5, 0.2) unit 1 is active with 0.5; on the way there unit 2 is the larger up to a third (17 of 50
    steps). At (0.2, 0.8) unit 2 is active with 0.9, all along.
    """
    autoencoder = KSparseAutoencoder(k=1, pixels=2, code_width=3)
    autoencoder.encoder = linear([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], [0.0, 0.1, 0.0])
    autoencoder.decoder = linear([[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]], [9.0, 9.0])
    model = PixelClassifier(autoencoder, linear([[10.0, 20.0, 30.0], [-1.0, -2.0, -3.0]], [0.0, 0.0]))
    images, targets = torch.tensor([[0.5, 0.2], [0.2, 0.8]]), torch.tensor([0, 1])
    by_hand: dict[MapFunction, list[list[float]]] = {
        attributions.gradients: [[10.0, 0.0], [0.0, -2.0]],
        attributions.path_gradients: [[6.6, 6.8], [0.0, -2.0]],
        attributions.integrated_gradients: [[3.3, 1.36], [0.0, -1.6]],
        attributions.decoder_weighted: [[5.0, 10.0], [-5.4, -7.2]],
        attributions.decoder_sensitivity: [[10.0, 20.0], [-6.0, -8.0]],
        attributions.decoder_reconstruction: [[0.5, 1.0], [2.7, 3.6]],
    }
    for function, expected in by_hand.items():
        assert_maps(function(model, images, targets), expected)


# sums written out


class Written(NamedTuple):
    """What one image is for a network, layer by layer in numpy, and the slope of one logit."""

    codes: Doubles
    slope: Doubles
    gradient: Doubles


def written_out(model: PixelClassifier, image: Doubles, target: int) -> Written:
    """Codes, df_y/dz and df_y/dx of one image, forwards and backwards through every layer."""
    encoder, bias = array(model.autoencoder.encoder.weight), array(model.autoencoder.encoder.bias)
    activations = np.maximum(encoder @ image + bias, 0.0)
    chosen = np.argsort(-activations)[: model.autoencoder.k]
    codes = np.zeros_like(activations)
    codes[chosen] = activations[chosen]
    weights = [array(parameter) for parameter in model.classifier.parameters()]
    values, opened = codes, []
    for weight, shift in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        values = np.maximum(weight @ values + shift, 0.0)
        opened.append(values > 0)
    slope = weights[-2][target]
    for weight, gate in zip(reversed(weights[:-2:2]), reversed(opened), strict=True):
        slope = weight.T @ (slope * gate)
    gradient = np.zeros_like(image)
    for unit in np.flatnonzero(codes):
        gradient += slope[unit] * encoder[unit]
    return Written(codes, slope, gradient)


def over_units(model: PixelClassifier, written: Written, weigh: Callable[[float, float], float]) -> Doubles:
    """The sum over active units j of weigh(z_j, df_y/dz_j) d_j."""
    total: Doubles = np.zeros(12)
    for unit in np.flatnonzero(written.codes > 0):
        atom = array(model.autoencoder.decoder.weight)[:, unit]
        total = total + weigh(float(written.codes[unit]), float(written.slope[unit])) * atom
    return total


def over_points(model: PixelClassifier, points: Doubles, target: int) -> Doubles:
    """The mean of df_y/dx over points [n, pixels]."""
    total = np.zeros(12)
    for point in points:
        total += written_out(model, point, target).gradient / len(points)
    return total


PATH = (np.arange(50)[:, None] + 0.5) / 50

SUMS: dict[MapFunction, Callable[[PixelClassifier, Doubles, int], Doubles]] = {
    attributions.gradients: lambda model, x, y: over_points(model, x[None], y),
    attributions.path_gradients: lambda model, x, y: over_points(model, PATH * x, y),
    attributions.integrated_gradients: lambda model, x, y: x * over_points(model, PATH * x, y),
    attributions.smoothgrad: lambda model, x, y: over_points(
        model, x + array(noise_images(25, 0.1, 12, seed=0)), y
    ),
    attributions.decoder_weighted: lambda model, x, y: over_units(
        model, written_out(model, x, y), lambda z, slope: z * slope
    ),
    attributions.decoder_sensitivity: lambda model, x, y: over_units(
        model, written_out(model, x, y), lambda _, slope: slope
    ),
    attributions.decoder_reconstruction: lambda model, x, y: over_units(
        model, written_out(model, x, y), lambda z, _: z
    ),
}


@pytest.mark.parametrize("closed", [0, 6], ids=["three units active", "two units active"])
@pytest.mark.parametrize("function", SUMS, ids=lambda function: str(function.__name__))
def test_maps_are_the_sums_of_their_definitions(
    tiny_model: PixelClassifier, function: MapFunction, closed: int
) -> None:
    """Every map is its definition written out in numpy, also where fewer than k units are above 0."""
    with torch.no_grad():
        tiny_model.autoencoder.encoder.bias.add_(0.5)
        tiny_model.autoencoder.encoder.bias[:closed] = -100.0
    images, targets = noise(12, 12), torch.arange(12) % 3
    assert ((tiny_model.autoencoder.encode(images) > 0).sum(dim=1) == min(3, 8 - closed)).any()
    pairs = zip(array(images), targets.tolist(), strict=True)
    expected = np.stack([SUMS[function](tiny_model, image, target) for image, target in pairs])
    assert_maps(function(tiny_model, images, targets), expected)


# a network of the real size


class Explainable(NamedTuple):
    """A network of the real size, real images, and the classes it gives them."""

    model: PixelClassifier
    images: Tensor
    targets: Tensor


@pytest.fixture(scope="module", params=["untrained", "trained"])
def real(request: pytest.FixtureRequest) -> Explainable:
    """A network of 784-1024-50, as it starts and trained for a moment, with 100 test images."""
    data = datasets.load("fashion-mnist-mini")
    train = torch.from_numpy(data.train_images[:300].copy()).float() / 255
    labels = torch.from_numpy(data.train_labels[:300].copy()).long()
    images = torch.from_numpy(data.test_images[:100].copy()).float() / 255
    with environment.seeded(0):
        model = PixelClassifier(KSparseAutoencoder(), Classifier())
        if request.param == "trained":
            recipe: dict[str, Any] = dict(batch_size=50, learning_rate=0.001)
            recipe["generator"] = torch.Generator().manual_seed(0)
            list(training.train_autoencoder(model.autoencoder, train, epochs=4, **recipe))
            codes = training.encode(model.autoencoder, train)
            list(training.train_classifier(model.classifier, codes, labels, epochs=6, **recipe))
    model.eval()
    with torch.no_grad():
        return Explainable(model, images, model(images).argmax(dim=1))


def margins(model: PixelClassifier, points: Tensor) -> Tensor:
    """By how much the closest choice falls as it does at points [.., n, pixels]: float64 [n].

    A network of relu and top-k is linear but for its choices: which k units are kept, and which hidden units
    are above 0. The margin of a choice is a share of its layer's largest value; the least over all choices
    and points counts.
    """
    exact = copy.deepcopy(model).double()
    k = exact.autoencoder.k
    h = exact.autoencoder.encoder(points.double())
    ordered = F.relu(h).sort(dim=-1, descending=True).values
    kept = ordered[..., k - 1] - ordered[..., k]
    least = torch.where(ordered[..., k - 1] > 0, kept, h.abs().amin(dim=-1)) / h.abs().amax(dim=-1)
    values = exact.autoencoder.encode(points.double())
    for layer in exact.classifier.children():
        values = layer(values)
        if isinstance(layer, nn.Linear) and layer.out_features != 10:
            least = torch.minimum(least, values.abs().amin(dim=-1) / values.abs().amax(dim=-1))
    by_point: Tensor = least.detach().reshape(-1, points.shape[-2])
    return by_point.amin(dim=0)


def points_of(name: str, images: Tensor, settings: dict[str, Any]) -> Tensor | None:
    """Where a method looks at the network: [.., n, pixels]; None where it asks codes that are no image's."""
    if name == "switch_aware_integrated_gradients":
        return None
    if name == "integrated_gradients":
        return midpoints(settings.get("attribution_steps", 50))[0][:, None, None] * images
    if name == "smoothgrad":
        draws = noise_images(settings.get("smoothgrad_samples", 25), 0.1, images.shape[1], 0)
        return images + draws[:, None]
    return images


def assert_same_but_for_ties(
    maps: Tensor, others: Tensor, model: PixelClassifier, points: Tensor | None, tolerance: float = SAME
) -> None:
    """Assert that 99 % of maps are the same, and that in those that are not a choice is a tie.

    Where a choice is decided by less than the rounding of float32, it can fall otherwise when a sum is
    taken in another order; the map then moves, since the network jumps or bends there.
    """
    deviation = (maps - others).abs().amax(dim=1) / others.abs().amax(dim=1)
    same = deviation <= tolerance
    assert same.double().mean() >= 0.99, f"{int((~same).sum())} of {len(same)} maps differ"
    if points is None:  # one of very many points may lie on a kink
        assert (deviation <= 0.01).all(), deviation[~same]
    elif not same.all():
        assert (margins(model, points[..., ~same, :]) < TIE).all(), deviation[~same]


def test_a_tie_is_told_from_other_points(real: Explainable) -> None:
    """Where the choice of units changes between two images the margin vanishes; at images it seldom does."""
    start, end = real.images[0].double(), real.images[1].double()
    exact = copy.deepcopy(real.model.autoencoder).double()

    def active(position: float) -> Tensor:
        codes: Tensor = exact.encode(torch.lerp(start, end, position))
        return codes > 0

    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if torch.equal(active(middle), active(0.0)) else (low, middle)
    assert not torch.equal(active(low), active(high))
    at_tie = torch.lerp(start, end, low)[None]
    assert float(margins(real.model, at_tie)) < TIE
    assert float(margins(real.model, real.images).median()) > 10 * TIE


def test_gradients_are_those_of_captum(real: Explainable) -> None:
    """Signed gradients are captum's saliency without the absolute value."""
    model, images, targets = real
    leaves = images.clone().requires_grad_()
    oracle = Saliency(model).attribute(leaves, target=targets, abs=False).detach()
    maps = attributions.gradients(model, images, targets)
    assert_same_but_for_ties(maps, oracle, model, images, tolerance=1e-4)


@pytest.mark.thorough
def test_integrated_gradients_are_those_of_captum(real: Explainable) -> None:
    """Integrated gradients are captum's with the midpoint rule of 50 steps, from the baseline 0."""
    model, images, targets = real
    oracle = (
        IntegratedGradients(model)
        .attribute(images, target=targets, n_steps=50, method="riemann_middle", internal_batch_size=1200)
        .detach()
    )
    maps = attributions.integrated_gradients(model, images, targets)
    points = points_of("integrated_gradients", images, {})
    assert_same_but_for_ties(maps, oracle.float(), model, points, tolerance=1e-4)


@pytest.mark.thorough
def test_smoothgrad_is_the_mean_of_captums_saliency_over_our_noise(real: Explainable) -> None:
    """SmoothGrad is captum's saliency at each noisy copy, averaged."""
    model, images, targets = real
    oracle = torch.zeros_like(images)
    for draw in noise_images(25, 0.1, 784, seed=0):
        copies = (images + draw).requires_grad_()
        oracle += Saliency(model).attribute(copies, target=targets, abs=False).detach() / 25
    maps = attributions.smoothgrad(model, images, targets)
    assert_same_but_for_ties(maps, oracle, model, points_of("smoothgrad", images, {}), tolerance=1e-4)


FEW: dict[str, Any] = dict(attribution_steps=6, smoothgrad_samples=4)
"""Fewer steps where only their order is in question."""


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["gradients", "integrated_gradients", "smoothgrad"])
def test_the_fast_path_gives_the_maps_of_autograd(
    real: Explainable, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maps from one product with the encoder are those of autograd point by point, but for ties."""
    fast = attribute(*real, name).own
    monkeypatch.setattr("harness.subjects.sparse.gradients.structure_of", lambda _: None)
    assert_same_but_for_ties(fast, attribute(*real, name).own, real.model, points_of(name, real.images, {}))


class Counted(Convolutional):
    """A network of its own kind, which tells how many rows it is given at a time."""

    def __init__(self) -> None:
        super().__init__((1, 6, 6), 3, width=4)
        self.rows: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        """Rows of 36 pixels to three logits."""
        self.rows.append(len(images))
        logits: Tensor = super().forward(images.reshape(-1, 1, 6, 6))  # type: ignore[no-untyped-call]
        return logits


@pytest.mark.parametrize(("n", "chunk_size"), [(1, 512), (3, 512), (3, 7), (8, 8), (9, 4), (5, 1)])
@pytest.mark.parametrize("name", ["gradients", "integrated_gradients", "smoothgrad"])
def test_any_models_points_go_together_as_far_as_memory_allows(name: str, n: int, chunk_size: int) -> None:
    """No batch is larger than `chunk_size`, none is smaller than need be, and the maps are their
    definition's, point by point.
    """
    torch.manual_seed(0)
    model, images, targets = Counted().eval(), torch.rand(n, 36), torch.arange(n) % 3
    frozen = next(model.parameters())
    frozen.requires_grad = False
    found = attribute(model, images, targets, name, FEW | {"chunk_size": chunk_size}).own
    points = {"gradients": 1, "integrated_gradients": 6, "smoothgrad": 4}[name]
    asked = model.rows[1:]  # the first tells how many classes there are
    assert max(asked) <= chunk_size
    assert sum(asked) == points * n
    parts = [min(chunk_size, n - start) for start in range(0, n, chunk_size)]
    assert len(asked) == sum(-(-points // max(1, chunk_size // part)) for part in parts)
    one_by_one = attribute(model, images, targets, name, FEW | {"chunk_size": 1}).own
    assert (found - one_by_one).abs().max() <= 1e-6 * one_by_one.abs().max()
    assert [one.requires_grad for one in model.parameters()] == [False, *[True] * 7]
    assert not frozen.requires_grad


@pytest.mark.thorough
@pytest.mark.parametrize("chunk_size", [1, 7])
@pytest.mark.parametrize("name", METHODS)
def test_maps_are_the_same_whatever_the_chunks(real: Explainable, name: str, chunk_size: int) -> None:
    """The number of images explained in one pass changes no map, but for ties."""
    model, images, targets = real
    whole = attribute(model, images, targets, name, FEW)
    parts = attribute(model, images, targets, name, FEW | {"chunk_size": chunk_size})
    points = points_of(name, images, FEW)
    assert_same_but_for_ties(parts.own, whole.own, model, points)
    if parts.sensitivity is not None and whole.sensitivity is not None:
        assert_same_but_for_ties(parts.sensitivity, whole.sensitivity, model, points)


@pytest.mark.thorough
@pytest.mark.parametrize("name", METHODS)
def test_maps_are_the_same_in_any_company_and_order(real: Explainable, name: str) -> None:
    """An image has the same map in a shuffled batch, and in one of half as many images, but for ties."""
    model, images, targets = real
    whole = attribute(model, images, targets, name, FEW).own
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
    for chosen in (order, order[:50]):
        maps = attribute(model, images[chosen], targets[chosen], name, FEW).own
        points = points_of(name, images[chosen], FEW)
        assert_same_but_for_ties(maps, whole[chosen], model, points)


@pytest.mark.gpu
@pytest.mark.parametrize("name", METHODS)
def test_maps_are_the_same_on_the_gpu(real: Explainable, name: str) -> None:
    """A GPU gives the maps of the CPU, but for ties: what is drawn is drawn on the CPU for both.

    A method asks at many points, and of few it can be told here where they are: a map that is another than
    the CPU's must be what the method says, as forward passes tell.
    """
    model, images, targets = real
    here = attribute(model, images, targets, name, FEW).own
    moved = copy.deepcopy(model).cuda()
    with environment.deterministic():
        there = attribute(moved, images.cuda(), targets.cuda(), name, FEW).own
        answers = identity_errors(moved, images.cuda(), targets.cuda(), there, name, FEW, seed=1)
    if answers is None:
        assert_same_but_for_ties(there.cpu(), here, model, points_of(name, images, FEW), tolerance=1e-4)
        return
    deviation = (there.cpu() - here).abs().amax(dim=1) / here.abs().amax(dim=1)
    assert (deviation <= 1e-4).double().mean() >= 0.9, deviation
    assert ((deviation <= 1e-4) | (answers.errors.cpu() <= 1e-3)).all(), deviation


# the noise


def test_noise_is_normal_with_the_sigma_asked_for() -> None:
    """Noise images have mean 0 and the standard deviation sigma, in units of the pixels."""
    draws = noise_images(200, 0.1, 784, seed=5)
    assert draws.shape == (200, 784)
    assert float(draws.mean()) == pytest.approx(0, abs=0.001)
    assert float(draws.std()) == pytest.approx(0.1, rel=0.01)
    assert float((draws.abs() < 0.1).double().mean()) == pytest.approx(0.6827, abs=0.005)


def test_noise_depends_on_its_seed_alone() -> None:
    """The same seed gives the same noise whatever else was drawn, and drawing it disturbs no other draws."""
    before = torch.random.get_rng_state()
    first = noise_images(3, 0.1, 12, seed=5)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(7)
    assert torch.equal(noise_images(3, 0.1, 12, seed=5), first)
    assert not torch.equal(noise_images(3, 0.1, 12, seed=6), first)


def test_smoothgrad_is_deterministic_by_its_noise_seed(tiny_model: PixelClassifier) -> None:
    """The same noise seed gives the same maps to the last bit, and another seed gives others."""
    images, targets = noise(6, 12), torch.arange(6) % 3

    def maps(seed: int) -> Tensor:
        return attributions.smoothgrad(tiny_model, images, targets, noise_seed=seed)

    first = maps(1)
    torch.rand(3)
    assert torch.equal(maps(1), first)
    assert not torch.equal(maps(2), first)


def test_smoothgrads_noise_is_shared_by_the_samples() -> None:
    """Equal images have equal maps wherever they stand in the batch, for one noise serves them all."""
    images, targets = noise(1, 12).expand(9, -1), torch.zeros(9, dtype=torch.int64)
    maps = attributions.smoothgrad(Cubes(), images, targets, chunk_size=2)
    assert torch.equal(maps, maps[:1].expand(9, -1))


# one door for all methods


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Nine images for the tiny network, a third of their pixels 0, with a class each."""
    images = noise(9, 12)
    images[noise(9, 12, seed=4) < 1 / 3] = 0.0
    return images, torch.arange(9) % 3


@pytest.mark.parametrize("name", ["gradients", "smoothgrad", "decoder_reconstruction"])
def test_a_sensitivity_methods_own_maps_are_its_sensitivity(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor], name: str
) -> None:
    """Gradients, SmoothGrad and the control have one form, of the sensitivity space."""
    maps = attribute(tiny_model, *batch, name)
    assert maps.space == "sensitivity"
    assert maps.sensitivity is not None
    assert torch.equal(maps.own, maps.sensitivity)
    assert torch.equal(maps.own, getattr(attributions, name)(tiny_model, *batch))


def test_integrated_gradients_are_image_times_sensitivity(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor]
) -> None:
    """Integrated gradients are contributions: the image times the mean gradient along the path."""
    maps = attribute(tiny_model, *batch, "integrated_gradients")
    assert maps.space == "contribution"
    assert maps.sensitivity is not None
    assert torch.equal(maps.own, batch[0] * maps.sensitivity)
    assert torch.equal(maps.own, attributions.integrated_gradients(tiny_model, *batch))
    assert torch.equal(maps.sensitivity, attributions.path_gradients(tiny_model, *batch))


def test_decoder_weighted_has_a_sensitivity_form_without_the_code(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor]
) -> None:
    """The decoder method's own maps weigh by z_j, those of its sensitivity form do not."""
    maps = attribute(tiny_model, *batch, "decoder_weighted")
    assert maps.space == "sensitivity"
    assert maps.sensitivity is not None
    assert torch.equal(maps.own, attributions.decoder_weighted(tiny_model, *batch))
    assert torch.equal(maps.sensitivity, attributions.decoder_sensitivity(tiny_model, *batch))
    assert not torch.allclose(maps.own, maps.sensitivity)


def test_the_control_knows_no_class(tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor]) -> None:
    """The decoder's reconstruction is one map whatever the target; every other method's depends on it."""
    images, targets = batch
    for name in METHODS:
        one, other = (attribute(tiny_model, images, y, name).own for y in (targets, (targets + 1) % 3))
        assert torch.equal(one, other) == (name == "decoder_reconstruction"), name


def test_settings_reach_the_method_and_others_are_left_aside(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor]
) -> None:
    """A method takes its own settings by name, and is not disturbed by those of another."""
    settings = {"attribution_steps": 2, "smoothgrad_samples": 3, "smoothgrad_sigma": 0.5, "noise_seed": 8}
    path = attributions.integrated_gradients(tiny_model, *batch, attribution_steps=2)
    assert torch.equal(attribute(tiny_model, *batch, "integrated_gradients", settings).own, path)
    smooth = attributions.smoothgrad(
        tiny_model, *batch, smoothgrad_samples=3, smoothgrad_sigma=0.5, noise_seed=8
    )
    assert torch.equal(attribute(tiny_model, *batch, "smoothgrad", settings).own, smooth)
    plain = attributions.gradients(tiny_model, *batch)
    assert torch.equal(attribute(tiny_model, *batch, "gradients", settings).own, plain)


def test_an_unknown_method_is_refused_with_a_suggestion(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor]
) -> None:
    """A misspelt method is refused, and the nearest one is named."""
    with pytest.raises(ConfigurationError, match=r"'smoothgard'.*'smoothgrad'"):
        attribute(tiny_model, *batch, "smoothgard")


@pytest.fixture
def own_methods(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry to add to, which is as before afterwards."""
    monkeypatch.setattr(attributions.methods, "_entries", dict(attributions.methods.items()))
    yield
    monkeypatch.undo()
    assert tuple(attributions.methods) == EVERY


def test_a_users_method_is_one_decorated_function(
    own_methods: None, tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor]
) -> None:
    """A function registered by a user is a method like those of the harness, in the space it names."""

    @attributions.register("halves", space="contribution")
    def halves(model: nn.Module, images: Tensor, targets: Tensor, *, share: float = 0.5, **_: Any) -> Tensor:
        return share * images

    @attributions.register("slopes", space="sensitivity")
    def slopes(model: nn.Module, images: Tensor, targets: Tensor, **_: Any) -> Tensor:
        return images + 1

    images, targets = batch
    maps = attribute(tiny_model, images, targets, "halves", {"share": 0.25, "chunk_size": 3})
    assert torch.equal(maps.own, 0.25 * images)
    assert (maps.sensitivity, maps.space) == (None, "contribution")
    maps = attribute(tiny_model, images, targets, "slopes")
    assert maps.sensitivity is not None
    assert torch.equal(maps.own, images + 1)
    assert torch.equal(maps.own, maps.sensitivity)
    explained = explain(tiny_model, images, targets, ["halves", "slopes"])
    assert torch.equal(explained["halves"], 0.5 * images)
    assert torch.equal(explained["slopes"], images * (images + 1))


def test_a_name_is_registered_once(own_methods: None) -> None:
    """A user's method cannot take the name of another in silence."""
    with pytest.raises(ConfigurationError, match=r"'gradients'.*twice"):
        attributions.register("gradients", space="sensitivity")(attributions.smoothgrad)


# what explaining leaves alone


@pytest.mark.parametrize("mode", [True, False], ids=["in training", "in evaluation"])
@pytest.mark.parametrize("name", METHODS)
def test_dropout_is_off_while_explaining_and_the_mode_comes_back(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor], name: str, mode: bool
) -> None:
    """A model in training is explained as in evaluation, and is in training again afterwards."""
    expected = attribute(tiny_model.eval(), *batch, name)
    maps = attribute(tiny_model.train(mode), *batch, name)
    assert torch.equal(maps.own, expected.own)
    assert {module.training for module in tiny_model.modules()} == {mode}


@pytest.mark.parametrize("name", ["gradients", "decoder_weighted"])
def test_the_mode_comes_back_after_an_error(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor], name: str
) -> None:
    """An explanation that fails, here of a class that is not there, leaves the model's mode as it was."""
    with pytest.raises(InputError, match=r"targets must be classes in 0\.\.2 \(got 99"):
        attribute(tiny_model.train(), batch[0], torch.full((9,), 99), name)
    assert tiny_model.training


@pytest.mark.parametrize("name", METHODS)
def test_explaining_touches_neither_weights_nor_their_gradients(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor], name: str
) -> None:
    """Gradients that a training has gathered, or none, are the same after explaining; so are the weights."""
    parameters = list(tiny_model.parameters())
    parameters[0].grad = torch.full_like(parameters[0], 7.0)
    before = [parameter.detach().clone() for parameter in parameters]
    attribute(tiny_model, *batch, name)
    assert torch.equal(parameters[0].grad, torch.full_like(parameters[0], 7.0))
    assert all(parameter.grad is None for parameter in parameters[1:])
    assert all(parameter.requires_grad for parameter in parameters)
    assert all(torch.equal(parameter, was) for parameter, was in zip(parameters, before, strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_explaining_leaves_the_images_alone_and_maps_carry_no_graph(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor], name: str
) -> None:
    """The images are unchanged and ask for no gradient, maps hold no graph, and `no_grad` does not matter."""
    images, targets = batch
    before = images.clone()
    maps = attribute(tiny_model, images, targets, name)
    assert torch.equal(images, before)
    assert not images.requires_grad
    assert not maps.own.requires_grad
    assert (maps.own.shape, maps.own.dtype) == (images.shape, torch.float32)
    with torch.no_grad():
        assert torch.equal(attribute(tiny_model, images, targets, name).own, maps.own)


# contributions


def test_explaining_gives_contributions_of_the_compared_methods(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor]
) -> None:
    """Maps of the sensitivity space are multiplied with the image; contributions are left as they are."""
    explained = explain(tiny_model, *batch)
    assert set(explained) == {"integrated_gradients", "gradients", "smoothgrad", "decoder_weighted"}
    path = attributions.integrated_gradients(tiny_model, *batch)
    assert torch.equal(explained.pop("integrated_gradients"), path)
    for name, maps in explained.items():
        assert torch.equal(maps, batch[0] * attribute(tiny_model, *batch, name).own), name


def test_the_predicted_class_is_explained_unless_told_otherwise(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor]
) -> None:
    """Without targets each image is explained for the class of its largest logit, with dropout off."""
    images, _ = batch
    predicted = tiny_model(images).argmax(dim=1)
    expected = explain(tiny_model, images, predicted, METHODS)
    for name, maps in explain(tiny_model.train(), images, methods=METHODS).items():
        assert torch.equal(maps, expected[name]), name


@pytest.mark.parametrize("name", METHODS)
def test_a_pixel_at_the_baseline_contributes_nothing(
    tiny_model: PixelClassifier, batch: tuple[Tensor, Tensor], name: str
) -> None:
    """Missingness: where the image is 0 the contribution is exactly 0, and elsewhere mostly not."""
    images, targets = batch
    contributions = explain(tiny_model, images, targets, [name])[name]
    assert (contributions[images == 0] == 0).all()
    assert (contributions[images > 0] != 0).double().mean() > 0.5
