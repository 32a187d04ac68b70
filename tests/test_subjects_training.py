"""The loops against a literal one of torch's operations, and weights on disk that must not be taken."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import datasets, environment
from harness.errors import CheckpointError, TrainingDiverged
from harness.records import Epoch
from harness.subjects import training
from harness.subjects.models import Classifier, KSparseAutoencoder
from harness.subjects.training import load_weights, train_autoencoder, train_classifier

N, BATCH = 11, 4
"""Images of the tiny problem, and how many a step takes: the last batch of an epoch is short."""

LITERAL_RATE = 0.01


def seed(number: int) -> torch.Generator:
    """A generator that starts there."""
    return torch.Generator().manual_seed(number)


@pytest.fixture
def images() -> Tensor:
    """Images of uniform noise, float64 [11, 6]."""
    return torch.rand(N, 6, generator=seed(0), dtype=torch.float64)


@pytest.fixture
def codes() -> Tensor:
    """Codes of uniform noise, float64 [11, 5]."""
    return torch.rand(N, 5, generator=seed(1), dtype=torch.float64)


@pytest.fixture
def labels() -> Tensor:
    """Classes in 0..2, int64 [11]."""
    return torch.randint(3, (N,), generator=seed(2))


@pytest.fixture
def autoencoder() -> KSparseAutoencoder:
    """An untrained autoencoder of 6 pixels and 5 units, of which 2 are active, in float64."""
    with environment.seeded(0):
        return KSparseAutoencoder(k=2, pixels=6, code_width=5).double()


@pytest.fixture
def classifier() -> Classifier:
    """An untrained classifier of 5 units into 3 classes, in float64 and without dropout."""
    with environment.seeded(0):
        return Classifier(5, hidden=(4,), classes=3, dropout=0.0).double()


class Stage:
    """One of the two trainings on its tiny problem, so that what holds for both is tested on both."""

    def __init__(self, name: str, model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
        self.name, self.model, self.inputs, self.labels = name, model, inputs, labels

    def train(
        self, epochs: int = 2, rate: float = LITERAL_RATE, batch: int = BATCH, order: int = 5
    ) -> list[Epoch]:
        """All records of a training, the orders drawn from the seed `order`."""
        return list(self.start(epochs, rate, batch, order))

    def start(self, epochs: int, rate: float, batch: int, order: int) -> Iterator[Epoch]:
        """The records of a training, one by one."""
        recipe: dict[str, Any] = dict(
            epochs=epochs, batch_size=batch, learning_rate=rate, generator=seed(order)
        )
        if isinstance(self.model, KSparseAutoencoder):
            return train_autoencoder(self.model, self.inputs, **recipe)
        return train_classifier(self.model, self.inputs, self.labels, **recipe)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the weights as they are."""
        return {name: value.clone() for name, value in self.model.state_dict().items()}


@pytest.fixture(params=["autoencoder", "classifier"])
def stage(
    request: pytest.FixtureRequest,
    autoencoder: KSparseAutoencoder,
    classifier: Classifier,
    images: Tensor,
    codes: Tensor,
    labels: Tensor,
) -> Stage:
    """Each of the two trainings in turn."""
    if request.param == "autoencoder":
        return Stage("autoencoder", autoencoder, images, labels)
    return Stage("classifier", classifier, codes, labels)


