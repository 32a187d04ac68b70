"""Faults of known kind, planted in the work of a run; each says which gates must go red.

A fault is planted by a context manager, so that the real command and a run in this process are spoiled in
the same way. Some act on a run between two stages; the others replace a function while they last.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from harness import attributions, pipeline, samples
from harness.artifacts import directories, files
from harness.config import Config
from harness.datasets import Dataset
from harness.environment import stream
from harness.pipeline.networks import train
from harness.pipeline.work import Silence, Work, attribution_settings, untrained
from harness.subjects import training
from harness.subjects.models import KSparseAutoencoder
from harness.subjects.sparse.structure import slope

Act = Callable[[Work], None]
Plant = Callable[[], AbstractContextManager[object]]

PLANTED = "planted"
"""The stage in which a fault acts; a run that breaks off there shows nothing of the gate."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        id: Its name.
        what: What is wrong, for readers.
        plant: Everything that computes while this context lasts, computes with the fault.
        by: The gates of which at least one must go red; none where the fault is invisible.
        flags: Settings of the run that go with it.
        trains: Whether networks must be trained anew, because training itself is spoiled.
        invisible: Why no gate can see it.
        breaks: Whether the run has to break off; of any other fault it shows nothing.
    """

    id: str
    what: str
    plant: Plant
    by: tuple[str, ...]
    flags: Mapping[str, Any] = field(default_factory=dict)
    trains: bool = False
    invisible: str = ""
    breaks: bool = False


@contextmanager
def _between(stage: str, act: Act) -> Iterator[None]:
    """`act` on every run before that stage."""
    true = pipeline.execute

    def execute(work: Work, stages: tuple[pipeline.Stage, ...] = pipeline.STAGES) -> None:
        place = [name for name, _ in stages].index(stage)
        true(work, (*stages[:place], (PLANTED, act), *stages[place:]))

    with mock.patch.object(pipeline, "execute", execute):
        yield


def before(stage: str, act: Act) -> Plant:
    """A plant that acts on the run before a stage."""
    return lambda: _between(stage, act)


# data


def _labels_shuffled(share: float) -> Act:
    def act(work: Work) -> None:
        labels = work.dataset.train_labels.copy()
        generator = np.random.default_rng(stream(work.config.seeds[0], "shuffled labels"))
        chosen = generator.permutation(len(labels))[: round(share * len(labels))]
        labels[chosen] = generator.permutation(labels[chosen])
        work.dataset = dataclasses.replace(work.dataset, train_labels=labels)

    return act


def _test_is_training(work: Work) -> None:
    n = len(work.dataset.test_labels)
    drawn = np.random.default_rng(0).permutation(len(work.dataset.train_labels))[:n]
    work.dataset = dataclasses.replace(
        work.dataset,
        test_images=work.dataset.train_images[drawn],
        test_labels=work.dataset.train_labels[drawn],
    )
    work.test_images = work.train_images[torch.from_numpy(drawn).to(work.device)]


# networks


def _store(work: Work, seed: int) -> None:
    """Put a network's weights where the run keeps them."""
    network, folder = work.networks[seed], work.run.seed(seed)
    parts: dict[str, nn.Module] = {
        "encoder": network.autoencoder.encoder,
        "decoder": network.autoencoder.decoder,
        "full_autoencoder": network.autoencoder,
        "classifier": network.classifier,
    }
    for name, module in parts.items():
        with folder.writing(f"weights/{name}.pth") as target:
            torch.save(module.state_dict(), target)


def _networks(change: Callable[[Work, int], Any], stored: bool = True) -> Act:
    def act(work: Work) -> None:
        for seed in work.config.seeds:
            work.networks[seed] = change(work, seed).eval()
            if stored:
                _store(work, seed)

    return act


def _blank(work: Work, seed: int) -> Any:
    return untrained(work.config, work.dataset, seed).to(work.device)


def _of_another_seed(work: Work, seed: int) -> Any:
    """The network of the next seed, trained or from the cache."""
    config = work.config.model_copy(update={"seeds": (seed + 1,)})
    with tempfile.TemporaryDirectory() as folder:
        run = directories.RunDirectory(Path(folder))
        other = dataclasses.replace(work, config=config, run=run, networks={}, progress=Silence())
        train(other)
    return other.networks[seed + 1]


