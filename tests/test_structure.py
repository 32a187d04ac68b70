"""Networks that are not what they seem: explained and trained as what they are, or refused."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

import harness
from harness import environment
from harness.attributions import explain, sanity
from harness.errors import InputError, TrainingDiverged
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier
from harness.subjects.sparse import gradients
from harness.subjects.sparse.structure import (
    FastPathRefused,
    Structure,
    few,
    holds,
    is_rectifier_network,
    is_sparse_autoencoder,
    kinks,
    structure_of,
)

N, PIXELS, WIDTH, CLASSES = 10, 12, 10, 3
IMAGES = torch.rand(N, PIXELS, generator=torch.Generator().manual_seed(4))
LABELS = torch.arange(N) % CLASSES
RECIPE: dict[str, Any] = dict(batch_size=4, learning_rate=0.01)


def network() -> PixelClassifier:
    """A network as the harness writes it."""
    with environment.seeded(0):
        head = Classifier(WIDTH, hidden=(7, 6), classes=CLASSES)
        return PixelClassifier(KSparseAutoencoder(3, PIXELS, WIDTH), head).eval()


class Scaled(nn.Dropout):
    """Dropout of one's own, that acts in evaluation too."""

    def forward(self, values: Tensor) -> Tensor:
        return values * torch.linspace(0, 1, values.shape[-1]).to(values)


class Bent(nn.Linear):
    """A linear layer that is none."""

    def forward(self, values: Tensor) -> Tensor:
        return super().forward(values).tanh()


class Backwards(nn.Sequential):
    """Runs its hidden layers in another order than they stand in."""

    def forward(self, values: Tensor) -> Tensor:
        first, *others, last = self
        for layer in (first, *reversed(others), last):
            values = layer(values)
        return values


class Doubled(nn.Module):
    """A parametrisation: the weight is twice what is trained."""

    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


class Named(KSparseAutoencoder):
    """A subclass that takes all units."""

    def encode(self, images: Tensor) -> Tensor:
        activations: Tensor = self.encoder(images)
        return activations.relu()


Change = Callable[[Any], object]


def _replace_dropout(model: Any) -> None:
    model.classifier[2] = Scaled()


def _hidden_tanh(model: Any) -> None:
    model.classifier[1] = nn.Tanh()


def _shared(model: Any) -> None:
    square = nn.Linear(7, 7)
    model.classifier = nn.Sequential(
        nn.Linear(WIDTH, 7), nn.ReLU(), square, nn.ReLU(), square, nn.ReLU(), nn.Linear(7, CLASSES)
    )


def _tied(model: Any) -> None:
    model.autoencoder.decoder.weight = nn.Parameter(model.autoencoder.encoder.weight.detach().T)


def _patched_call(model: Any) -> None:
    model.classifier[0].forward = lambda values: F.linear(values, model.classifier[0].weight) * 2


def _without_bias(model: Any) -> None:
    model.autoencoder.encoder = nn.Linear(PIXELS, WIDTH, bias=False)


def _own_encoder(model: Any) -> None:
    model.autoencoder.encoder = Bent(PIXELS, WIDTH)


def _subclass(model: Any) -> None:
    other = Named(3, PIXELS, WIDTH)
    other.load_state_dict(model.autoencoder.state_dict())
    model.autoencoder = other


def _batch_norm(model: Any) -> None:
    model.classifier = nn.Sequential(
        nn.Linear(WIDTH, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.1), nn.Linear(7, CLASSES)
    )


def _backwards(model: Any) -> None:
    model.classifier = Backwards(nn.Linear(WIDTH, 7), nn.ReLU(), nn.Linear(7, 7), nn.Linear(7, CLASSES))


