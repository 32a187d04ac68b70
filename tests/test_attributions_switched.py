"""Integrated gradients that see the jumps of a top-k code."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import attributions
from harness.attributions import switched
from harness.attributions.paths import explained
from harness.attributions.switched import ALLOCATIONS
from harness.errors import ConfigurationError, InputError
from harness.subjects.autoencoders import Deviating, RevivingAutoencoder
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier

NAME = "switch_aware_integrated_gradients"
TARGETS = torch.arange(20) % 5


def network_of(seed: int, k: int = 10, hidden: tuple[int, ...] = (16, 12)) -> PixelClassifier:
    """64 pixels, 40 units of which k are active, 5 classes."""
    torch.manual_seed(seed)
    return PixelClassifier(KSparseAutoencoder(k, 64, 40), Classifier(40, hidden=hidden, classes=5)).eval()


@pytest.fixture(scope="module")
def network() -> PixelClassifier:
    """Whose code switches."""
    return network_of(1)


@pytest.fixture(scope="module")
def images() -> Tensor:
    """With a dark ground."""
    generator = torch.Generator().manual_seed(2)
    return torch.rand(20, 64, generator=generator) * (torch.rand(20, 64, generator=generator) < 0.6)


def parts_of(model: PixelClassifier) -> list[Any]:
    """The classifier's layers."""
    return list(model.classifier.children())


def maps_of(model: nn.Module, images: Tensor, **settings: Any) -> Tensor:
    """Of all images, each of its class."""
    return attributions.attribute(model, images, TARGETS[: len(images)], NAME, settings).own


@torch.no_grad()
def change_of(model: nn.Module, images: Tensor) -> Tensor:
    """f_y(x) - f_y(x0)."""
    change: Tensor = (model(images) - model(images * 0)).gather(1, TARGETS[: len(images), None])[:, 0]
    return change


def exactly(function: Callable[..., Tensor], model: nn.Module, images: Tensor, **settings: Any) -> Tensor:
    """A method's maps in float64, past the door, which takes float32."""
    return function(copy.deepcopy(model).double(), images.double(), TARGETS[: len(images)], **settings)


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("hidden", [(16, 12), (20,), (16, 12, 8)])
def test_it_is_complete_to_rounding_where_it_splits_at_all_kinks(
    images: Tensor, allocation: str, hidden: tuple[int, ...]
) -> None:
    """In float64, of every allocation: the sum is f_y(x) - f_y(x0)."""
    network = network_of(3, hidden=hidden)
    maps = exactly(
        switched.switch_aware_integrated_gradients,
        network,
        images,
        switch_allocation=allocation,
        split_kinks=True,
    )
    change = change_of(copy.deepcopy(network).double(), images.double())
    assert float(((maps.sum(dim=1) - change) / change).abs().max()) < 1e-6


def test_it_is_complete_where_integrated_gradients_are_not(network: PixelClassifier, images: Tensor) -> None:
    """With its few midpoints, nearly; the plain method leaves what happened at switches."""
    change = change_of(network, images)

    def gap(name: str) -> float:
        maps = attributions.attribute(network, images, TARGETS, name, {}).own
        return float(((maps.sum(dim=1) - change) / change).abs().median())

    assert gap("integrated_gradients") > 0.1
    assert gap(NAME) < gap("integrated_gradients") / 5


def by_brute_force(model: PixelClassifier, image: Tensor, target: int, steps: int) -> Tensor:
    """The map of one image in float64, by very many steps: who belongs to the k is asked at each.

    Between two codes with other units, the line from one to the other is gone along in `steps` parts.
    """
    encoder, classifier, k = model.autoencoder.encoder, model.classifier, model.autoencoder.k
    weight, zero = encoder.weight, torch.zeros_like(image)

    def slope(code: Tensor) -> Tensor:
        code = code.detach().requires_grad_()
        return torch.autograd.grad(classifier(code[None])[0, target], code)[0]

    def code_at(place: float) -> tuple[Tensor, Tensor]:
        h = encoder(place * image)
        active = torch.zeros_like(h, dtype=torch.bool)
        active[h.topk(k).indices] = True
        return h.detach(), active & (h > 0)

    total = zero.clone()
    fine = 4000
    for number in range(fine):
        h, active = code_at((number + 0.5) / fine)
        total += image * ((slope(h * active) * active) @ weight) / fine
        ahead, after = code_at((number + 1.5) / fine)
        if number + 1 < fine and int((active & ~after).sum()) == int((after & ~active).sum()) == 1:
            out, into = (int(one.nonzero()) for one in (active & ~after, after & ~active))
            # the place where both are one value
            rate = (ahead - h) * fine
            level = float(h[into] - (h[into] - h[out]) / (rate[into] - rate[out]) * rate[into])
            common = h * (active & after)
            for step in range(steps):
                code = common.clone()
                code[out], code[into] = level * (1 - (step + 0.5) / steps), level * (step + 0.5) / steps
                found = slope(code)
                for unit, part in ((out, -level * found[out]), (into, level * found[into])):
                    evidence = (weight[unit] * image).clamp_min(0)
                    total += float(part) / steps * evidence / evidence.sum()
    return total.detach()


