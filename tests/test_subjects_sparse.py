"""The products over active units against autograd over all of them, and sleepers that must wake."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import datasets, environment
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier
from harness.subjects.sparse import gradients, training
from harness.subjects.sparse.classifier import ClassifierTraining, Masks
from harness.subjects.sparse.structure import is_rectifier_network, structure_of
from harness.subjects.sparse.training import AutoencoderTraining

RATE = 0.01


def seed(number: int) -> torch.Generator:
    """A generator that starts there."""
    return torch.Generator().manual_seed(number)


@pytest.fixture
def images() -> Tensor:
    """Sixty real images, every fourth pixel of them, float64 [60, 196]."""
    data = datasets.load("fashion-mnist-mini")
    return torch.from_numpy(data.train_images[:60, ::4].copy()).double() / 255


@pytest.fixture
def model() -> KSparseAutoencoder:
    """An untrained autoencoder of 64 units, 4 of which are active, in float64."""
    with environment.seeded(0):
        return KSparseAutoencoder(k=4, pixels=196, code_width=64).double()


def by_unit(state: AutoencoderTraining) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W, b, D^T and c in the units' own order."""
    order = torch.argsort(state.units)
    encoder, bias, atoms, shift = state.weights
    return encoder[order], bias[order], atoms[order], shift


def batches(n: int, size: int, epochs: int) -> Iterator[list[Tensor]]:
    """The batches of each epoch."""
    generator = seed(5)
    for _ in range(epochs):
        yield list(torch.randperm(n, generator=generator).split(size))


# one step


@pytest.mark.parametrize("k", [1, 4, 64])
def test_the_gradients_are_those_of_autograd(images: Tensor, k: int) -> None:
    """Loss and gradients over the batch's active units are autograd's over all units, in float64."""
    with environment.seeded(0):
        model = KSparseAutoencoder(k=k, pixels=196, code_width=64).double()
    state, batch = AutoencoderTraining(model, images, RATE), torch.arange(20)
    loss = F.mse_loss(model(images[batch]), images[batch])
    expected = torch.autograd.grad(loss, list(model.parameters()))
    assert state.step(batch) == pytest.approx(float(loss.detach()), rel=1e-12)
    encoder, bias, atoms, shift = state.gradients
    assert (encoder != 0).any()
    for ours, theirs in zip((encoder, bias, atoms.T, shift), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-15)


def test_a_chosen_unit_at_zero_gets_no_gradient(images: Tensor, model: KSparseAutoencoder) -> None:
    """Where fewer than k units are above 0, those that fill the k are not active, as in autograd."""
    with torch.no_grad():
        model.encoder.bias[2:] = -100.0
    state, batch = AutoencoderTraining(model, images, RATE), torch.arange(20)
    loss = F.mse_loss(model(images[batch]), images[batch])
    expected = torch.autograd.grad(loss, model.encoder.weight)[0]
    state.step(batch)
    torch.testing.assert_close(state.gradients[0], expected, rtol=1e-10, atol=1e-15)
    assert (expected[2:] == 0).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_step_whose_loss_is_no_number_is_not_taken(
    images: Tensor, model: KSparseAutoencoder, bad: float
) -> None:
    """The loss is given back as it is, and no weight moves."""
    images[3] = bad
    state = AutoencoderTraining(model, images, RATE)
    before = [weight.clone() for weight in state.weights]
    assert not math.isfinite(state.step(torch.arange(5)))
    assert all(torch.equal(a, b) for a, b in zip(before, state.weights, strict=True))


# many steps: sleeping and waking