CHANGES: dict[str, Change] = {
    "dropout of one's own": _replace_dropout,
    "another nonlinearity": _hidden_tanh,
    "a layer that stands in two places": _shared,
    "tied weights": _tied,
    "a method replaced on the layer": _patched_call,
    "an encoder without bias": _without_bias,
    "an encoder of one's own": _own_encoder,
    "a subclass": _subclass,
    "batch normalisation": _batch_norm,
    "layers in another order": _backwards,
    "a forward hook": lambda m: m.classifier[0].register_forward_hook(lambda *a: a[-1] * 2),
    "a hook before": lambda m: m.classifier[0].register_forward_pre_hook(lambda _, x: (x[0] * 2,)),
    "a hook on the whole": lambda m: m.register_forward_hook(lambda *a: a[-1] * 2),
    "a hook on the gradient": lambda m: m.classifier[3].register_full_backward_hook(
        lambda _, given, __: (given[0] * 2,)
    ),
    "a parametrised encoder": lambda m: parametrize.register_parametrization(
        m.autoencoder.encoder, "weight", Doubled()
    ),
    "a parametrised layer": lambda m: parametrize.register_parametrization(
        m.classifier[0], "weight", Doubled()
    ),
    "weight normalisation": lambda m: parametrizations.weight_norm(m.classifier[3]),
    "pruned weights": lambda m: prune.l1_unstructured(m.classifier[0], "weight", amount=0.5),
    "more units than there are": lambda m: setattr(m.autoencoder, "k", WIDTH),
    "a hook that only looks": lambda m: m.classifier[6].register_forward_pre_hook(lambda _, x: (x[0],)),
}
"""What people do to a network, by name."""


@contextmanager
def _everywhere(kind: type, name: str, other: Callable[..., Any]) -> Iterator[None]:
    """A method replaced on the class."""
    true = getattr(kind, name)
    setattr(kind, name, other)
    try:
        yield
    finally:
        setattr(kind, name, true)


def _all_units(self: KSparseAutoencoder, images: Tensor) -> Tensor:
    return torch.relu(self.encoder(images))


@contextmanager
def _global_hook() -> Iterator[None]:
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda module, _, output: output * 2 if isinstance(module, nn.Linear) else None
    )
    try:
        yield
    finally:
        handle.remove()


SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "encode replaced on the class": lambda: _everywhere(KSparseAutoencoder, "encode", _all_units),
    "a layer's forward replaced on the class": lambda: _everywhere(
        nn.Linear, "forward", lambda self, x: 2 * F.linear(x, self.weight, self.bias)
    ),
    "a global hook": _global_hook,
}
"""What people do to every network at once."""


def by_autograd(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Gradient times input, the plain way."""
    leaves = images.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(leaves).gather(1, targets[:, None]).sum(), leaves)
    return (slope * leaves).detach()


def assert_explained(model: nn.Module) -> None:
    """Assert that gradients, along the path and at noisy copies too, are those of this very model."""
    methods = ["gradients", "integrated_gradients", "smoothgrad"]
    maps = explain(model, IMAGES, LABELS, methods, attribution_steps=3, smoothgrad_samples=2)
    torch.testing.assert_close(maps["gradients"], by_autograd(model, IMAGES, LABELS))
    path = sum(by_autograd(model, IMAGES * (step + 0.5) / 3, LABELS) / (step + 0.5) for step in range(3))
    torch.testing.assert_close(maps["integrated_gradients"], torch.as_tensor(path))


@pytest.mark.parametrize("name", CHANGES)
def test_maps_are_the_models_own(name: str) -> None:
    """Whatever was done to a network, its maps are of the function that it computes."""
    model = network()
    CHANGES[name](model)
    assert_explained(model.eval())


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_maps_are_the_models_own_whatever_surrounds_it(name: str) -> None:
    """A method replaced on a class, or a hook on all modules, is part of what is explained."""
    model = network()
    with SURROUNDINGS[name]():
        assert_explained(model)
        assert structure_of(model) is None
    assert structure_of(model) is not None


def train(model: PixelClassifier, epochs: int = 3) -> tuple[list[Any], list[Any]]:
    """Both trainings, the classifier on random codes; the records."""
    order = torch.Generator().manual_seed(1)
    codes = torch.rand(N, WIDTH, generator=torch.Generator().manual_seed(5))
    with environment.seeded(0):
        first = harness.train_autoencoder(model.autoencoder, IMAGES, epochs=epochs, generator=order, **RECIPE)
        second = harness.train_classifier(
            model.classifier, codes, LABELS, epochs=epochs, generator=order, **RECIPE
        )
        return list(first), list(second)


def trained_plainly(model: PixelClassifier, epochs: int = 3) -> None:
    """The same recipe by autograd and torch's Adam, written out."""
    order = torch.Generator().manual_seed(1)
    codes = torch.rand(N, WIDTH, generator=torch.Generator().manual_seed(5))
    model.train()
    with environment.seeded(0):
        for part, inputs in ((model.autoencoder, IMAGES), (model.classifier, codes)):
            optimizer = torch.optim.Adam(part.parameters(), lr=RECIPE["learning_rate"])
            for _ in range(epochs):
                for batch in torch.randperm(N, generator=order).split(RECIPE["batch_size"]):
                    optimizer.zero_grad()
                    outputs = part(inputs[batch])
                    if part is model.autoencoder:
                        loss = F.mse_loss(outputs, inputs[batch])
                    else:
                        loss = F.cross_entropy(outputs, LABELS[batch])
                    loss.backward()
                    optimizer.step()
    model.eval()


@pytest.mark.parametrize("name", CHANGES)
def test_training_is_the_models_own(name: str) -> None:
    """Whatever was done to a network, its state after training is that of the same recipe written out.

    Without dropout, whose draws are each path's own.
    """
    model = network()
    CHANGES[name](model)
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    if name == "a hook on the whole":  # neither part has it
        return
    # a copy would have hooks and replaced methods of the first
    start = copy.deepcopy(model.state_dict())
    train(model)
    found = copy.deepcopy(model.state_dict())
    model.load_state_dict(start)
    trained_plainly(model)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "frozen", ["autoencoder.encoder.weight", "autoencoder.decoder.bias", "classifier.0.weight"]
)
def test_what_is_frozen_stays(frozen: str) -> None:
    """A parameter that requires no gradient is as it was, and the others are trained."""
    model = network()
    parameter = model.get_parameter(frozen).requires_grad_(False)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    train(model)
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert moved == set(before) - {frozen}
    assert not parameter.requires_grad


