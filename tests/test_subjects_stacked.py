"""A stack of networks against each of them alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import environment
from harness.errors import TrainingDiverged
from harness.records import Epoch
from harness.subjects import stacked, training
from harness.subjects.models import Classifier, KSparseAutoencoder

N, SEEDS = 22, (3, 4, 5)
RECIPE: dict[str, Any] = dict(epochs=4, batch_size=4, learning_rate=0.01)
INPUTS = torch.rand(N, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(N) % 3


def generators() -> list[torch.Generator]:
    """One for each seed."""
    return [torch.Generator().manual_seed(seed) for seed in SEEDS]


def autoencoder(seed: int) -> KSparseAutoencoder:
    """An autoencoder of 12 pixels and 8 units, of which 3 are active."""
    with environment.seeded(seed):
        return KSparseAutoencoder(k=3, pixels=12, code_width=8).double()


def classifier(seed: int) -> Classifier:
    """A classifier of 12 units into 3 classes, without dropout."""
    with environment.seeded(seed):
        return Classifier(12, hidden=(6, 5), classes=3, dropout=0.0).double()


def stack(models: list[nn.Module], inputs: Tensor = INPUTS, **recipe: Any) -> Iterator[tuple[Epoch, ...]]:
    """The training of the models as one."""
    recipe = RECIPE | recipe
    if isinstance(models[0], KSparseAutoencoder):
        return stacked.train_autoencoders(models, inputs, generators(), **recipe)
    codes = inputs.expand(len(models), *inputs.shape)
    return stacked.train_classifiers(models, codes, LABELS, generators(), **recipe)


def alone(model: nn.Module, generator: torch.Generator) -> list[Epoch]:
    """The training of one of them by itself."""
    if isinstance(model, KSparseAutoencoder):
        return list(training.train_autoencoder(model, INPUTS, generator=generator, **RECIPE))
    return list(training.train_classifier(model, INPUTS, LABELS, generator=generator, **RECIPE))


@pytest.fixture(params=[autoencoder, classifier])
def make(request: pytest.FixtureRequest) -> Callable[[int], nn.Module]:
    """Each of the two networks in turn, by seed."""
    made: Callable[[int], nn.Module] = request.param
    return made


def test_a_stack_trains_each_network_like_a_lone_one(make: Callable[[int], nn.Module]) -> None:
    """In float64, losses, accuracies and weights of each network are those of its training alone."""
    together = [make(seed) for seed in SEEDS]
    log = list(stack(together))
    for number, (seed, generator) in enumerate(zip(SEEDS, generators(), strict=True)):
        lone = make(seed)
        for ours, other in zip((epoch[number] for epoch in log), alone(lone, generator), strict=True):
            assert (ours.stage, ours.epoch, ours.accuracy) == (other.stage, other.epoch, other.accuracy)
            assert ours.loss == pytest.approx(other.loss, rel=1e-9)
        for mine, theirs in zip(together[number].parameters(), lone.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9)


def test_the_networks_of_a_stack_do_not_touch(make: Callable[[int], nn.Module]) -> None:
    """A network's training is the same whoever stands beside it."""
    first = [make(seed) for seed in SEEDS]
    second = [first_seed if number == 1 else make(9) for number, first_seed in enumerate(map(make, SEEDS))]
    log, other = list(stack(first)), list(stack(second))
    assert [epoch[1].loss for epoch in log] == pytest.approx([epoch[1].loss for epoch in other], rel=1e-12)
    assert log[0][0].loss != pytest.approx(other[0][0].loss, rel=1e-6)


def test_dropout_differs_between_the_networks() -> None:
    """Networks of the same weights and the same order of images still drop other units."""
    with environment.seeded(0):
        made = Classifier(12, hidden=(64,), classes=3, dropout=0.5).double()
        same = [made, Classifier(12, hidden=(64,), classes=3, dropout=0.5).double()]
        same[1].load_state_dict(made.state_dict())
        orders = [torch.Generator().manual_seed(1) for _ in same]
        recipe = RECIPE | dict(epochs=1)
        (epoch,) = stacked.train_classifiers(same, INPUTS.expand(2, -1, -1), LABELS, orders, **recipe)
    assert epoch[0].loss != epoch[1].loss