@pytest.mark.thorough
def test_a_tiny_network_by_brute_force() -> None:
    """5 pixels, 8 units, k = 2: 4,000 places of the path, and 400 of the line across each switch."""
    torch.manual_seed(4)
    tiny = (
        PixelClassifier(KSparseAutoencoder(2, 5, 8), Classifier(8, hidden=(6, 5), classes=3)).eval().double()
    )
    images = torch.rand(6, 5, dtype=torch.float64)
    targets = torch.tensor([0, 1, 2, 0, 1, 2])
    maps = switched.switch_aware_integrated_gradients(tiny, images, targets, split_kinks=True)
    jumps = sum(len(one.jumps.image) for one in explained(tiny, images, targets, steps=5, across=1))
    assert jumps >= 4
    for image, target, own in zip(images, targets.tolist(), maps, strict=True):
        torch.testing.assert_close(own, by_brute_force(tiny, image, target, 400), rtol=0, atol=3e-4)


def test_normal_allocation_is_the_limit_of_smoothing() -> None:
    """Integrated gradients of the function smoothed by little noise, by Monte Carlo over its values.

    The smoothed function's gradient is E[f(x + s e) e] / s; along the path these are its integrated
    gradients, which see jumps.
    """
    torch.manual_seed(8)
    tiny = PixelClassifier(KSparseAutoencoder(2, 5, 8), Classifier(8, hidden=(6,), classes=3)).eval().double()
    generator = torch.Generator().manual_seed(0)
    image, sigma, draws = torch.rand(5, dtype=torch.float64, generator=generator), 0.01, 400_000
    own = switched.switch_aware_integrated_gradients(
        tiny, image[None], torch.tensor([1]), switch_allocation="normal", split_kinks=True
    )[0]
    places = torch.rand(draws, 1, dtype=torch.float64, generator=generator)
    noise = torch.randn(draws, 5, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        ahead, behind = (tiny(places * image + sign * sigma * noise)[:, 1] for sign in (1, -1))
    each = image * (ahead - behind)[:, None] * noise / (2 * sigma)
    error = each.std(dim=0) / draws**0.5
    assert float(((each.mean(dim=0) - own).abs() / (error + 0.01 * own.norm())).max()) < 4
    plain = attributions.integrated_gradients(tiny, image[None], torch.tensor([1]))[0]
    assert float((plain - own).norm() / own.norm()) > 0.05  # which the test would have seen


def test_where_no_code_jumps_it_is_the_plain_method(images: Tensor) -> None:
    """All units kept, or a code that is the same all along."""
    whole = network_of(2, k=40)
    plain = exactly(attributions.integrated_gradients, whole, images, attribution_steps=20_000)
    own = exactly(switched.switch_aware_integrated_gradients, whole, images, split_kinks=True)
    torch.testing.assert_close(own, plain, rtol=0, atol=float(2e-4 * plain.abs().max()))
    ((one,),) = [[*explained(whole, images, TARGETS, steps=5, across=1)]]
    assert len(one.jumps.image) == 0
    still = copy.deepcopy(network_of(2))
    with torch.no_grad():
        still.autoencoder.encoder.weight.copy_(still.autoencoder.encoder.weight[:1].expand(40, -1))
    plain = attributions.attribute(still, images, TARGETS, "integrated_gradients", {}).own
    torch.testing.assert_close(maps_of(still, images, attribution_steps=250), plain, rtol=0, atol=1e-3)


def test_a_black_image_has_an_empty_map(network: PixelClassifier, images: Tensor) -> None:
    """And a black pixel has no share."""
    maps = maps_of(network, images)
    assert not bool(maps[images == 0].any())
    assert not bool(maps_of(network, images * 0).any())


def test_units_in_another_order_give_the_same_maps(network: PixelClassifier, images: Tensor) -> None:
    """Implementation invariance, as far as it applies."""
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    other = copy.deepcopy(network)
    with torch.no_grad():
        encoder, first = other.autoencoder.encoder, parts_of(other)[0]
        encoder.weight.copy_(encoder.weight[order])
        encoder.bias.copy_(encoder.bias[order])
        first.weight.copy_(first.weight[:, order])
    torch.testing.assert_close(maps_of(other, images), maps_of(network, images), rtol=1e-4, atol=1e-5)


def test_it_is_linear_in_the_readout(network: PixelClassifier, images: Tensor) -> None:
    """Of the sum of two classes' logits it is the sum of both maps: one code, one set of switches."""
    both = copy.deepcopy(network)
    with torch.no_grad():
        last = parts_of(both)[-1]
        last.weight[0] += last.weight[1]
        last.bias[0] += last.bias[1]
    zero, one = torch.zeros(20, dtype=torch.int64), torch.ones(20, dtype=torch.int64)
    parts = [attributions.attribute(network, images, target, NAME, {}).own for target in (zero, one)]
    whole = attributions.attribute(both, images, zero, NAME, {}).own
    torch.testing.assert_close(whole, parts[0] + parts[1], rtol=1e-4, atol=1e-5)


def test_a_unit_that_nobody_reads_takes_no_part_of_a_jump(network: PixelClassifier, images: Tensor) -> None:
    """The axiom of sensitivity, in code space: its switches count by the other unit alone."""
    deaf = copy.deepcopy(network)
    with torch.no_grad():
        parts_of(deaf)[0].weight[:, ::2] = 0
    for one in explained(deaf, images, TARGETS, steps=5, across=2):
        unread = one.jumps.units % 2 == 0
        assert int(unread.sum()) > 10
        assert not bool(one.jumps.parts[unread].any())
        assert bool(one.jumps.parts[~unread].any())


def test_neither_batch_nor_order_changes_a_map(network: PixelClassifier, images: Tensor) -> None:
    """But for rounding."""
    whole = maps_of(network, images)
    torch.testing.assert_close(maps_of(network, images, chunk_size=3), whole, rtol=1e-4, atol=1e-5)
    alone = attributions.attribute(network, images[7:8], TARGETS[7:8], NAME, {}).own
    torch.testing.assert_close(alone[0], whole[7], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["deviating", "reviving", "other readout", "hooked"])
def test_any_model_with_a_top_k_code(network: PixelClassifier, images: Tensor, form: str) -> None:
    """Another baseline, atoms of length 1, a readout that is no rectifier network, a hooked part."""
    model = copy.deepcopy(network)
    if form == "deviating":
        model.autoencoder = Deviating(model.autoencoder, torch.full((64,), 0.3))
    if form == "reviving":
        torch.manual_seed(0)
        model.autoencoder = RevivingAutoencoder(10, 64, 40).eval()
    if form == "other readout":
        torch.manual_seed(0)
        model.classifier = nn.Sequential(nn.Linear(40, 16), nn.Tanh(), nn.Linear(16, 5)).eval()
    if form == "hooked":
        model.classifier.register_forward_hook(lambda *_: None)
    points = images - 0.3 if form == "deviating" else images
    model.any_scale = True  # type: ignore[assignment]
    maps = maps_of(model, points, attribution_steps=250, switch_points=8)
    change = change_of(model, points)
    assert float(((maps.sum(dim=1) - change).abs() / change.abs()).median()) < 0.02


@pytest.mark.thorough
def test_its_maps_satisfy_their_definition_and_others_do_not(
    network: PixelClassifier, images: Tensor
) -> None:
    """Each allocation its own; the plain method's maps are not these."""
    for allocation in ALLOCATIONS:
        settings = {"switch_allocation": allocation}
        maps = maps_of(network, images, **settings)
        answers = attributions.identity_errors(network, images, TARGETS, maps, NAME, settings, seed=1)
        assert answers is not None
        assert float(answers.errors.quantile(0.9)) < 1e-3
    plain = attributions.attribute(network, images, TARGETS, "integrated_gradients", {}).own
    answers = attributions.identity_errors(network, images, TARGETS, plain, NAME, {}, seed=1)
    assert answers is not None
    assert float(answers.errors.quantile(0.1)) > 1e-3


def test_what_it_cannot_explain_is_refused(network: PixelClassifier, images: Tensor) -> None:
    """No code, a code of something else than the k largest, an encoder that is not linear."""
    with pytest.raises(InputError, match="linear encoder"):
        maps_of(nn.Sequential(nn.Linear(64, 5)), images)

    class Second(KSparseAutoencoder):
        def encode(self, images: Tensor) -> Tensor:
            return super().encode(images) * 2

    class Bent(KSparseAutoencoder):
        def encode(self, images: Tensor) -> Tensor:
            return super().encode(images.sqrt())

    for kind in (Second, Bent):
        torch.manual_seed(0)
        other = PixelClassifier(kind(10, 64, 40), network.classifier).eval()
        with pytest.raises(InputError, match="k largest"):
            maps_of(other, images)
    with pytest.raises(ConfigurationError, match="switch_allocation"):
        maps_of(network, images, switch_allocation="evidance")
    with pytest.raises(InputError, match="relu"):
        other = copy.deepcopy(network)
        other.classifier = nn.Sequential(nn.Linear(40, 16), nn.Tanh(), nn.Linear(16, 5)).eval()
        maps_of(other, images, split_kinks=True)


def test_evidence_is_shared_where_it_speaks(network: PixelClassifier, images: Tensor) -> None:
    """A jump's shares sum to it under each rule, on images above and below the baseline."""
    for points, rule in itertools.product((images, images - 0.4), ALLOCATIONS.values()):
        (one,) = explained(network, points, TARGETS, steps=5, across=1)
        shares = points * rule(one.weight, points, one.jumps, one.lines)
        total = torch.zeros(20).index_add_(0, one.jumps.image, one.jumps.parts.sum(dim=1))
        torch.testing.assert_close(shares.sum(dim=1), total, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("k", "dark"), [(40, False), (38, False), (10, True)])
def test_the_check_holds_where_little_changes(k: int, dark: bool) -> None:
    """All units kept, fewer of them ever active than may be, and images on whose path nothing happens."""
    network = network_of(5, k=k)
    images = torch.rand(6, 64, generator=torch.Generator().manual_seed(1)) * (not dark)
    maps = maps_of(network, images)
    answers = attributions.identity_errors(network, images, TARGETS[:6], maps, NAME, {}, seed=1)
    assert answers is not None
    assert float(answers.errors.max()) < 1e-3


def test_where_few_units_switch_it_is_no_less_complete_than_the_plain_method(images: Tensor) -> None:
    """It has as many points between switches as the plain one has, at least."""
    whole = network_of(2, k=40)
    change = change_of(whole, images)
    gaps = [
        float(
            ((attributions.attribute(whole, images, TARGETS, name, {}).own.sum(dim=1) - change) / change)
            .abs()
            .median()
        )
        for name in (NAME, "integrated_gradients")
    ]
    assert gaps[0] < 1.2 * gaps[1]


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_units_for_which_no_pixel_speaks_keep_their_jumps(images: Tensor, allocation: str) -> None:
    """All weights are negative, and units are active by their biases: the map is complete all the same."""
    network = network_of(6).double()
    with torch.no_grad():
        encoder = network.autoencoder.encoder
        encoder.weight.copy_(-encoder.weight.abs())
        encoder.bias.copy_(encoder.bias.abs() * 20)
    points = images.double()
    settings: dict[str, Any] = dict(switch_allocation=allocation, split_kinks=True)
    jumps = explained(network, points, TARGETS, steps=10, across=1)[0].jumps
    assert len(jumps.image) > 20
    maps = switched.switch_aware_integrated_gradients(network, points, TARGETS, **settings)
    torch.testing.assert_close(maps.sum(dim=1), change_of(network, points), rtol=1e-6, atol=1e-9)


def test_equal_units_do_not_change_places(images: Tensor) -> None:
    """All units are one: whichever of them are kept, nothing jumps on the way, under any rule."""
    network = network_of(7)
    with torch.no_grad():
        encoder = network.autoencoder.encoder
        encoder.weight.copy_(encoder.weight[:1].expand(40, -1).clone())
        encoder.bias.fill_(0.2)
    (one,) = explained(network, images, TARGETS, steps=50, across=1)
    inside = one.lines.switches.positions[one.jumps.image, one.jumps.event]
    assert not bool(((inside > 0) & (inside < 1)).any())
    for allocation in ALLOCATIONS:
        assert bool(maps_of(network, images, switch_allocation=allocation).isfinite().all())


def test_weights_that_are_no_numbers_are_refused(network: PixelClassifier, images: Tensor) -> None:
    """In a sentence."""
    broken = copy.deepcopy(network)
    with torch.no_grad():
        broken.autoencoder.encoder.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match="NaN"):
        maps_of(broken, images)