def test_a_hook_on_a_parameters_gradient_is_obeyed() -> None:
    """Half of a weight is kept from moving by its own hook."""
    model = network()
    weight = model.autoencoder.encoder.weight
    mask = torch.zeros_like(weight)
    mask[::2] = 1
    weight.register_hook(lambda slope: slope * mask)
    before = weight.detach().clone()
    train(model)
    assert torch.equal(weight[1::2], before[1::2])
    assert not torch.equal(weight[::2], before[::2])


def test_a_running_mean_is_the_models_in_evaluation() -> None:
    """What is reported is near what the trained network does in evaluation."""
    model: Any = network()
    _batch_norm(model)
    train(model, epochs=30)
    norm = model.classifier[1]
    assert float(norm.running_mean.abs().max()) > 0
    assert int(norm.num_batches_tracked) == 30 * 3


def test_a_step_that_diverges_leaves_the_running_mean() -> None:
    """Buffers are those of the last step that was taken."""
    model = network()
    _batch_norm(model)
    before = copy.deepcopy(model.classifier.state_dict())
    codes = torch.full((N, WIDTH), torch.nan)
    with pytest.raises(TrainingDiverged):
        list(
            harness.train_classifier(
                model.classifier, codes, LABELS, epochs=1, generator=torch.Generator(), **RECIPE
            )
        )
    after = model.classifier.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


# the proof


@pytest.fixture
def dishonest(monkeypatch: pytest.MonkeyPatch) -> PixelClassifier:
    """A network that the predicate takes for one of the harness's own, and that computes something else."""
    true = F.relu
    monkeypatch.setattr(F, "relu", lambda values, inplace=False: true(values, inplace=inplace) * 1.5)
    return network()


def test_a_fast_path_that_is_wrong_is_found_by_asking(dishonest: PixelClassifier) -> None:
    """The predicate lists what is known; the rest is found at the call's own images, and said."""
    assert structure_of(dishonest) is not None
    with pytest.warns(FastPathRefused, match="something else"):
        maps = explain(dishonest, IMAGES, LABELS, "gradients")["gradients"]
    torch.testing.assert_close(maps, by_autograd(dishonest, IMAGES, LABELS))


def test_a_fast_training_that_is_wrong_is_found_by_a_step(dishonest: PixelClassifier) -> None:
    """Both trainings take the general path then, and report the losses of the network itself."""
    start = copy.deepcopy(dishonest)
    with pytest.warns(FastPathRefused):
        first, _ = train(dishonest, epochs=1)
    losses = [F.mse_loss(start.autoencoder(IMAGES), IMAGES).item()]
    trained_plainly(start, epochs=1)
    losses.append(F.mse_loss(start.autoencoder(IMAGES), IMAGES).item())
    torch.testing.assert_close(dishonest.autoencoder.encoder.weight, start.autoencoder.encoder.weight)
    assert min(losses) < first[0].loss < max(losses)