def test_a_stack_trains_in_training_mode_and_ends_in_evaluation(make: Callable[[int], nn.Module]) -> None:
    """Each network is in training while its epochs pass, and holds its weights after each of them."""
    models = [make(seed).eval() for seed in SEEDS]
    before = [next(model.parameters()).detach().clone() for model in models]
    epochs = stack(models)
    next(epochs)
    assert all(model.training for model in models)
    assert not any(torch.equal(next(m.parameters()), b) for m, b in zip(models, before, strict=True))
    list(epochs)
    assert not any(model.training for model in models)


def test_the_network_that_diverges_is_named() -> None:
    """The error tells which network of the stack it was, and at which step."""
    models: list[nn.Module] = [autoencoder(seed) for seed in SEEDS]
    nn.init.constant_(next(models[1].parameters()), torch.nan)
    with pytest.raises(TrainingDiverged, match=r"autoencoder 2 of 3.*nan.*epoch 1, step 1\b"):
        list(stack(models))


def test_images_that_are_no_numbers_stop_at_their_step() -> None:
    """The step is that of the batch which holds the image."""
    inputs = INPUTS.clone()
    inputs[7] = torch.inf
    order = torch.randperm(N, generator=torch.Generator().manual_seed(SEEDS[0])).tolist()
    step = order.index(7) // RECIPE["batch_size"] + 1
    with pytest.raises(TrainingDiverged, match=rf"autoencoder: .*epoch 1, step {step}\b"):
        list(stacked.train_autoencoders([autoencoder(3)], inputs, generators()[:1], **RECIPE))