def same(weights: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    """Whether two state dicts are equal to the last bit."""
    return weights.keys() == others.keys() and all(
        torch.equal(weights[name], others[name]) for name in weights
    )


# the loops


def literally(
    weights: Sequence[Tensor], loss: Callable[[Sequence[Tensor], Tensor], Tensor], epochs: int
) -> tuple[list[float], list[Tensor]]:
    """Mean losses of epochs of Adam (Kingma and Ba 2015, algorithm 1), and the last weights."""
    weights = [weight.detach().clone() for weight in weights]
    first = [torch.zeros_like(weight) for weight in weights]
    second = [torch.zeros_like(weight) for weight in weights]
    generator, t, means = seed(5), 0, []
    for _ in range(epochs):
        order, total = torch.randperm(N, generator=generator), 0.0
        for batch in (order[0:4], order[4:8], order[8:11]):
            leaves = [weight.requires_grad_() for weight in weights]
            value = loss(leaves, batch)
            slopes = torch.autograd.grad(value, leaves)
            total, t = total + float(value.detach()) * len(batch), t + 1
            for i, slope in enumerate(slopes):
                first[i] = 0.9 * first[i] + 0.1 * slope
                second[i] = 0.999 * second[i] + 0.001 * slope**2
                step = (first[i] / (1 - 0.9**t)) / ((second[i] / (1 - 0.999**t)).sqrt() + 1e-8)
                weights[i] = weights[i].detach() - LITERAL_RATE * step
        means.append(total / N)
    return means, [weight.detach() for weight in weights]


def test_the_autoencoder_trains_like_a_literal_loop(autoencoder: KSparseAutoencoder, images: Tensor) -> None:
    """Losses and weights are those of Adam on the mean squared error a pixel, written out."""

    def squared_error(weights: Sequence[Tensor], batch: Tensor) -> Tensor:
        encode, bias, decode, shift = weights
        activations = (images[batch] @ encode.T + bias).clamp(min=0)
        second_largest = activations.sort(dim=1, descending=True).values[:, 1:2]
        z = activations * (activations >= second_largest)
        return ((z @ decode.T + shift - images[batch]) ** 2).mean()

    losses, weights = literally(list(autoencoder.parameters()), squared_error, epochs=3)
    log = Stage("autoencoder", autoencoder, images, images).train(epochs=3)
    assert [epoch.loss for epoch in log] == pytest.approx(losses, rel=1e-10)
    for ours, literal in zip(autoencoder.parameters(), weights, strict=True):
        torch.testing.assert_close(ours.detach(), literal, rtol=1e-8, atol=1e-10)


def test_the_classifier_trains_like_a_literal_loop(
    classifier: Classifier, codes: Tensor, labels: Tensor
) -> None:
    """Losses and weights are those of Adam on the negative log-probability of the label, written out."""

    def surprise(weights: Sequence[Tensor], batch: Tensor) -> Tensor:
        hidden, bias, last, shift = weights
        logits = (codes[batch] @ hidden.T + bias).clamp(min=0) @ last.T + shift
        probabilities = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
        return -torch.stack(
            [p[label].log() for p, label in zip(probabilities, labels[batch], strict=True)]
        ).mean()

    losses, weights = literally(list(classifier.parameters()), surprise, epochs=3)
    log = Stage("classifier", classifier, codes, labels).train(epochs=3)
    assert [epoch.loss for epoch in log] == pytest.approx(losses, rel=1e-10)
    for ours, literal in zip(classifier.parameters(), weights, strict=True):
        torch.testing.assert_close(ours.detach(), literal, rtol=1e-8, atol=1e-10)


def test_each_epoch_takes_each_image_once_in_a_new_order(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch's batches are full but for the last, hold every image once, and come in another order."""
    seen: list[Tensor] = []
    taken = Tensor.index_select

    def seeing(self: Tensor, dim: int, index: Tensor) -> Tensor:
        if len(self) == N:
            seen.append(index)
        return taken(self, dim, index)

    monkeypatch.setattr(Tensor, "index_select", seeing)
    stage.train(epochs=3)
    batches = [batch for batch in seen if batch.dtype == torch.int64 and len(batch) <= BATCH]
    assert [len(batch) for batch in batches] == [4, 4, 3] * 3
    orders = torch.cat(batches).reshape(3, N).tolist()
    assert [sorted(order) for order in orders] == [list(range(N))] * 3
    assert len({tuple(order) for order in orders}) == 3


@pytest.mark.parametrize("batch", [1, 3, 4, 10, 11, 50])
def test_the_loss_of_an_epoch_is_the_mean_over_its_images(stage: Stage, batch: int) -> None:
    """Whatever the batches, the epoch's loss is the mean over images: a short batch weighs by its size."""
    with torch.no_grad():
        outputs = stage.model(stage.inputs)
    if stage.name == "autoencoder":
        expected = float((outputs - stage.inputs).square().mean())
    else:
        expected = -float(outputs.log_softmax(dim=1)[range(N), stage.labels].mean())
    (epoch,) = stage.train(epochs=1, rate=0.0, batch=batch)
    assert epoch.loss == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("batch", [4, 11])
def test_the_accuracy_of_an_epoch_is_the_share_named_rightly(
    classifier: Classifier, codes: Tensor, labels: Tensor, batch: int
) -> None:
    """Accuracy counts images whose largest logit is their label's, over all images of the epoch."""
    right = sum(
        int(max(range(3), key=row.__getitem__) == label)
        for row, label in zip(classifier(codes).tolist(), labels.tolist(), strict=True)
    )
    (epoch,) = Stage("classifier", classifier, codes, labels).train(epochs=1, rate=0.0, batch=batch)
    assert 0 < right < N
    assert epoch.accuracy == right / N


def test_records_name_stage_and_epoch(stage: Stage) -> None:
    """Epochs are counted from 1, and the autoencoder has no accuracy."""
    log = stage.train(epochs=3)
    assert [(epoch.stage, epoch.epoch) for epoch in log] == [(stage.name, number) for number in (1, 2, 3)]
    assert all((epoch.accuracy is None) == (stage.name == "autoencoder") for epoch in log)
    assert all(epoch.seconds > 0 for epoch in log)


def test_training_ends_in_evaluation_mode(stage: Stage) -> None:
    """Dropout is on in training, whatever it was before, and off afterwards."""
    stage.model.eval()
    records = stage.start(epochs=2, rate=LITERAL_RATE, batch=BATCH, order=0)
    next(records)
    assert stage.model.training
    assert len(list(records)) == 1
    assert not stage.model.training


def test_no_epochs_leave_the_weights_alone(stage: Stage) -> None:
    """Training of 0 epochs has no record and changes nothing."""
    before = stage.weights()
    assert stage.train(epochs=0) == []
    assert same(stage.weights(), before)


def test_the_same_seed_gives_the_same_weights(stage: Stage) -> None:
    """From the same start, orders of the same seed give equal losses and weights, another seed others."""
    start = stage.weights()

    def outcome(order: int) -> tuple[list[Epoch], dict[str, Tensor]]:
        stage.model.load_state_dict(start)
        log = [replace(epoch, seconds=0.0) for epoch in stage.train(epochs=3, order=order)]
        return log, stage.weights()

    (log, weights), (again, equal), (_, other) = outcome(1), outcome(1), outcome(2)
    assert log == again
    assert same(weights, equal)
    assert not same(weights, other)


def test_dropout_of_the_same_seed_gives_the_same_weights(codes: Tensor, labels: Tensor) -> None:
    """With dropout, torch's global generator decides too: the same seed gives the same weights."""

    def outcome(number: int) -> dict[str, Tensor]:
        with environment.seeded(0):
            model = Classifier(5, hidden=(8,), classes=3, dropout=0.5).double()
        stage = Stage("classifier", model, codes, labels)
        with environment.seeded(number):
            stage.train(epochs=3)
        return stage.weights()

    assert same(outcome(1), outcome(1))
    assert not same(outcome(1), outcome(2))


def test_the_losses_fall_on_real_images() -> None:
    """On 600 real images both losses fall with every epoch, and most training images are named rightly."""
    data = datasets.load("fashion-mnist-mini")
    images = torch.from_numpy(data.train_images[:600].copy()).float() / 255
    labels = torch.from_numpy(data.train_labels[:600].copy()).long()
    with environment.seeded(0):
        autoencoder, classifier = KSparseAutoencoder(16, 784, 128), Classifier(128, hidden=(64,))
        recipe: dict[str, Any] = dict(batch_size=50, learning_rate=0.002)
        first = list(train_autoencoder(autoencoder, images, epochs=5, generator=seed(0), **recipe))
        codes = training.encode(autoencoder, images)
        second = list(train_classifier(classifier, codes, labels, epochs=10, generator=seed(0), **recipe))
    for log in (first, second):
        losses = [epoch.loss for epoch in log]
        assert losses == sorted(losses, reverse=True)
    mean_image = float((images - images.mean(dim=0)).square().mean())
    assert first[-1].loss < 0.6 * mean_image
    assert second[-1].accuracy is not None
    assert second[-1].accuracy > 0.6


def test_many_images_are_encoded_like_each_alone(
    autoencoder: KSparseAutoencoder, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes of many images, part by part, are those of the images one by one, and carry no gradient."""
    monkeypatch.setattr(training, "PART", 3)
    codes = training.encode(autoencoder, images)
    torch.testing.assert_close(
        codes, torch.cat([autoencoder.encode(image[None]) for image in images]).detach()
    )
    assert not codes.requires_grad


# losses that are no numbers


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_loss_that_is_no_number_stops_at_that_step(stage: Stage, bad: float) -> None:
    """NaN or infinite input ends training at the step that meets it; the message names where that was."""
    step = torch.randperm(N, generator=seed(5)).tolist().index(7) // BATCH + 1
    stage.inputs[7] = bad
    with pytest.raises(TrainingDiverged, match=rf"{stage.name}.*(nan|inf).*epoch 1, step {step}\b") as caught:
        stage.train()
    assert caught.value.exit_code == 3


def test_an_infinite_loss_stops_training(stage: Stage) -> None:
    """A loss too large for a float is refused like one that is NaN."""
    if stage.name == "autoencoder":
        with torch.no_grad():
            list(stage.model.parameters())[-1][0] = 1e200
    else:
        stage.labels[:] = 0
        with torch.no_grad():
            list(stage.model.parameters())[-1][0] = -torch.inf
    with pytest.raises(TrainingDiverged, match=rf"{stage.name}.*\binf.*epoch 1, step 1\b"):
        stage.train()


def test_the_step_that_diverges_is_not_taken(stage: Stage) -> None:
    """A loss that is no number changes no weight: they stay those of the step before."""
    stage.inputs[:] = torch.nan
    before = stage.weights()
    with pytest.raises(TrainingDiverged):
        stage.train()
    assert same(stage.weights(), before)


def test_a_later_epoch_that_diverges_is_named(stage: Stage) -> None:
    """Weights that a first epoch throws far away stop the second at its first step, and stay as they were."""
    records = stage.start(epochs=3, rate=1e200, batch=N, order=5)
    next(records)
    thrown = stage.weights()
    with pytest.raises(TrainingDiverged, match=r"epoch 2, step 1\b"):
        next(records)
    assert same(stage.weights(), thrown)


# weights on disk


@pytest.fixture
def linear() -> nn.Linear:
    """A module to fill."""
    return nn.Linear(3, 2)


def bytes_of(content: Any) -> bytes:
    """What torch saves of it."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def refusal(module: nn.Module, path: Path, content: bytes) -> str:
    """The message with which these bytes are refused: one line that names the file and the mend."""
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_weights(module, path)
    message = str(caught.value)
    assert str(path) in message
    assert "--fresh" in message
    assert "\n" not in message
    return message


def refused_untouched(module: nn.Module, path: Path, content: bytes) -> str:
    """The same, and the module's weights are what they were."""
    before = {name: value.clone() for name, value in module.state_dict().items()}
    message = refusal(module, path, content)
    assert same(module.state_dict(), before)
    return message


def test_weights_come_back_from_disk_as_they_were(
    tmp_path: Path, autoencoder: KSparseAutoencoder, classifier: Classifier
) -> None:
    """Saved weights fill another module of the same shape to the last bit."""
    for module, other in (
        (autoencoder, KSparseAutoencoder(k=2, pixels=6, code_width=5).double()),
        (classifier, Classifier(5, hidden=(4,), classes=3).double()),
    ):
        torch.save(module.state_dict(), tmp_path / "weights.pth")
        assert not same(other.state_dict(), module.state_dict())
        load_weights(other, tmp_path / "weights.pth")
        assert same(other.state_dict(), module.state_dict())


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, linear: nn.Linear, share: float) -> None:
    """Weights whose file ends early, wherever it ends, are not loaded."""
    content = bytes_of(linear.state_dict())
    refused_untouched(linear, tmp_path / "cut.pth", content[: int(share * len(content))])


def test_a_foreign_file_is_refused(tmp_path: Path, linear: nn.Linear) -> None:
    """A file of anything else is not loaded."""
    refused_untouched(linear, tmp_path / "notes.pth", b"These are notes, not weights.")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, linear: nn.Linear) -> None:
    """Weights that are missing are an error that names their place."""
    with pytest.raises(CheckpointError, match=r"absent\.pth"):
        load_weights(linear, tmp_path / "absent.pth")


class Malicious:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("form", ["pickle", "checkpoint", "among weights"])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path: Path, linear: nn.Linear, form: str) -> None:
    """A file that would run code when it is unpickled is refused, and the code does not run."""
    trace = tmp_path / "executed"
    malicious = Malicious(trace)
    weights = {"weight": linear.weight.detach(), "bias": malicious}
    content = {
        "pickle": lambda: pickle.dumps(malicious, protocol=2),
        "checkpoint": lambda: bytes_of(malicious),
        "among weights": lambda: bytes_of(weights),
    }[form]()
    torch.load(io.BytesIO(bytes_of(malicious)), weights_only=False).close()
    assert trace.exists(), "the test's own object does nothing"
    trace.unlink()
    refused_untouched(linear, tmp_path / "malicious.pth", content)
    assert not trace.exists()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, linear: nn.Linear, bad: float) -> None:
    """One NaN or infinite weight among the others is found at load, and named."""
    weights = {name: value.clone() for name, value in linear.state_dict().items()}
    weights["bias"][1] = bad
    assert "bias" in refused_untouched(linear, tmp_path / "bad.pth", bytes_of(weights))