@pytest.mark.parametrize("probe", ["curves", "integrity"])
def test_probes_ask_too(dishonest: PixelClassifier, probe: str) -> None:
    """Deletion, insertion and the identities are of the network itself."""
    if probe == "curves":
        with pytest.warns(FastPathRefused):
            deletion, _ = sanity.curves(dishonest, IMAGES, LABELS, {"image": IMAGES})
        expected = dishonest(IMAGES).softmax(dim=1).gather(1, LABELS[:, None])[:, 0]
        torch.testing.assert_close(deletion[0, :, 0], expected.detach())
    else:
        maps = by_autograd(dishonest, IMAGES, LABELS) / IMAGES
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FastPathRefused)
            answers = harness.attributions.identity_errors(
                dishonest, IMAGES, LABELS, maps, "gradients", seed=0
            )
        assert answers is not None
        assert float(answers.errors.median()) < 1e-3


def test_an_honest_network_is_believed_without_a_word() -> None:
    """Neither explaining nor training warns, and the fast path is taken."""
    model = network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gradients.believed(model, IMAGES, LABELS) is not None
        train(model)


def test_weights_that_are_no_numbers_are_left_to_autograd() -> None:
    """So that every NaN shows."""
    model = network()
    with torch.no_grad():
        model.autoencoder.encoder.weight[0] = torch.nan
    assert gradients.believed(model, IMAGES, LABELS) is None


def test_ties_are_excused_and_nothing_else() -> None:
    """Where rounding decides, the two paths may differ; where they differ everywhere, nothing is believed."""
    yes, no = torch.tensor([True, True]), torch.tensor([True, False])
    assert holds(yes, lambda: pytest.fail("asked without need"))
    assert holds(no, lambda: ~no)
    assert not holds(~yes, lambda: yes)
    assert not holds(yes[:0], lambda: yes[:0])
    with pytest.warns(FastPathRefused):
        assert not holds(no, lambda: torch.tensor([True, False]))


def test_a_choice_that_rounding_decides_is_undecided() -> None:
    """The k-th and the next unit equal, a hidden unit at 0, fewer than k units above 0 and one at 0."""
    encoder = nn.Linear(2, 3)
    with torch.no_grad():
        encoder.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
        encoder.bias.zero_()
    structure = Structure(encoder, 1, [])
    points = torch.tensor([[0.5, 0.5], [0.5, 0.4], [0.5, 0.499999], [-0.5, -0.4]])
    assert structure.undecided(points).tolist() == [True, False, True, False]
    assert kinks([encoder, nn.Linear(3, 1)], torch.tensor([[0.5, 0.0], [0.5, 0.4]])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("n", "places"), [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (200, [0, 100, 199])]
)
def test_the_first_the_last_and_the_middle_are_asked(n: int, places: list[int]) -> None:
    """However many there are."""
    assert few(n) == places


def test_only_what_is_trained_as_written_is_trained_fast() -> None:
    """Frozen or hooked parameters, and what is in two places, are left to autograd."""
    model = network()
    assert is_sparse_autoencoder(model.autoencoder)
    assert is_rectifier_network(model.classifier)
    handle = model.autoencoder.encoder.weight.register_hook(lambda slope: slope)
    assert not is_sparse_autoencoder(model.autoencoder)
    handle.remove()
    model.classifier.get_submodule("3").requires_grad_(False)
    assert not is_rectifier_network(model.classifier)
    assert structure_of(model) is not None, "explaining needs no trainable weights"
    with pytest.raises(InputError, match="frozen"):
        harness.train_classifier(
            model.classifier.requires_grad_(False),
            torch.rand(N, WIDTH),
            LABELS,
            epochs=1,
            generator=torch.Generator(),
            **RECIPE,
        )


# between two epochs


def after_each(model: nn.Module, change: Callable[[], None], epochs: int, order: int = 1) -> list[float]:
    """The losses of a training in which somebody changes the model after each epoch."""
    generator = torch.Generator().manual_seed(order)
    if isinstance(model, KSparseAutoencoder):
        log = harness.train_autoencoder(model, IMAGES, epochs=epochs, generator=generator, **RECIPE)
    else:
        codes = torch.rand(N, WIDTH, generator=torch.Generator().manual_seed(5))
        log = harness.train_classifier(model, codes, LABELS, epochs=epochs, generator=generator, **RECIPE)
    losses = []
    for epoch in log:
        losses.append(epoch.loss)
        change()
    return losses