def trained_plainly(model: KSparseAutoencoder, images: Tensor, epochs: int) -> list[float]:
    """The same training over all units with autograd; its losses by epoch."""
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=RATE), []
    for steps in batches(len(images), 6, epochs):
        total = 0.0
        for batch in steps:
            loss = F.mse_loss(model(images[batch]), images[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        losses.append(total / len(images))
    return losses


def test_sleeping_units_change_nothing(images: Tensor, model: KSparseAutoencoder) -> None:
    """Over 600 steps in which units fall asleep and wake, losses and weights are those of all units."""
    state = AutoencoderTraining(model, images, RATE)
    ours, awake = [], []
    for steps in batches(len(images), 6, epochs=60):
        total = 0.0
        for batch in steps:
            before = state.awake
            total += state.step(batch) * len(batch)
            awake.append(state.awake - before)
        state.rest()
        ours.append(total / len(images))
    assert state.awake < 40, "no unit to speak of fell asleep"
    assert sum(awake) > 0, "no unit woke"
    theirs = trained_plainly(model, images, epochs=60)
    assert ours == pytest.approx(theirs, rel=1e-8)
    for mine, other in zip(by_unit(state), (*model.encoder.parameters(), model.atoms), strict=False):
        torch.testing.assert_close(mine, other.detach(), rtol=1e-6, atol=1e-8)


def asleep(images: Tensor, model: KSparseAutoencoder) -> AutoencoderTraining:
    """A training in which some units are asleep, though above 0 for some images."""
    state = AutoencoderTraining(model, images, RATE / 10)
    for steps in batches(len(images), 6, epochs=40):
        for batch in steps:
            state.step(batch)
        state.rest()
    assert model.k <= state.awake < 50
    return state


def test_the_ceiling_is_above_every_sleeper(images: Tensor, model: KSparseAutoencoder) -> None:
    """No sleeping unit's pre-activation of a training image is above that image's ceiling."""
    state = asleep(images, model)
    encoder, bias, _, _ = state.weights
    sleepers = images @ encoder[state.awake :].T + bias[state.awake :]
    assert (sleepers.amax(dim=1) <= state.ceiling + 1e-12).all()
    assert (state.ceiling > 0).any()


def test_whoever_belongs_to_the_k_wakes_before_the_step(images: Tensor, model: KSparseAutoencoder) -> None:
    """With the awake units silenced the sleepers are the largest: they are chosen in that very step."""
    state = asleep(images, model)
    before = state.awake
    state.weights[1][: state.awake] = -100.0
    encoder, bias, _, _ = by_unit(state)
    h = F.relu(images[:20] @ encoder.T + bias)
    values, chosen = state._chosen(images[:20], torch.arange(20))
    assert state.awake > before
    assert len(set(state.units.tolist())) == 64
    expected = h.topk(model.k, dim=1)
    torch.testing.assert_close(values.sort(dim=1, descending=True).values, expected.values)
    positive = expected.values > 0
    for row in range(20):
        ours = set(state.units[chosen[row]][values[row] > 0].tolist())
        assert ours == set(expected.indices[row][positive[row]].tolist())


def test_a_waking_unit_has_the_moments_it_would_have_had(images: Tensor, model: KSparseAutoencoder) -> None:
    """While a unit sleeps its second moment shrinks by 0.999 a step, which waking makes up for."""
    state = asleep(images, model)
    place = state.awake
    unit, moment = int(state.units[place]), state.adam.second_moments[0][place].clone()
    missed = int(state.steps) - int(state.asleep_since[place])
    state.steps += 17
    state.weights[1][: state.awake] = -100.0
    state.weights[1][place] = 50.0
    state.ceiling[:] = 100.0
    state._chosen(images[:5], torch.arange(5))
    now = int((state.units == unit).nonzero())
    assert now < state.awake
    torch.testing.assert_close(state.adam.second_moments[0][now], moment * 0.999 ** (missed + 17))


def test_k_units_stay_awake(images: Tensor) -> None:
    """However few units are used, k of them stay awake to be chosen among."""
    with environment.seeded(0):
        model = KSparseAutoencoder(k=30, pixels=196, code_width=32).double()
    with torch.no_grad():
        model.encoder.bias[5:] = -100.0
    state = AutoencoderTraining(model, images, RATE)
    for steps in batches(len(images), 6, epochs=25):
        for batch in steps:
            state.step(batch)
        state.rest()
    assert state.awake >= 30


def test_the_model_holds_the_weights_after_store(images: Tensor, model: KSparseAutoencoder) -> None:
    """Units come back to their own places, whoever slept or woke meanwhile."""
    state = asleep(images, model)
    before = model.decoder.bias.detach().clone()
    state.store()
    assert not torch.equal(before, state.weights[3])
    for mine, other in zip(by_unit(state), (*model.encoder.parameters(), model.atoms), strict=False):
        assert torch.equal(mine, other.detach())
    assert torch.equal(model.decoder.bias.detach(), state.weights[3])


def test_bfloat16_rounds_the_encoders_product_alone(images: Tensor, model: KSparseAutoencoder) -> None:
    """The codes are those of rounded factors, and the loss is near that of float32."""
    images, model = images.float(), model.float()
    exact, rounded = (AutoencoderTraining(model, images, RATE, bfloat16=on) for on in (False, True))
    codes = rounded._encode(images, slice(None))
    expected = (images.bfloat16() @ model.encoder.weight.detach().bfloat16().T).float()
    torch.testing.assert_close(codes, expected + model.encoder.bias.detach())
    a, b = (state.step(torch.arange(20)) for state in (exact, rounded))
    assert a != b
    assert a == pytest.approx(b, rel=0.01)


# the classifier


def test_dropout_keeps_the_share_it_should() -> None:
    """Of a million values a share of 1 - p is kept, five standard errors allowed."""
    with environment.seeded(0):
        (mask,) = Masks([torch.empty(1000, 1001)], [0.3]).draw()
    assert abs(float(mask.double().mean()) - 0.7) < 5 * math.sqrt(0.21 / 1_001_000)
    assert mask.unique().tolist() == [0.0, 1.0]


def test_dropout_draws_values_independently() -> None:
    """What falls in one column says nothing of its neighbours, whose bits come from the same draw."""
    with environment.seeded(0):
        (mask,) = Masks([torch.empty(20_000, 8)], [0.3]).draw()
    between = torch.corrcoef(mask.T) - torch.eye(8)
    assert float(between.abs().max()) < 5 / math.sqrt(20_000)


@pytest.mark.parametrize("p", [1e-9, 0.5, 0.9999, 1.0])
def test_dropout_at_its_ends(p: float) -> None:
    """Next to no chance drops next to nothing, and the surest drops all but one in 65536."""
    with environment.seeded(0):
        (mask,) = Masks([torch.empty(3, 5)], [p]).draw()
    assert mask.shape == (3, 5)
    assert {0.5: 0.2, 1e-9: 1.0}.get(p, 0.0) <= float(mask.double().mean())


def masked(numel: int, p: float) -> Tensor:
    """A mask from 64-bit draws of the global generator, four values a draw, the lowest bits first."""
    words = torch.empty(-(-numel // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = [(word >> 16 * part) & 0xFFFF for word in words.tolist() for part in range(4)][:numel]
    signed = torch.tensor([one - 2**16 if one >= 2**15 else one for one in bits])
    return (signed + 2**15 >= p * 2**16).double()


def test_all_layers_masks_come_from_one_stream() -> None:
    """Masks of several layers are those of one draw after the other, again and again; p = 0 draws none."""
    shapes, chances = ((3, 5), (2, 4), (3, 3), (1, 7)), (0.25, 0.0, 0.5, 0.75)
    masks = Masks([torch.empty(shape, dtype=torch.float64) for shape in shapes], chances)
    with environment.seeded(0):
        ours = [[mask.clone() for mask in masks.draw()] for _ in range(3)]
        end = torch.get_rng_state()
    with environment.seeded(0):
        for drawn in ours:
            for mask, shape, p in zip(drawn, shapes, chances, strict=True):
                expected = masked(mask.numel(), p).view(shape) if p else torch.ones_like(mask)
                assert torch.equal(mask, expected)
        assert torch.equal(torch.get_rng_state(), end)


def head(dropout: float = 0.0) -> Classifier:
    """A classifier of 10 units into 3 classes, in float64."""
    with environment.seeded(0):
        return Classifier(10, hidden=(8, 6), classes=3, dropout=dropout).double()


@pytest.fixture
def codes() -> Tensor:
    """Forty codes of 10 units, half of them 0 in all: float64 [40, 10]."""
    codes = torch.rand(40, 10, generator=seed(1), dtype=torch.float64)
    codes[:, ::2] = 0
    return codes


LABELS = torch.arange(40) % 3


def test_the_classifiers_gradients_are_those_of_autograd(codes: Tensor) -> None:
    """Loss, hits and gradients of a step on the live units are autograd's on all, in float64."""
    classifier, batch = head(), torch.arange(7, 29)
    state = ClassifierTraining(classifier, codes, LABELS, RATE)
    logits = classifier(codes[batch])
    loss = F.cross_entropy(logits, LABELS[batch])
    expected = torch.autograd.grad(loss, list(classifier.parameters()))
    found, right = state.step(batch)
    assert found == pytest.approx(float(loss.detach()), rel=1e-12)
    assert right == int((logits.argmax(dim=1) == LABELS[batch]).sum())
    weights, biases = expected[::2], expected[1::2]
    for ours, theirs in zip(state.gradients, (weights[0][:, 1::2], *weights[1:], *biases), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-15)


def test_dropout_masks_the_gradients_too(codes: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """With given masks, loss and gradients are autograd's of the network with those masks."""
    classifier, batch = head(dropout=0.5), torch.arange(20)
    masks = [(torch.rand(20, n, generator=seed(n)) < 0.5).double() for n in (8, 6)]
    monkeypatch.setattr(Masks, "draw", lambda _: masks)
    state = ClassifierTraining(classifier, codes, LABELS, RATE)
    found, _ = state.step(batch)
    one, two, last = (layer for layer in classifier if isinstance(layer, nn.Linear))
    hidden = F.relu(two(F.relu(one(codes[batch])) * 2 * masks[0])) * 2 * masks[1]
    loss = F.cross_entropy(last(hidden), LABELS[batch])
    assert found == pytest.approx(float(loss.detach()), rel=1e-12)
    expected = torch.autograd.grad(loss, [one.weight, two.weight, last.weight])
    for ours, theirs in zip(state.gradients, (expected[0][:, 1::2], *expected[1:]), strict=False):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_classifiers_step_whose_loss_is_no_number_is_not_taken(codes: Tensor, bad: float) -> None:
    """The loss is given back as it is, no weight moves, and the next step is as if there had been none."""
    codes[3, 1] = bad
    one, other = (ClassifierTraining(head(), codes, LABELS, RATE) for _ in range(2))
    before = [weight.clone() for weight in one.weights]
    loss, right = one.step(torch.arange(5))
    assert not math.isfinite(loss)
    assert right == 0
    assert all(torch.equal(a, b) for a, b in zip(before, one.weights, strict=True))
    assert one.step(torch.arange(5, 12)) == other.step(torch.arange(5, 12))
    assert all(torch.equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))


def test_nothing_of_a_batch_is_left_for_the_next(codes: Tensor) -> None:
    """Steps on batches of changing sizes, in memory that is used again, are those of a new training each."""
    state = ClassifierTraining(head(), codes, LABELS, RATE)
    for start, size in ((0, 9), (9, 4), (13, 9), (22, 1), (23, 9)):
        batch, alone = torch.arange(start, start + size), ClassifierTraining(head(), codes, LABELS, RATE)
        for mine, theirs in zip(alone.weights, state.weights, strict=True):
            mine.copy_(theirs)
        assert state.step(batch) == alone.step(batch)
        assert all(torch.equal(a, b) for a, b in zip(state.gradients, alone.gradients, strict=True))


def test_a_classifier_trains_like_one_on_all_units(codes: Tensor) -> None:
    """Where half the units are 0 in every code, the weights after many steps are those of plain Adam."""
    ours, whole = head(), head()
    start = ours[0].weight.detach().clone() if isinstance(ours[0], nn.Linear) else None
    state, optimizer = (
        ClassifierTraining(ours, codes, LABELS, RATE),
        torch.optim.Adam(whole.parameters(), lr=RATE),
    )
    for steps in batches(40, 7, epochs=8):
        for batch in steps:
            loss = F.cross_entropy(whole(codes[batch]), LABELS[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            assert state.step(batch)[0] == pytest.approx(float(loss.detach()), rel=1e-8)
    state.store()
    for a, b in zip(ours.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)
    first = next(ours.parameters())
    assert start is not None
    assert torch.equal(first[:, ::2], start[:, ::2])
    assert not torch.equal(first[:, 1::2], start[:, 1::2])


def test_only_rectifier_networks_are_taken() -> None:
    """A classifier of another kind is trained whole, by autograd."""
    linear, relu, dropout = nn.Linear(3, 3), nn.ReLU(), nn.Dropout(0.1)

    def block() -> list[nn.Module]:
        return [nn.Linear(3, 3), relu, dropout]

    taken: list[list[nn.Module]] = [[linear], [*block(), linear], [*block(), *block(), linear]]
    left: list[list[nn.Module]] = [
        [linear, relu, dropout, linear],
        [relu, linear],
        [linear, relu, linear],
        [linear, nn.Tanh(), dropout, linear],
        [relu],
        [],
    ]
    assert all(is_rectifier_network(nn.Sequential(*layers)) for layers in taken)
    assert not any(is_rectifier_network(nn.Sequential(*layers)) for layers in left)
    assert not is_rectifier_network(linear)


def test_patience_is_long_enough() -> None:
    """What Adam still moves a unit after `PATIENCE` steps is below half a unit in the last place of 0.03."""
    remaining, ratio = 0.0, 0.9 / math.sqrt(0.999)
    largest = 1e-3 / math.sqrt(1 - 0.999)  # of lr m / sqrt(v): one gradient after a long silence, at most
    for step in range(training.PATIENCE, training.PATIENCE + 1000):
        remaining += largest * 0.1 * ratio**step
    assert remaining < torch.finfo(torch.float32).eps * 0.03 / 2


# mean gradients over many points


class Bent(nn.ReLU):
    """A layer that bends otherwise than relu."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """The sine."""
        return input.sin()


@pytest.fixture
def network() -> PixelClassifier:
    """A network of 30 pixels, 40 units of which 7 are active, and 4 classes, in float64."""
    with environment.seeded(2):
        autoencoder = KSparseAutoencoder(k=7, pixels=30, code_width=40)
        return PixelClassifier(autoencoder, Classifier(40, hidden=(9, 8, 6), classes=4)).double().eval()


def summed(
    network: nn.Module,
    images: Tensor,
    targets: Tensor,
    scales: Tensor,
    shifts: Tensor | None,
    weights: Tensor,
) -> Tensor:
    """The weighted sum of autograd's gradients, image by image and point by point."""
    maps = torch.zeros_like(images)
    for row, (image, target) in enumerate(zip(images, targets, strict=True)):
        for step, (scale, weight) in enumerate(zip(scales, weights, strict=True)):
            point = (scale * image + (0 if shifts is None else shifts[step])).requires_grad_()
            maps[row] += weight * torch.autograd.grad(network(point[None])[0, target], point)[0]
    return maps


@pytest.mark.thorough
@pytest.mark.parametrize("points", [1, 5, 40])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("size", [1, 64, 4096])
def test_mean_gradients_are_those_of_autograd(
    network: PixelClassifier, points: int, shifted: bool, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scaled and shifted, whatever the weights and the blocks, the sums are autograd's, in float64."""
    monkeypatch.setitem(gradients.POINTS, "cpu", size)
    images, targets = torch.rand(23, 30, generator=seed(4), dtype=torch.float64), torch.arange(23) % 4
    scales = torch.linspace(-0.5, 1.5, points, dtype=torch.float64)
    shifts = torch.randn(points, 30, generator=seed(5), dtype=torch.float64) if shifted else None
    weights = torch.rand(points, generator=seed(6), dtype=torch.float64)
    structure = structure_of(network)
    assert structure is not None
    ours = gradients.mean_gradient(structure, images, targets, scales, shifts, weights)
    expected = summed(network, images, targets, scales, shifts, weights)
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bias", [-100.0, 0.0, 100.0])
def test_few_and_many_units_above_zero(network: PixelClassifier, bias: float) -> None:
    """Where no unit is above 0, only some, or all, the sums are autograd's."""
    with torch.no_grad():
        network.autoencoder.encoder.bias[4:] += bias
    images, targets = torch.rand(9, 30, generator=seed(4), dtype=torch.float64), torch.arange(9) % 4
    scales, weights = torch.linspace(0.1, 1, 6).double(), torch.full((6,), 1 / 6, dtype=torch.float64)
    structure = structure_of(network)
    assert structure is not None
    ours = gradients.mean_gradient(structure, images, targets, scales, None, weights)
    torch.testing.assert_close(ours, summed(network, images, targets, scales, None, weights))


def test_whoever_is_active_was_a_candidate(network: PixelClassifier) -> None:
    """Every unit that is among the k at any point is among the candidates, and not every unit is."""
    images = torch.rand(50, 30, generator=seed(4), dtype=torch.float64)
    scales, noise = torch.linspace(0.4, 1, 8).double(), torch.randn(8, 30, generator=seed(5)).double() / 20
    encoder = network.autoencoder.encoder
    offsets = noise @ encoder.weight.T + encoder.bias
    found = gradients._candidates(images @ encoder.weight.T, scales, offsets, k=7)
    for scale, shift in zip(scales, noise, strict=True):
        active = network.autoencoder.encode(scale * images + shift) > 0
        assert not (active & ~found).any()
    assert found.double().mean() < 0.9


def test_images_keep_their_order(network: PixelClassifier) -> None:
    """Images are grouped by class inside, and come back where they stood."""
    images, targets = torch.rand(12, 30, generator=seed(4), dtype=torch.float64), torch.arange(12) % 4
    structure = structure_of(network)
    assert structure is not None
    one = torch.ones(1, dtype=torch.float64)
    together = gradients.mean_gradient(structure, images, targets, one, None, one)
    for row in range(12):
        alone = images[row, None], targets[row, None], one, None, one
        torch.testing.assert_close(together[row, None], gradients.mean_gradient(structure, *alone))


def test_only_a_network_of_this_kind_is_taken(network: PixelClassifier) -> None:
    """A module that is overridden, hooked or of another kind leaves the network to autograd."""
    structure = structure_of(network)
    assert structure is not None
    assert [layer.out_features for layer in structure.layers] == [9, 8, 6, 4]
    assert structure_of(nn.Linear(30, 4)) is None
    autoencoder, head = network.autoencoder, list(network.classifier.children())

    def given(classifier: nn.Module) -> PixelClassifier:
        return PixelClassifier(autoencoder, classifier)

    assert structure_of(given(nn.Sequential(*head))) is not None
    others = (
        nn.Sequential(head[0], nn.Sigmoid(), head[-1]),
        nn.Sequential(head[0], Bent(), head[-1]),
        nn.Sequential(head[0], head[-1]),
        nn.Sequential(head[0]),
        nn.Sequential(*head, nn.ReLU()),
        nn.Sequential(nn.Linear(40, 4, bias=False)),
        nn.Sequential(),
        head[0],
    )
    assert [structure_of(given(other)) for other in others] == [None] * len(others)
    handle = head[0].register_forward_hook(lambda *_: None)
    assert structure_of(network) is None
    handle.remove()
    assert structure_of(network) is not None
    autoencoder.encode = lambda images: images[:, :1].expand(-1, 40)
    assert structure_of(network) is None
    del autoencoder.encode
    autoencoder.encoder = nn.Sequential(autoencoder.encoder)
    assert structure_of(network) is None


def test_dropout_that_keeps_nothing_stops_the_gradient(codes: Tensor) -> None:
    """With p = 1 a step is taken on the last bias alone."""
    state = ClassifierTraining(head(dropout=1.0), codes, LABELS, RATE)
    loss, _ = state.step(torch.arange(20))
    assert math.isfinite(loss)
    assert [bool((gradient != 0).any()) for gradient in state.gradients] == [False] * 5 + [True]