@pytest.mark.parametrize(
    "weights",
    [
        {"weight": torch.zeros(2, 4), "bias": torch.zeros(2)},
        {"weight": torch.zeros(2, 3), "bias": torch.zeros(2, 1)},
        {"weight": torch.zeros(2, 3)},
        {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "scale": torch.zeros(2)},
        {"kernel": torch.zeros(2, 3), "bias": torch.zeros(2)},
        {},
    ],
    ids=["wider", "another rank", "one missing", "one more", "another name", "none"],
)
def test_weights_of_another_network_are_refused(
    tmp_path: Path, linear: nn.Linear, weights: dict[str, Tensor]
) -> None:
    """Weights of other shapes or names than the module's are not loaded."""
    refused_untouched(linear, tmp_path / "other.pth", bytes_of(weights))


@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(2, 3), torch.zeros(2)],
        torch.zeros(2, 3),
        None,
        {"weight": torch.zeros(2, 3), "bias": 1.0},
        {"weight": torch.zeros(2, 3), "bias": {"inner": torch.zeros(2)}},
    ],
    ids=["list", "tensor", "nothing", "a number among them", "nested"],
)
def test_what_is_no_dictionary_of_tensors_is_refused(tmp_path: Path, linear: nn.Linear, content: Any) -> None:
    """A file that holds tensors in another form than a state dict is not loaded."""
    refused_untouched(linear, tmp_path / "other.pth", bytes_of(content))