@pytest.mark.thorough
@pytest.mark.parametrize("through_data", [False, True])
def test_weights_that_are_changed_between_epochs_count(through_data: bool) -> None:
    """Atoms that are normalised after each epoch are trained on as they are then, by either path."""

    def normalised(model: KSparseAutoencoder) -> list[float]:
        def change() -> None:
            weight = model.decoder.weight.data if through_data else model.decoder.weight
            with torch.no_grad():
                weight.div_(weight.norm(dim=0, keepdim=True))

        return after_each(model, change, epochs=260)  # long enough for units to sleep

    fast, plain = network().autoencoder, network().autoencoder
    plain.register_forward_hook(lambda *_: None)
    assert normalised(fast) == pytest.approx(normalised(plain), rel=1e-3)


def test_a_classifiers_weights_that_are_changed_between_epochs_count() -> None:
    """They are those that the next epoch starts from."""

    def scaled(head: Any) -> list[float]:
        for part in head:
            if isinstance(part, nn.Dropout):
                part.p = 0.0

        def change() -> None:
            with torch.no_grad():
                head[0].weight.mul_(0.5)

        return after_each(head, change, epochs=5)

    fast, plain = network().classifier, network().classifier
    plain.register_forward_hook(lambda *_: None)
    assert scaled(fast) == pytest.approx(scaled(plain), rel=1e-3)


@pytest.mark.parametrize("part", ["autoencoder", "classifier"])
def test_a_model_that_is_frozen_or_hooked_between_epochs_is_refused(part: str) -> None:
    """It would not be trained as it says; the message says how to do it."""
    for change in (
        lambda model: next(model.parameters()).requires_grad_(False),
        lambda model: model.register_forward_hook(lambda *_: None),
    ):
        model: Any = getattr(network(), part)
        with pytest.raises(InputError, match="between two epochs"):
            after_each(model, lambda model=model, change=change: change(model), epochs=3)  # type: ignore[misc]


def test_what_a_caller_gathered_stays() -> None:
    """Gradients that stand in the parameters are there afterwards, whichever path trained them."""
    for hooked in (False, True):
        model = network().autoencoder
        if hooked:
            model.register_forward_hook(lambda *_: None)
        gathered = torch.ones_like(model.encoder.weight)
        model.encoder.weight.grad = gathered
        after_each(model, lambda: None, epochs=1)
        assert model.encoder.weight.grad is gathered
        assert torch.equal(gathered, torch.ones_like(gathered))


def test_a_frozen_part_in_evaluation_stays_there() -> None:
    """A frozen running mean that its owner put into evaluation does not move."""
    model: Any = network()
    _batch_norm(model)
    norm = model.classifier[1].requires_grad_(False).eval()
    norm.running_mean.fill_(0.25)
    after_each(model.classifier, lambda: None, epochs=2)
    assert torch.equal(norm.running_mean, torch.full_like(norm.running_mean, 0.25))


class Merging(nn.Linear):
    """A layer that folds its update into the weight in evaluation, and out again in training."""

    merged = False

    def train(self, mode: bool = True) -> Merging:
        if self.merged == mode:
            with torch.no_grad():
                self.weight.mul_(0.5 if mode else 2.0)
            self.merged = not mode
        return super().train(mode)


def test_a_layer_that_does_more_than_switch_its_mode_comes_back() -> None:
    """Explaining asks each part to go back by its own method."""
    model: Any = nn.Sequential(Merging(PIXELS, 5), nn.ReLU(), nn.Linear(5, CLASSES)).train()
    before = model[0].weight.detach().clone()
    explain(model, IMAGES, LABELS, "gradients")
    assert model[0].training
    assert torch.equal(model[0].weight, before)


def test_codes_that_are_all_zero_train_the_biases() -> None:
    """An autoencoder all of whose units are dead leaves a classifier that learns the classes' shares."""
    head = network().classifier
    log = list(
        harness.train_classifier(
            head, torch.zeros(N, WIDTH), 0 * LABELS, epochs=20, generator=torch.Generator(), **RECIPE
        )
    )
    assert log[-1].loss < log[0].loss


class Without(nn.Module):
    """A model that computes its logits without a gradient."""

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return images[:, :CLASSES] * 2


def test_a_model_without_a_gradient_is_refused_in_a_sentence() -> None:
    """So is one whose logits do not come from its inputs; a layer that changes them in place is none."""
    for model in (Without(), nn.Sequential(nn.Linear(PIXELS, CLASSES), Without())):
        with pytest.raises(InputError, match="no gradient"):
            explain(model, IMAGES, LABELS, "gradients")
    inplace: Any = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(PIXELS, CLASSES))
    maps = explain(inplace, IMAGES, LABELS, "gradients")["gradients"]
    torch.testing.assert_close(maps, IMAGES * inplace[1].weight.detach()[LABELS])