def _stale(work: Work, seed: int) -> Any:
    """The network as it was after a fifth of its training."""
    settings, network = work.config.training, _blank(work, seed)
    recipe: dict[str, Any] = dict(batch_size=settings.batch_size, learning_rate=settings.learning_rate)
    labels = torch.from_numpy(work.dataset.train_labels.astype(np.int64)).to(work.device)

    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    few = max(1, settings.epochs // 5), max(1, settings.classifier_epochs // 5)
    list(
        training.train_autoencoder(
            network.autoencoder, work.train_images, epochs=few[0], generator=generator(), **recipe
        )
    )
    codes = training.encode(network.autoencoder, work.train_images)
    list(
        training.train_classifier(
            network.classifier, codes, labels, epochs=few[1], generator=generator(), **recipe
        )
    )
    return network


def _decoder(change: Callable[[Work, int, Tensor], Tensor]) -> Act:
    """Another decoder in the trained network, on disk too."""

    def changed(work: Work, seed: int) -> Any:
        network = work.networks[seed]
        with torch.no_grad():
            weight = network.autoencoder.decoder.weight
            weight.copy_(change(work, seed, weight.clone()))
        return network

    return _networks(changed)


def _dead(work: Work, seed: int) -> Any:
    network = work.networks[seed]
    with torch.no_grad():
        network.autoencoder.encoder.bias.fill_(-1e3)
    return network


def _permuted(_work: Work, seed: int, weight: Tensor) -> Tensor:
    order = torch.randperm(weight.shape[1], generator=torch.Generator().manual_seed(seed))
    return weight[:, order]


def _k(k: int) -> Act:
    def act(work: Work) -> None:
        for network in work.networks.values():
            network.autoencoder.k = k

    return act


def _trained_with_k(k: int) -> Plant:
    def other(config: Config, *rest: Any) -> Any:
        model = config.model.model_copy(update={"k": k})
        return untrained(config.model_copy(update={"model": model}), *rest)

    return lambda: mock.patch("harness.pipeline.networks.untrained", other)


def _without_top_k(work: Work) -> None:
    for network in work.networks.values():
        autoencoder = network.autoencoder

        def encode(images: Tensor, autoencoder: KSparseAutoencoder = autoencoder) -> Tensor:
            activations: Tensor = autoencoder.encoder(images).relu()
            return activations

        autoencoder.encode = encode


@contextmanager
def _one_generator() -> Iterator[None]:
    def one(_seed: int, purpose: str) -> int:
        return stream(0, purpose)

    def alike(config: Config, dataset: Dataset, _seed: int) -> Any:
        return untrained(config, dataset, 0)

    with (
        mock.patch("harness.pipeline.networks.stream", one),
        mock.patch("harness.pipeline.networks.untrained", alike),
    ):
        yield


@contextmanager
def _dropout_on() -> Iterator[None]:
    def act(work: Work) -> None:
        for network in work.networks.values():
            network.train()

    with (
        _between("attribution", act),
        mock.patch("harness.environment.state.evaluation", return_value=nullcontext()),
        mock.patch("harness.subjects.sparse.gradients.structure_of", return_value=None),
        mock.patch("harness.attributions.decoder._refuse_unless_of_codes"),
    ):
        yield


# methods


def other_method(name: str, maps: attributions.MapFunction) -> Plant:
    """Another function behind a method's name."""
    true = attributions.methods[name]
    planted = dataclasses.replace(true, maps=maps, sensitivity=None)
    return lambda: mock.patch.dict(attributions.methods._entries, {name: planted})


def other_settings(**changed: Any) -> Plant:
    """Attribution with other settings than the declared."""

    def settings(work: Work, seed: int) -> dict[str, Any]:
        return attribution_settings(work, seed) | changed

    return lambda: mock.patch("harness.pipeline.explanations.attribution_settings", settings)


def _path(baseline: Callable[[Tensor], Tensor]) -> attributions.MapFunction:
    """Integrated gradients from another baseline."""

    def maps(model: nn.Module, images: Tensor, targets: Tensor, *, attribution_steps: int = 50) -> Tensor:
        start, total = baseline(images), torch.zeros_like(images)
        for step in range(attribution_steps):
            share = (step + 0.5) / attribution_steps
            points = start + share * (images - start)
            total += slope(model, points, targets) / attribution_steps
        return (images - start) * total

    return maps


def _not_multiplied(model: nn.Module, images: Tensor, targets: Tensor, **settings: Any) -> Tensor:
    return attributions.path_gradients(model, images, targets, **_of_path(settings))


def _of_path(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in ("attribution_steps", "chunk_size") if name in settings}


def weighted(total: float) -> Plant:
    """Integrated gradients whose weights sum to `total`."""

    def maps(model: nn.Module, images: Tensor, targets: Tensor, **settings: Any) -> Tensor:
        return total * images * attributions.path_gradients(model, images, targets, **_of_path(settings))

    return other_method("integrated_gradients", maps)


# maps


def other_maps(change: Callable[[Any], Any], only: Sequence[str] | None = None) -> Act:
    """Other maps in the files of all methods, or of some."""

    def act(work: Work) -> None:
        for seed in work.config.seeds:
            folder = work.run.seed(seed)
            for name in only or work.config.attribution.methods:
                arrays = folder.read_arrays(f"attributions/{name}.npz")
                for part in {"maps", "sensitivity"} & set(arrays):
                    arrays[part] = np.asarray(change(arrays[part]), dtype=np.float32)
                folder.write_arrays(f"attributions/{name}.npz", arrays)

    return act


def of_wrong_class(work: Work, only: Sequence[str] | None = None) -> None:
    """Maps of the class after the right one, in files that claim the right one; of all methods, or some."""
    chosen = work.run.read_arrays("samples.npz")
    images = work.test_images[torch.from_numpy(chosen["indices"]).to(work.device)]
    wrong = torch.from_numpy((chosen["labels"] + 1) % len(work.dataset.classes)).to(work.device)
    for seed, network in work.networks.items():
        folder = work.run.seed(seed)
        for name in only or work.config.attribution.methods:
            arrays = folder.read_arrays(f"attributions/{name}.npz")
            maps = attributions.attribute(network, images, wrong, name, attribution_settings(work, seed))
            arrays["maps"] = maps.own.numpy(force=True)
            if maps.sensitivity is not None:
                arrays["sensitivity"] = maps.sensitivity.numpy(force=True)
            folder.write_arrays(f"attributions/{name}.npz", arrays)


def _of_the_image(work: Work) -> None:
    """The image itself in the place of every map."""
    images = work.run.read_arrays("samples.npz")["images"] / np.float32(255)
    other_maps(lambda _maps: images)(work)


def _copied(work: Work) -> None:
    """SmoothGrad's maps in the gradients' file."""
    for seed in work.config.seeds:
        folder = work.run.seed(seed)
        folder.write_arrays("attributions/gradients.npz", folder.read_arrays("attributions/smoothgrad.npz"))


def _shifted(maps: Any) -> Any:
    side = round(maps.shape[1] ** 0.5)
    return np.roll(maps.reshape(-1, side, side), 1, axis=2).reshape(maps.shape)


def _random(maps: Any) -> Any:
    return maps.std() * np.random.default_rng(0).standard_normal(maps.shape)


# samples


def _chosen(choose: Callable[..., Any]) -> Plant:
    """Another choice than the declared one."""
    true = samples.select

    def select(logits: Any, labels: Any, classes: int, *, per_class: int, **rest: Any) -> samples.Selection:
        selection = true(logits, labels, classes, per_class=per_class, **rest)
        taken = choose(logits[0], labels, classes, per_class, selection)
        indices = np.concatenate(taken).astype(np.int64)
        return dataclasses.replace(selection, indices=indices, labels=labels[indices].astype(np.int64))

    return lambda: mock.patch.object(samples, "select", select)


def _least_sure(logits: Any, labels: Any, classes: int, count: int, _clean: object) -> list[Any]:
    order = np.argsort(samples.confidences(logits), kind="stable")
    right = order[logits.argmax(axis=1)[order] == labels[order]]
    return [right[labels[right] == label][:count] for label in range(classes)]


def _wrong(logits: Any, labels: Any, classes: int, count: int, _clean: object) -> list[Any]:
    wrong = np.flatnonzero(logits.argmax(axis=1) != labels)
    return [wrong[labels[wrong] == label][:count] for label in range(classes)]


def _unbalanced(_logits: Any, _labels: Any, classes: int, count: int, clean: Any) -> list[Any]:
    half = min(count - 1, max(3, count // 2))
    return [clean.indices[clean.labels == label][: half if label else None] for label in range(classes)]


# criteria


@contextmanager
def _skipped() -> Iterator[None]:
    """The criterion `agreement` is skipped."""
    true = files.shipped
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(shutil.copytree(true("validation"), Path(folder) / "validation"))
        test = suite / "test_agreement.py"
        test.write_text(test.read_text() + '\n\npytestmark = pytest.mark.skip(reason="not tonight")\n')

        def shipped(name: str) -> Path:
            return suite if name == "validation" else true(name)

        with mock.patch("harness.judging.verdicts.shipped", shipped):
            yield


INTEGRITY = ("attribution_integrity",)
FAULTS: tuple[Fault, ...] = (
    Fault(
        "labels-5",
        "5 % of the training labels shuffled",
        before("training", _labels_shuffled(0.05)),
        (),
        trains=True,
        invisible="the test accuracy hardly moves; it shows in the training accuracy alone",
    ),
    Fault(
        "labels-20",
        "20 % of the training labels shuffled",
        before("training", _labels_shuffled(0.2)),
        (),
        trains=True,
        invisible="the test accuracy stays over its threshold; only a comparison with earlier runs shows it",
    ),
    Fault(
        "labels-100",
        "all training labels shuffled",
        before("training", _labels_shuffled(1.0)),
        ("accuracy",),
        trains=True,
    ),
    Fault(
        "test-is-training",
        "training images judged as test images",
        before("inspection", _test_is_training),
        ("test_overlap",),
    ),
    Fault("k-25", "trained with k 25 where 50 is declared", _trained_with_k(25), ("sparsity",), trains=True),
    Fault("k-60", "trained with k 60 where 50 is declared", _trained_with_k(60), ("sparsity",), trains=True),
    Fault("k-25-explaining", "explained with k 25", before("attribution", _k(25)), INTEGRITY),
    Fault("k-60-explaining", "explained with k 60", before("attribution", _k(60)), INTEGRITY),
    Fault("no-top-k", "top-k left out", before("inspection", _without_top_k), ("sparsity",)),
    Fault(
        "decoder-transposed",
        "the encoder's transpose in place of the decoder",
        before(
            "inspection", _decoder(lambda work, seed, _: work.networks[seed].autoencoder.encoder.weight.T)
        ),
        ("fraction_unexplained",),
    ),
    Fault(
        "decoder-permuted",
        "the decoder's units permuted",
        before("inspection", _decoder(_permuted)),
        ("fraction_unexplained",),
    ),
    Fault(
        "decoder-of-another-seed",
        "the decoder of another seed",
        before(
            "inspection",
            _decoder(lambda work, seed, _: _of_another_seed(work, seed).autoencoder.decoder.weight),
        ),
        ("fraction_unexplained",),
    ),
    Fault(
        "dead-units",
        "no unit of the code is ever active",
        before("inspection", _networks(_dead)),
        ("sparsity",),
    ),
    Fault("dropout-on", "dropout left on while explaining", _dropout_on, INTEGRITY),
    Fault("steps-2", "integrated gradients with 2 steps", other_settings(attribution_steps=2), INTEGRITY),
    Fault("steps-10", "integrated gradients with 10 steps", other_settings(attribution_steps=10), INTEGRITY),
    Fault(
        "baseline-white",
        "integrated gradients from a white image",
        other_method("integrated_gradients", _path(torch.ones_like)),
        INTEGRITY,
    ),
    Fault(
        "baseline-wrong",
        "integrated gradients from another image",
        other_method("integrated_gradients", _path(lambda images: images.roll(1, dims=0))),
        INTEGRITY,
    ),
    Fault(
        "not-multiplied",
        "integrated gradients without the multiplication with the image",
        other_method("integrated_gradients", _not_multiplied),
        INTEGRITY,
    ),
    Fault("weights-0.98", "integrated gradients whose weights sum to 0.98", weighted(0.98), INTEGRITY),
    Fault("noise-10", "SmoothGrad with ten times the noise", other_settings(smoothgrad_sigma=1.0), INTEGRITY),
    Fault("wrong-class", "maps of the wrong class", before("probing", of_wrong_class), INTEGRITY),
    Fault("sign", "maps with flipped sign", before("probing", other_maps(lambda maps: -maps)), INTEGRITY),
    Fault("shifted", "maps shifted by a pixel", before("probing", other_maps(_shifted)), INTEGRITY),
    Fault(
        "another-sample",
        "maps of another sample",
        before("probing", other_maps(lambda maps: np.roll(maps, 1, axis=0))),
        INTEGRITY,
    ),
    Fault("random", "random maps", before("probing", other_maps(_random)), INTEGRITY),
    Fault(
        "image",
        "the image itself as every map",
        before("probing", _of_the_image),
        ("attribution_faithfulness",),
    ),
    Fault(
        "constant",
        "constant maps",
        before("probing", other_maps(lambda maps: np.full_like(maps, 0.01))),
        ("agreement", *INTEGRITY),
    ),
    Fault(
        "nan",
        "maps of NaN",
        before("probing", other_maps(lambda maps: np.full_like(maps, np.nan))),
        ("agreement", *INTEGRITY),
    ),
    Fault(
        "another-seeds-maps",
        "maps of another seed's network",
        before("attribution", _networks(_of_another_seed, stored=False)),
        INTEGRITY,
    ),
    Fault("untrained", "an untrained network", before("inspection", _networks(_blank)), ("accuracy",)),
    Fault(
        "stale-checkpoint",
        "predictions of one checkpoint, weights and maps of an earlier one",
        before("attribution", _networks(_stale)),
        INTEGRITY,
    ),
    Fault("unconfident", "the least sure samples explained", _chosen(_least_sure), ("selection",)),
    Fault("wrong-samples", "wrongly named samples explained", _chosen(_wrong), ("selection",)),
    Fault("unbalanced", "half the samples of nine classes", _chosen(_unbalanced), ("selection",)),
    Fault(
        "copy",
        "gradients a copy of SmoothGrad",
        before("probing", _copied),
        ("attribution_copies", *INTEGRITY),
    ),
    Fault("criterion-skipped", "a criterion's test skipped", _skipped, ("agreement",)),
    Fault(
        "one-generator",
        "one generator for all seeds: three seeds that are one network",
        _one_generator,
        ("accuracy", "agreement"),
        flags={"seeds": "0,1,2", "epochs": 1, "classifier_epochs": 1},
        trains=True,
        breaks=True,
    ),
    Fault(
        "diverged",
        "a training that diverged",
        nullcontext,
        ("accuracy", "agreement"),
        flags={"learning_rate": 1e30},
        trains=True,
        breaks=True,
    ),
)

LADDERS: Mapping[str, Mapping[float, Fault]] = {
    "weights of integrated gradients (sum)": {
        total: Fault(f"weights-{total:g}", f"weights sum to {total:g}", weighted(total), INTEGRITY)
        for total in (0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999)
    },
    "steps of integrated gradients (50 declared)": {
        steps: Fault(
            f"steps-{steps:g}", f"{steps:g} steps", other_settings(attribution_steps=int(steps)), INTEGRITY
        )
        for steps in (2, 10, 25, 45, 48, 49)
    },
    "SmoothGrad's noise (times the declared)": {
        times: Fault(
            f"noise-{times:g}",
            f"{times:g} times the noise",
            other_settings(smoothgrad_sigma=0.1 * times),
            INTEGRITY,
        )
        for times in (10, 2, 1.2, 1.05, 1.01)
    },
    "k while explaining (50 declared)": {
        k: Fault(f"k-{k:g}-explaining", f"k {k:g}", before("attribution", _k(int(k))), INTEGRITY)
        for k in (25, 40, 45, 48, 49)
    },
    "training labels shuffled (share)": {
        share: Fault(
            f"labels-{share:g}",
            f"{share:.0%} shuffled",
            before("training", _labels_shuffled(share)),
            ("accuracy",),
            trains=True,
        )
        for share in (0.4, 0.6, 0.8, 1.0)
    },
}
"""Faults that come in sizes, from the largest to the smallest or the other way round."""