# models that must not be bypassed


def test_a_model_that_computes_otherwise_is_trained_by_what_it_computes(
    autoencoder: KSparseAutoencoder, images: Tensor, codes: Tensor, labels: Tensor
) -> None:
    """A hook, or a subclass with an `encode` of its own, is part of what is trained, not passed over."""

    class Dense(KSparseAutoencoder):
        def encode(self, images: Tensor) -> Tensor:
            activations: Tensor = self.encoder(images).relu()
            return activations

    dense = Dense(k=2, pixels=6, code_width=5).double()
    expected = float((dense(images) - images).square().mean().detach())
    (epoch,) = Stage("autoencoder", dense, images, images).train(epochs=1, rate=0.0)
    assert epoch.loss == pytest.approx(expected, rel=1e-9)
    seen: list[object] = []
    autoencoder.register_forward_hook(lambda *_: seen.append(None))
    Stage("autoencoder", autoencoder, images, images).train(epochs=1)
    assert seen


def test_a_classifier_without_biases_is_trained(codes: Tensor, labels: Tensor) -> None:
    """A layer without a bias leaves the network to autograd."""
    layers = (nn.Linear(5, 4, bias=False), nn.ReLU(), nn.Dropout(0.0), nn.Linear(4, 3))
    model = nn.Sequential(*layers).double()
    log = Stage("classifier", model, codes, labels).train(epochs=3)
    assert log[-1].loss < log[0].loss