def test_a_step_that_diverges_is_not_taken(make: Callable[[int], nn.Module]) -> None:
    """All models hold the weights of the steps before it, also those whose own losses go on."""
    orders = [torch.randperm(N, generator=one).tolist() for one in generators()]
    first, image = max((min(order.index(image) for order in orders), image) for image in range(N))
    steps = first // RECIPE["batch_size"]
    assert steps > 1
    inputs = INPUTS.clone()
    inputs[image] = torch.inf
    models = [make(seed) for seed in SEEDS]
    with pytest.raises(TrainingDiverged, match=rf"epoch 1, step {steps + 1}\b"):
        list(stack(models, inputs))
    # the same steps by themselves: the images of the first batches, in their order
    for model, seed, order in zip(models, SEEDS, orders, strict=True):
        before, count = make(seed), steps * RECIPE["batch_size"]
        optimizer = torch.optim.Adam(before.parameters(), lr=RECIPE["learning_rate"], foreach=False)
        for batch in torch.tensor(order[:count]).split(RECIPE["batch_size"]):
            optimizer.zero_grad()
            if isinstance(before, KSparseAutoencoder):
                loss = (before(inputs[batch]) - inputs[batch]).square().mean()
            else:
                loss = nn.functional.cross_entropy(before(inputs[batch]), LABELS[batch])
            loss.backward()
            optimizer.step()
        for mine, theirs in zip(model.parameters(), before.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_weights_are_written_back_when_training_is_broken_off(
    make: Callable[[int], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error or an interrupt inside an epoch leaves the steps taken so far in the models."""
    true = stacked.recorded

    def interrupted(step: stacked.Step, device: torch.device) -> stacked.Step:
        take, taken = true(step, device), []

        def third_fails(batch: Tensor) -> Tensor:
            taken.append(batch)
            if len(taken) == 3:
                raise KeyboardInterrupt
            return take(batch)

        return third_fails

    monkeypatch.setattr(stacked, "recorded", interrupted)
    models = [make(seed) for seed in SEEDS]
    before = [next(model.parameters()).detach().clone() for model in models]
    with pytest.raises(KeyboardInterrupt):
        list(stack(models))
    assert not any(torch.equal(next(m.parameters()), b) for m, b in zip(models, before, strict=True))


class Wrapped(nn.Module):
    """A network around another."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner


def frozen() -> nn.Module:
    model = autoencoder(3)
    model.decoder.weight.requires_grad_(False)
    return model


def replaced() -> nn.Module:
    model = autoencoder(3)
    model.encoder = nn.Sequential(model.encoder)  # type: ignore[assignment]
    return model


def overridden() -> nn.Module:
    model = autoencoder(3)
    model.encode = lambda images: images  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize("other", [frozen, replaced, overridden, lambda: Wrapped(autoencoder(3))])
def test_an_autoencoder_of_another_kind_is_refused(other: Callable[[], nn.Module]) -> None:
    """What the batched step does not compute is not trained as something else; the error says what it got."""
    with pytest.raises(TypeError, match=r"k-sparse ones as written \(got \w+ of "):
        stacked.train_autoencoders([other()], INPUTS, generators()[:1], **RECIPE)


@pytest.mark.parametrize(
    "other",
    [
        lambda: nn.Sequential(nn.Linear(12, 3), nn.Tanh()),
        lambda: nn.Sequential(nn.BatchNorm1d(12), nn.Linear(12, 3)),
        lambda: nn.Linear(12, 3),
        lambda: Wrapped(classifier(3)),
    ],
)
def test_a_classifier_of_another_kind_is_refused(other: Callable[[], nn.Module]) -> None:
    """Likewise, before any step."""
    with pytest.raises(TypeError, match="linear layers, relu and dropout in a row"):
        stacked.train_classifiers([other()], INPUTS[None], LABELS, generators()[:1], **RECIPE)


@pytest.mark.parametrize(
    "other", [KSparseAutoencoder(k=2, pixels=12, code_width=8), KSparseAutoencoder(3, 12, 9)]
)
def test_models_of_a_stack_are_alike(other: nn.Module) -> None:
    """Another k or another width does not fit beside the rest."""
    with pytest.raises(ValueError, match="differ in nothing but their weights"):
        stacked.train_autoencoders([autoencoder(3), other.double()], INPUTS, generators()[:2], **RECIPE)


def test_layers_in_any_order_are_trained() -> None:
    """A row of layers that is not the shipped one, its relu there twice, trains as it does alone."""
    with environment.seeded(0):
        relu = nn.ReLU()
        model = nn.Sequential(
            nn.Linear(12, 6), nn.Linear(6, 6), relu, nn.Dropout(0.0), relu, nn.Linear(6, 3)
        ).double()
    other = copy.deepcopy(model)
    list(stacked.train_classifiers([model], INPUTS[None], LABELS, generators()[:1], **RECIPE))
    order, optimizer = generators()[0], torch.optim.Adam(other.parameters(), lr=0.01, foreach=False)
    for _ in range(RECIPE["epochs"]):
        for batch in torch.randperm(N, generator=order).split(RECIPE["batch_size"]):
            optimizer.zero_grad()
            nn.functional.cross_entropy(other(INPUTS[batch]), LABELS[batch]).backward()
            optimizer.step()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.gpu
def test_recorded_steps_train_like_those_taken_one_by_one(make: Callable[[int], nn.Module]) -> None:
    """On a GPU the recorded graph, with a short last batch in each epoch, gives the CPU's training."""
    there, here = ([make(seed) for seed in SEEDS] for _ in range(2))
    log = list(stack([model.to("cuda") for model in there], INPUTS.to("cuda")))
    for ours, other in zip(log, stack(here), strict=True):
        assert [one.loss for one in ours] == pytest.approx([one.loss for one in other], rel=1e-6)
    for model, same in zip(there, here, strict=True):
        for mine, theirs in zip(model.parameters(), same.parameters(), strict=True):
            torch.testing.assert_close(mine.cpu(), theirs, rtol=1e-5, atol=1e-7)
