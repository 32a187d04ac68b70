"""The stages of a run, from the configuration to the estimates."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

import harness
from harness import attributions, datasets, measurements, pipeline, statistics
from harness.artifacts.cache import Cache
from harness.artifacts.directories import RunDirectory
from harness.attributions import Method
from harness.config import Config
from harness.config.parameters import Watch
from harness.criteria import diagnosis
from harness.datasets import Dataset
from harness.environment import stream
from harness.errors import (
    ConfigurationError,
    DeviceError,
    InputError,
    MemoryExhausted,
    OutputError,
    SeedsAlike,
    TrainingDiverged,
)
from harness.history.documents import identity_of
from harness.judging.verdicts import judge
from harness.measurements import correlations
from harness.pipeline.networks import engine
from harness.pipeline.reopened import data_of
from harness.pipeline.work import Epochs, Silence, Work, group_mask, within_memory
from harness.records import Estimate, Measurement
from harness.runs import Run
from harness.subjects.models import KSparseAutoencoder, PixelClassifier

MakeConfig = Callable[..., Config]


class Notes(Silence):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.trained: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def epochs(self, title: str, epochs: Iterator[Epochs], total: int) -> Iterator[Epochs]:
        self.trained.append(title)
        return epochs


def compute(config: Config, stages: tuple[pipeline.Stage, ...] = pipeline.STAGES) -> tuple[Work, Notes]:
    notes = Notes()
    work = pipeline.prepare(config, notes)
    pipeline.execute(work, stages)
    return work, notes


def before(name: str, planted: Callable[[Work], None]) -> tuple[pipeline.Stage, ...]:
    """The stages, with something planted before one of them."""
    place = [stage for stage, _ in pipeline.STAGES].index(name)
    return (*pipeline.STAGES[:place], ("planted", planted), *pipeline.STAGES[place:])


def verdicts(work: Work) -> dict[str, str]:
    return {one.id: one.verdict for one in judge(work.run)["criteria"]}


def metrics(run: RunDirectory) -> str:
    return (run / "metrics.csv").read_text()


def test_a_runs_network_is_what_it_explained(finished: RunDirectory) -> None:
    """The network names the test inputs as the run did; a seed that is none of its is refused."""
    run = Run(finished)
    network, data = harness.load_network(run), data_of(run)
    with torch.no_grad():
        logits = network(torch.from_numpy(data.inputs(data.test_images)))
    assert (logits.argmax(1).numpy() == run.evidence().logits.argmax(1)).all()
    assert_allclose(logits, run.evidence().logits, rtol=0, atol=1e-5)
    assert not network.training
    maps = harness.explain(network, torch.from_numpy(run.evidence().images[:2]), methods=["gradients"])
    assert maps["gradients"].shape == (2, 784)
    with pytest.raises(InputError, match=r"seed: must be one of \[0\]"):
        harness.load_network(run, 1)


def test_a_clean_run_holds_every_gate(finished: RunDirectory) -> None:
    """Even a run of seconds passes every gate, so that a red one means something."""
    verdict = finished.read_verdict()
    assert verdict is not None
    gates = (
        "accuracy",
        "sparsity",
        "agreement",
        "reconstruction",
        "fraction_unexplained",
        "selection",
        "attribution_integrity",
        "attribution_copies",
        "attribution_faithfulness",
        "test_overlap",
    )
    assert {one.id: one.verdict for one in verdict["criteria"] if one.gate} == dict.fromkeys(gates, "pass")


def test_agreement_is_what_the_maps_on_disk_say(finished: RunDirectory) -> None:
    """The estimate of agreement follows from the files alone, by a plain double loop."""
    evidence = Run(finished).evidence()
    maps = evidence.contributions()
    by_class = []
    for label in range(10):
        members = np.flatnonzero(evidence.labels == label)
        values = [
            np.corrcoef(maps[a][i], maps[b][i])[0, 1]
            for i in members
            for a in maps
            for b in maps
            if list(maps).index(a) < list(maps).index(b)
        ]
        by_class.append(np.mean(values))
    estimate = Run(finished).estimate("agreement")
    assert estimate is not None
    assert estimate.estimate == pytest.approx(np.mean(by_class), abs=1e-6)
    assert estimate.n == 40


def test_the_maps_on_disk_are_those_of_the_weights_on_disk(finished: RunDirectory) -> None:
    """Networks rebuilt from the weight files give the stored logits and maps."""
    from harness.subjects.models import Classifier
    from harness.subjects.training import load_weights

    run = Run(finished)
    autoencoder, classifier = KSparseAutoencoder(32, 784, 256), Classifier(256)
    weights = finished.seed(0) / "weights"
    load_weights(autoencoder, weights / "full_autoencoder.pth")
    load_weights(classifier, weights / "classifier.pth")
    model = PixelClassifier(autoencoder, classifier).eval()
    evidence = run.evidence()
    images, labels = torch.from_numpy(evidence.images), torch.from_numpy(evidence.labels)
    with torch.no_grad():
        logits = model(images).numpy()
    np.testing.assert_allclose(logits, evidence.logits[evidence.indices], atol=1e-4)
    steps = run.config.attribution.attribution_steps
    maps = attributions.integrated_gradients(model, images, labels, attribution_steps=steps)
    assert correlations(maps.numpy(), evidence.maps["integrated_gradients"].own).min() > 0.999


def test_samples_are_right_sure_and_balanced(finished: RunDirectory) -> None:
    """The table of samples shows only right predictions over the bound, four of each class."""
    table = Run(finished).samples
    assert (table["prediction"] == table["label"]).all()
    assert (table["confidence"] > 0.5).all()
    assert table.groupby("class").size().tolist() == [4] * 10


@pytest.mark.thorough
def test_a_second_run_trains_nothing_and_gives_the_same_metrics(small_config: MakeConfig) -> None:
    """A second run takes its networks from the first and has the same metrics; `fresh` trains anew, and on
    the same machine the same seed gives the same metrics to the last byte (fault 25)."""
    brief: dict[str, Any] = {"seeds": "7", "epochs": 1, "classifier_epochs": 2}
    first, notes = compute(small_config(**brief))
    assert len(notes.trained) == 2
    second, again = compute(small_config(**brief))
    assert again.trained == []
    assert any("taken from an earlier run" in line for line in again.said)
    third, anew = compute(small_config(fresh=True, **brief))
    assert len(anew.trained) == 2
    assert metrics(first.run) == metrics(second.run) == metrics(third.run)
    assert len({work.run.path for work in (first, second, third)}) == 3


@pytest.mark.thorough
def test_another_configuration_never_uses_a_checkpoint(small_config: MakeConfig) -> None:
    """A checkpoint of another seed, k, batch size or number of epochs is not used (fault 29)."""
    compute(small_config(epochs=1, classifier_epochs=1), pipeline.STAGES[:1])
    for change in ({"seeds": "1"}, {"k": 16}, {"batch_size": 128}, {"learning_rate": 2e-3}, {"epochs": 0}):
        _, notes = compute(
            small_config(**({"epochs": 1, "classifier_epochs": 1} | change)), pipeline.STAGES[:1]
        )
        assert len(notes.trained) == 2, change
    _, notes = compute(small_config(epochs=1, classifier_epochs=2), pipeline.STAGES[:1])
    assert notes.trained == ["seed 0: classifier"]


@pytest.mark.thorough
def test_a_damaged_checkpoint_is_computed_anew_and_said(small_config: MakeConfig) -> None:
    """A truncated checkpoint is trained anew, which is said (fault 28)."""
    config = small_config(epochs=1, classifier_epochs=1)
    first, _ = compute(config, pipeline.STAGES[:1])
    stored = stored_weights(config, first.run, "autoencoder", "full_autoencoder.pth")
    stored.unlink()
    stored.write_bytes(b"PK\x03\x04 cut off")
    second, notes = compute(config, pipeline.STAGES[:1])
    (warning,) = notes.warned
    assert warning.startswith("the stored autoencoder cannot be used and is made anew: ")
    assert warning.endswith("weights/full_autoencoder.pth is not as it was sealed")
    assert notes.trained == ["seed 0: autoencoder"]
    name = "seed-0/weights/full_autoencoder.pth"
    assert (second.run / name).read_bytes() == (first.run / name).read_bytes()


def stored_weights(config: Config, run: RunDirectory, stage: str, name: str) -> Path:
    """The file in the cache that a run's weights are the same as."""
    mine = (run / f"seed-0/weights/{name}").read_bytes()
    entries = (config.output / "cache" / stage).rglob(name)
    return next(path for path in entries if path.read_bytes() == mine)


class _Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.thorough
def test_a_malicious_checkpoint_in_the_cache_executes_nothing(
    small_config: MakeConfig, tmp_path: Path
) -> None:
    """A pickle planted in the cache is neither executed nor used (fault 30)."""
    config = small_config(epochs=1, classifier_epochs=1)
    first, _ = compute(config, pipeline.STAGES[:1])
    stored = stored_weights(config, first.run, "classifier", "classifier.pth")
    stored.unlink()
    stored.write_bytes(pickle.dumps(_Trap(tmp_path / "sprung")))
    _, notes = compute(config, pipeline.STAGES[:1])
    assert notes.trained == ["seed 0: classifier"]
    assert not (tmp_path / "sprung").exists()


@pytest.mark.thorough
def test_chunk_size_changes_no_metric(small_config: MakeConfig) -> None:
    """Chunks of 7 images and of 512 give the same agreement to 1e-4 (fault 24)."""
    values = []
    for chunk in (7, 512):
        work, _ = compute(small_config(chunk_size=chunk))
        estimate = Run(work.run).estimate("agreement")
        assert estimate is not None
        values.append(estimate.estimate)
    assert values[0] == pytest.approx(values[1], abs=1e-4)


def test_an_untrained_network_is_red_and_says_why(small_config: MakeConfig) -> None:
    """Without training accuracy and reconstruction fail, and agreement cannot be judged."""
    work, _ = compute(small_config(epochs=0, classifier_epochs=0, confidence=0.8))
    verdict = judge(work.run)
    outcome = {one.id: one.verdict for one in verdict["criteria"]}
    assert outcome["accuracy"] == outcome["fraction_unexplained"] == "fail"
    assert outcome["agreement"] == outcome["selection"] == "error"
    assert verdict["verdict"] == "error"
    why = next(one.why for one in verdict["criteria"] if one.id == "agreement")
    assert "no test image is named rightly and over 80% sure" in why


@pytest.mark.thorough
def test_permuted_atoms_are_red_by_agreement(small_config: MakeConfig) -> None:
    """A decoder whose atoms were permuted fails the gate on agreement, and no gate errs."""

    def permute(work: Work) -> None:
        for network in work.networks.values():
            order = torch.randperm(256, generator=torch.Generator().manual_seed(1))
            with torch.no_grad():
                network.autoencoder.decoder.weight.copy_(network.autoencoder.decoder.weight[:, order])

    work, _ = compute(small_config(), before("inspection", permute))
    verdict = judge(work.run)
    outcome = {one.id: one.verdict for one in verdict["criteria"]}
    assert outcome["agreement"] == "fail"
    assert outcome["accuracy"] == outcome["selection"] == "pass"
    assert verdict["verdict"] == "fail"


@pytest.mark.thorough
def test_a_class_absent_from_the_selection_is_an_error(small_config: MakeConfig) -> None:
    """Where a class has no right and sure image, agreement and selection err and name it (fault 10)."""

    def forget(work: Work) -> None:
        folder = work.run.seed(0)
        arrays = folder.read_arrays("predictions.npz")
        arrays["logits"][:, 6] = -100.0
        folder.write_arrays("predictions.npz", arrays)

    work, notes = compute(small_config(), before("selection", forget))
    outcome = verdicts(work)
    assert outcome["agreement"] == outcome["selection"] == "error"
    assert outcome["accuracy"] in ("pass", "fail")
    estimate = Run(work.run).estimate("agreement")
    assert estimate is not None
    assert "Shirt (0)" in str(estimate.reason)
    assert any("Shirt" in line for line in notes.warned)


@pytest.mark.thorough
def test_constant_maps_are_an_error_not_a_skipped_value(small_config: MakeConfig) -> None:
    """A method that gives constant maps makes agreement an error that counts them (fault 20)."""

    def blank(
        model: PixelClassifier, images: torch.Tensor, targets: torch.Tensor, **_: object
    ) -> torch.Tensor:
        return torch.zeros_like(images)

    attributions.methods._entries["blank"] = Method("blank", "contribution", blank)
    try:
        work, _ = compute(small_config(methods="gradients,blank"))
        assert verdicts(work)["agreement"] == "error"
    finally:
        del attributions.methods._entries["blank"]
    estimate = Run(work.run).estimate("agreement")
    assert estimate is not None
    assert str(estimate.reason).startswith("40 of 40 maps of blank are constant and have no correlation")


@pytest.mark.thorough
def test_a_diverging_loss_ends_the_run_as_an_error(small_config: MakeConfig) -> None:
    """A loss that is NaN or infinite stops training, and the run is judged an error (fault 17)."""
    config = small_config(learning_rate=1e30)
    notes = Notes()
    work = pipeline.prepare(config, notes)
    with pytest.raises(TrainingDiverged, match="epoch 1, step"):
        pipeline.execute(work)
    verdict = judge(work.run)
    assert verdict["verdict"] == "error"
    assert "broke off in stage training: autoencoder: the loss is" in diagnosis.sentence(verdict)
    assert {one.verdict for one in verdict["criteria"]} == {"error"}


@pytest.mark.thorough
def test_methods_can_be_a_subset(small_config: MakeConfig) -> None:
    """Two methods are one pair; the other family is missing with a reason."""
    work, _ = compute(small_config(methods="smoothgrad,gradients"))
    run = Run(work.run)
    pairs = [one.name for one in run.estimates if one.name.startswith("agreement_pair.")]
    assert pairs == ["agreement_pair.smoothgrad-gradients"]
    family = run.estimate("agreement_decoder_family")
    assert family is not None
    assert family.estimate is None
    assert verdicts(work)["agreement"] == "pass"


@pytest.mark.thorough
def test_an_edited_method_is_computed_anew(small_config: MakeConfig, tmp_path: Path) -> None:
    """Maps of a method in another package are not taken from the cache once its source has changed."""
    import importlib.util

    estimates = []
    for factor in ("1.0", "images"):
        (tmp_path / "plugin.py").write_text(
            f"def maps(model, images, targets, **_):\n    return {factor} * images\n"
        )
        spec = importlib.util.spec_from_file_location("plugin", tmp_path / "plugin.py")
        assert spec is not None
        assert spec.loader is not None
        plugin = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(plugin)
        attributions.methods._entries["plugin"] = Method("plugin", "contribution", plugin.maps)
        try:
            work, _ = compute(small_config(methods="gradients,plugin"))
        finally:
            del attributions.methods._entries["plugin"]
        estimate = Run(work.run).estimate("agreement")
        assert estimate is not None
        estimates.append(estimate.estimate)
    assert estimates[0] != estimates[1]


@pytest.mark.thorough
def test_three_seeds_explain_the_same_images(small_config: MakeConfig) -> None:
    """With several seeds the samples are right and sure in each, and estimates join and part the seeds."""
    changes: dict[str, Any] = {"minimum_per_class": 2, "samples_per_class": 3, "confidence": 0.3}
    work, _ = compute(small_config(seeds="0,1,2", epochs=2, classifier_epochs=4, **changes))
    run = Run(work.run)
    table = run.samples
    assert (table["prediction"] == table["label"]).all()
    assert (table["confidence"] > 0.3).all()
    assert [one.seed for one in run.estimates if one.name == "agreement"] == [None, 0, 1, 2]
    joint = run.estimate("agreement")
    assert joint is not None
    assert joint.population == f"{statistics.RECIPE}, on images like these"
    assert joint.low is not None
    parts = [one.estimate for one in run.estimates if one.name == "agreement" and one.seed is not None]
    assert joint.estimate == pytest.approx(np.mean([part or 0.0 for part in parts]))
    assert (work.run / "seed-2/attributions/smoothgrad.npz").is_file()


def test_streams_differ_by_seed_and_purpose() -> None:
    """Each purpose of each seed draws from a stream of its own, the same on every machine."""
    assert len({stream(seed, purpose) for seed in (0, 1) for purpose in ("a", "b")}) == 4
    assert stream(0, "autoencoder") == 58289081514597555


@pytest.mark.parametrize(
    ("flags", "error", "message"),
    [
        ({"methods": "gradient,smoothgrad"}, ConfigurationError, "did you mean 'gradients'"),
        ({"dataset": "fashion-mnst"}, ConfigurationError, "did you mean 'fashion-mnist"),
        ({"recipe": "refrence"}, ConfigurationError, "did you mean 'reference'"),
        ({"model": "k-spars"}, ConfigurationError, "did you mean 'k-sparse'"),
    ],
)
def test_unknown_names_are_refused_before_any_work(
    small_config: MakeConfig, flags: dict[str, Any], error: type[Exception], message: str
) -> None:
    """An unknown name is refused with a suggestion, and no run directory is made (fault 16)."""
    config = small_config(**flags)
    with pytest.raises(error, match=message):
        pipeline.prepare(config, Silence())
    assert not (config.output / "runs").exists()


def test_a_watch_of_what_nobody_measures_is_refused_before_any_work(small_config: MakeConfig) -> None:
    """A night would else be computed before it is found."""
    config = small_config()
    watch = (Watch(measurement="dead_unit", min_change=1.0),)
    config = config.model_copy(update={"nightly": config.nightly.model_copy(update={"watch": watch})})
    with pytest.raises(ConfigurationError, match="did you mean 'dead_units'"):
        pipeline.prepare(config, Silence())
    assert not (config.output / "runs").exists()


def test_cuda_is_refused_where_there_is_none(
    small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`device = cuda` without one is refused before any work (fault 23)."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = small_config(device="cuda")
    with pytest.raises(DeviceError, match="--device cpu"):
        pipeline.prepare(config, Silence())
    assert not (config.output / "runs").exists()


def test_an_output_in_the_way_is_refused_before_training(small_config: MakeConfig, tmp_path: Path) -> None:
    """An output folder that cannot be written to is refused before any work (fault 33)."""
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="taken"):
        pipeline.prepare(small_config(output=tmp_path / "taken"), Silence())


def test_the_data_that_was_judged_is_named(finished: RunDirectory) -> None:
    """Name, sizes and digests of the data stand in the verdict."""
    verdict = finished.read_verdict()
    assert verdict is not None
    assert verdict["dataset"]["name"] == "fashion-mnist-mini"
    assert (verdict["dataset"]["train"], verdict["dataset"]["test"]) == (5000, 2000)
    assert len(verdict["dataset"]["sha256"]) == 4


@pytest.mark.thorough
def test_a_killed_run_goes_on_where_it_was(
    small_config: MakeConfig, small_flags: dict[str, Any], tmp_path: Path
) -> None:
    """A run that is killed after a stage gives, run again, the metrics of an unbroken one (fault 26)."""
    settings: dict[str, Any] = {"seeds": "3", "epochs": 1}
    unbroken, _ = compute(small_config(**settings))
    output = tmp_path / "killed"
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from harness import config, pipeline\n"
        "class Told(pipeline.Silence):\n"
        "    def epochs(self, title, epochs, total):\n"
        "        print(title, flush=True)\n"
        "        return epochs\n"
        "pipeline.execute(pipeline.prepare(config.load(flags=json.loads(sys.argv[1]), "
        "folder=Path(sys.argv[2])), Told()))\n"
    )
    output.mkdir()
    flags = json.dumps(small_flags | settings | {"output": str(output)})
    command = [sys.executable, "-c", code, flags, str(output)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "classifier" in line:
            time.sleep(0.3)
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    work, notes = compute(small_config(output=output, **settings))
    assert notes.trained == ["seed 3: classifier"]
    assert metrics(work.run) == metrics(unbroken.run)


@pytest.mark.thorough
def test_networks_follow_the_arrays_and_not_the_declared_digest(
    small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sets that declare the same share no network; the same arrays under another name do."""
    mini = datasets.load("fashion-mnist-mini")
    flags: dict[str, Any] = {"dataset": "own", "epochs": 1, "classifier_epochs": 1, "k": 8, "code_width": 64}
    upside_down = replace(mini, train_labels=9 - mini.train_labels, test_labels=9 - mini.test_labels)
    trained, inspected = [], []
    for data in (mini, upside_down, mini, replace(upside_down, name="z", sha256={}, source="elsewhere")):
        monkeypatch.setitem(datasets.datasets._entries, "own", lambda *_, data=data: data)
        work, notes = compute(small_config(**flags), pipeline.STAGES[:2])
        trained.append(len(notes.trained))
        inspected.append(work.run.seed(0).read_arrays("predictions.npz")["labels"])
        declared = work.run.read_json("environment.json")["dataset"]["sha256"]
        assert declared == (dict(data.sha256) or {"arrays": work.dataset.digest})
    assert trained == [2, 2, 0, 0]
    assert np.array_equal(inspected[0], 9 - inspected[1])
    assert np.array_equal(inspected[0], inspected[2])


@pytest.mark.thorough
def test_a_second_run_makes_nothing_anew(small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that ships is told by its files: every stage of the same run comes from the cache."""
    compute(small_config())
    made: list[str] = []
    making = Cache.making

    def counted(self: Cache, stage: str, key: str) -> Any:
        made.append(stage)
        return making(self, stage, key)

    monkeypatch.setattr(Cache, "making", counted)
    compute(small_config())
    assert made == []


def hostile(data_dir: Path | None = None) -> Dataset:
    """The small data with class names that try to break out of every format."""
    mini = datasets.fashion_mnist_mini(data_dir)
    names = (
        "</script><img src=x onerror=alert(1)>",
        "{{7*7}}",
        "a\x00\x1b[31mred\x1b[0m\u202eevil",
        "x" * 10_000,
        "| pipe | `code` |",
        '"quoted", comma',
        "=cmd()",
        "naïve 中文",
        "None",
        "&amp;",
    )
    return Dataset(**vars(mini) | {"classes": names, "name": "hostile"})


@pytest.mark.thorough
def test_hostile_names_pass_through_inert(small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Class names with markup, templates and control characters come out as text (faults 44, 45, 46)."""
    from xml.etree import ElementTree

    from harness import report

    monkeypatch.setitem(datasets.datasets._entries, "hostile", hostile)
    work, _ = compute(small_config(dataset="hostile", confidence=0.8))
    judge(work.run)
    page = report.render(work.run).read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "&lt;/script&gt;&lt;img" in page
    assert "{{7*7}}" in page
    assert ">49<" not in page
    for character in ("\x00", "\x1b", "\u202e"):
        assert character not in page
    assert "x" * 400 not in page
    ElementTree.parse(work.run / "junit.xml")
    assert "\u202e" not in (work.run / "junit.xml").read_text(encoding="utf-8")
    assert "<img" not in (work.run / "summary.md").read_text(encoding="utf-8")


# engines of training


@pytest.mark.thorough
def test_a_stack_of_seeds_is_trained_once_and_kept_apart(small_config: Callable[..., Config]) -> None:
    """Stacked seeds come from the cache as the same stack, and never stand for a seed trained alone."""
    short = dict(epochs=1, classifier_epochs=2)
    stages = pipeline.STAGES[:1]

    def trained(**flags: Any) -> tuple[list[str], dict[int, bytes]]:
        work, notes = compute(small_config(**short | flags), stages)
        weights = {seed: work.run.seed(seed) / "weights/classifier.pth" for seed in work.config.seeds}
        return notes.trained, {seed: path.read_bytes() for seed, path in weights.items()}

    both = ["seeds 0, 1: autoencoder", "seeds 0, 1: classifier"]
    first = trained(seeds="0,1", engine="stacked")
    assert first[0] == both
    assert first[1][0] != first[1][1]
    assert trained(seeds="0,1", engine="stacked") == ([], first[1])
    assert trained(seeds="0", engine="stacked")[0] == ["seed 0: autoencoder", "seed 0: classifier"]
    for others in ("1,2", "1,0"):
        trained(seeds=others, engine="stacked")  # the same seeds beside others, and in another order
    assert trained(seeds="0,1", engine="stacked") == ([], first[1])
    lone, _ = trained(seeds="0,1", engine="sparse")
    assert lone == [f"seed {seed}: {stage}" for seed in (0, 1) for stage in ("autoencoder", "classifier")]


@pytest.mark.thorough
def test_recipes_do_not_share_what_was_trained(small_config: Callable[..., Config]) -> None:
    """The same settings under another recipe train anew; under the same one they come from the cache."""
    short = dict(epochs=1, classifier_epochs=1)

    def trained(**flags: Any) -> list[str]:
        return compute(small_config(**short | flags), pipeline.STAGES[:1])[1].trained

    alone = ["seed 0: autoencoder", "seed 0: classifier"]
    assert trained() == alone
    assert trained(recipe="interpretable") == alone
    assert trained(recipe="interpretable") == []
    assert trained(recipe="interpretable", seeds="0,1", engine="stacked") == [
        "seeds 0, 1: autoencoder",
        "seeds 0, 1: classifier",
    ]


def test_an_engine_that_cannot_do_what_is_asked_is_refused(small_config: Callable[..., Config]) -> None:
    """The stacked engine has no bfloat16, and says so before any work."""
    with pytest.raises(ConfigurationError, match=r"encoder_precision.*sparse"):
        pipeline.prepare(small_config(engine="stacked", encoder_precision="bfloat16"), Notes())
    with pytest.raises(ConfigurationError, match=r"engine: 'sparse' is for a CPU"):
        engine(small_config(engine="sparse"), torch.device("cuda"))
    assert engine(small_config(), torch.device("cuda")) == "stacked"
    assert engine(small_config(), torch.device("cpu")) == "sparse"
    other = "interpretable"
    assert engine(small_config(recipe=other), torch.device("cuda")) == "stacked"
    assert engine(small_config(recipe=other), torch.device("cpu")) == "dense"
    assert engine(small_config(recipe=other, engine="stacked"), torch.device("cpu")) == "stacked"


@pytest.mark.thorough
def test_what_nothing_changed_is_not_computed_again(
    small_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with another criterion looks at no image and measures nothing again; its numbers are the same."""
    first, _ = compute(small_config())

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("harness.pipeline.inspection._looked_at", refuse)
    monkeypatch.setattr("harness.pipeline.numbers._measure", refuse)
    looser = tuple(one.model_copy(update={"gate": False}) for one in small_config().criteria)
    other = small_config(strict=True, title="another").model_copy(update={"criteria": looser})
    second, _ = compute(other)
    assert metrics(first.run) == metrics(second.run)
    with pytest.raises(AssertionError, match="computed again"):
        compute(small_config(resamples=301))


@pytest.mark.thorough
def test_a_network_that_computes_otherwise_is_looked_at_anew(
    small_config: Callable[..., Config],
) -> None:
    """The same weights with another k, or another `encode`, are another network to the cache."""

    def dense(work: Work) -> None:
        for network in work.networks.values():
            encoder = network.autoencoder.encoder
            network.autoencoder.encode = nn.Sequential(encoder, nn.ReLU()).forward

    def wider(work: Work) -> None:
        for network in work.networks.values():
            network.autoencoder.k = 40

    clean, _ = compute(small_config())
    units = {
        str(planted): float(
            compute(small_config(), before("inspection", planted))[0]
            .run.seed(0)
            .read_arrays("codes.npz")["l0"]
            .mean()
        )
        for planted in (dense, wider)
    }
    assert clean.run.seed(0).read_arrays("codes.npz")["l0"].mean() <= 32
    assert 32 < units[str(wider)] <= 40
    assert units[str(dense)] > 40


# memory


def exhausted(message: str, chunk_size: int) -> Callable[..., Any]:
    """An `attribute` for which memory runs out with chunks over a size."""
    true = attributions.attribute

    def attribute(model: nn.Module, images: Any, targets: Any, name: str, settings: Any) -> Any:
        if settings["chunk_size"] > chunk_size:
            raise RuntimeError(message)
        return true(model, images, targets, name, settings)

    return attribute


OUT_OF_MEMORY = "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"


@pytest.mark.thorough
def test_exhausted_memory_is_tried_once_more_with_smaller_chunks(
    small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attribution goes on in smaller chunks, says so, and gives the same metrics, but for the order of
    additions (fault 22)."""
    whole, _ = compute(small_config())
    monkeypatch.setattr(attributions, "attribute", exhausted(OUT_OF_MEMORY, 64))
    # without the cache of attributions the maps are made anew
    work, notes = compute(small_config(chunk_size=511))
    pd.testing.assert_frame_equal(Run(work.run).metrics, Run(whole.run).metrics, rtol=1e-5, atol=1e-7)
    assert any("memory ran out with --chunk-size 511; once more with 63" in line for line in notes.warned)


SAID = {
    "CPU": OUT_OF_MEMORY + ": you tried to allocate 9 bytes. Error code 12 (Cannot allocate memory)",
    "CPU on Windows": "[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory",
    "C++": "std::bad_alloc",
    "GPU": "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB",
    "CUDA": "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
    "driver": "CUDA driver error: CUDA_ERROR_OUT_OF_MEMORY",
    "cuBLAS": "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN 8": "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "cuDNN 9": "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "cuSOLVER": "cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`",
    "cuRAND": "CURAND_STATUS_ALLOCATION_FAILED",
}


@pytest.mark.parametrize("who", SAID)
def test_whoever_runs_out_of_memory_is_understood(who: str) -> None:
    """Each allocator's and library's way to say that memory ran out leads to a smaller chunk."""
    notes, sizes = Notes(), []

    def call(settings: Mapping[str, Any]) -> int:
        sizes.append(settings["chunk_size"])
        if len(sizes) == 1:
            raise RuntimeError(SAID[who])
        return len(sizes)

    work: Any = SimpleNamespace(progress=notes, device=torch.device("cpu"))
    assert within_memory(work, "x", {"chunk_size": 80}, call) == 2
    assert sizes == [80, 10]


@pytest.mark.thorough
def test_memory_that_is_exhausted_again_is_an_error(
    small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where smaller chunks do not help either, the run is an error that says what to do (fault 22)."""
    monkeypatch.setattr(attributions, "attribute", exhausted(OUT_OF_MEMORY, 0))
    config = small_config(chunk_size=510)
    with pytest.raises(MemoryExhausted, match="lower --chunk-size"):
        compute(config)
    (run,) = (config.output / "runs").iterdir()
    assert judge(RunDirectory.open(run))["verdict"] == "error"


def test_another_error_of_torch_is_not_taken_for_exhausted_memory(
    small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug keeps its own message, and is not tried again."""
    monkeypatch.setattr(attributions, "attribute", exhausted("shapes cannot be multiplied", 0))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        compute(small_config(chunk_size=509))


# more samples until a gate is decided


def with_threshold(config: Config, threshold: float) -> Config:
    """The configuration with `agreement` at that threshold as the only gate."""
    criteria = tuple(
        one.model_copy(update={"threshold": threshold} if one.id == "agreement" else {"gate": False})
        for one in config.criteria
    )
    return config.model_copy(update={"criteria": criteria})


def agreement(run: RunDirectory) -> Estimate:
    found = Run(run).estimate("agreement")
    assert found is not None
    return found


@pytest.mark.thorough
def test_samples_are_drawn_until_the_pool_is_used_up(small_config: MakeConfig) -> None:
    """At a threshold that more samples do not leave, every planned look is taken, the first samples stay
    among the later ones, and it is said that the gate is still undecided.
    """
    quick: dict[str, Any] = dict(methods="gradients,smoothgrad", smoothgrad_samples=2, confidence=0.7)
    quick |= dict(samples_per_class=8, resamples=100)
    few = compute(small_config(**quick))[0].run
    before = agreement(few)
    assert before.estimate is not None
    config = with_threshold(small_config(until_decided=True, **quick), before.estimate)
    pool = min(row["sure"] for row in few.read_json("samples.json")["yields"])
    first = set(few.read_arrays("samples.npz")["indices"].tolist())
    sizes = statistics.looks(8, pool)
    assert len(sizes) >= 3
    work, notes = compute(config)
    after = agreement(work.run)
    taken = work.run.read_json("samples.json")["looks"]
    assert taken["planned"] == list(sizes)
    labels = work.run.read_arrays("samples.npz")["labels"]
    assert np.bincount(labels).tolist() == [sizes[taken["taken"] - 1]] * 10
    assert first < set(work.run.read_arrays("samples.npz")["indices"].tolist())
    assert after.confidence == pytest.approx(statistics.look_confidence(sizes, 0.95))
    assert after.n > before.n
    undecided = any("still undecided" in line for line in notes.warned)
    assert undecided == (taken["taken"] == len(sizes))


@pytest.mark.thorough
def test_a_decided_gate_draws_no_more(small_config: MakeConfig) -> None:
    """Far from the threshold the first look is the last; its interval is as wide as the plan asks for."""
    work, notes = compute(with_threshold(small_config(until_decided=True), 0.1))
    assert work.run.read_json("samples.json")["looks"]["taken"] == 1
    assert agreement(work.run).confidence > 0.95
    assert not any("undecided" in line for line in (*notes.said, *notes.warned))


@pytest.mark.thorough
def test_what_does_not_rest_on_explained_images_keeps_its_confidence(small_config: MakeConfig) -> None:
    """Accuracy is looked at once, however often samples are drawn."""
    work, _ = compute(with_threshold(small_config(until_decided=True), 0.1))
    accuracy = Run(work.run).estimate("accuracy")
    assert accuracy is not None
    assert accuracy.confidence == 0.95


@pytest.mark.thorough
@pytest.mark.parametrize("part", ["autoencoder", "classifier"])
def test_seeds_that_share_a_part_are_one_network(
    small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Whether one generator served all seeds or only one of the two trainings, the interval would be void."""
    true = stream

    def shared(seed: int, purpose: str) -> int:
        return true(0 if purpose.startswith(part) else seed, purpose)

    monkeypatch.setattr("harness.pipeline.networks.stream", shared)
    monkeypatch.setattr("harness.environment.stream", shared)
    config = small_config(seeds="0,1", epochs=1, classifier_epochs=1, fresh=True)
    work = pipeline.prepare(config, Silence())
    if part == "classifier":
        # codes differ with the autoencoder: the heads are made one by hand
        pipeline.execute(work, pipeline.STAGES[:1])
        first, second = work.networks.values()
        second.classifier.load_state_dict(first.classifier.state_dict())
        with pytest.raises(SeedsAlike, match="seeds 0 and 1 have the same classifier"):
            pipeline.execute(work, pipeline.STAGES[1:])
        return
    with pytest.raises(SeedsAlike, match="seeds 0 and 1 have the same autoencoder"):
        pipeline.execute(work)


@pytest.mark.thorough
def test_what_nobody_can_seed_is_named(small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method, a measurement and a loader that draw from generators of their own; seeded ones are not."""
    for registry in (attributions.methods, measurements.measurements, datasets.datasets):
        monkeypatch.setattr(registry, "_entries", dict(registry.items()))

    @attributions.register("restless", space="sensitivity")
    def restless(model: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> Any:
        return np.random.default_rng().normal(size=images.shape)

    @attributions.register("seeded", space="sensitivity")
    def seeded(model: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> Any:
        return torch.rand_like(images) + float(np.random.rand()) + random.random()  # noqa: NPY002

    @measurements.measurements.register("drifting")
    def drifting(evidence: Any) -> Iterator[Measurement]:
        evidence.logits[:] = 0  # of its own copy
        values = np.random.default_rng().random(3)
        yield Measurement("drifting", "Drifting", "share", None, "mean", values)

    @datasets.datasets.register("shaken")
    def shaken(data_dir: Path | None = None) -> Dataset:
        mini = datasets.fashion_mnist_mini(data_dir)
        return replace(mini, train_labels=np.random.default_rng().permutation(mini.train_labels))

    flags = dict(methods="gradients,restless,seeded", epochs=1, classifier_epochs=3, confidence=0.0)
    named = []
    for name in ("fashion-mnist-mini", "shaken"):
        run = pipeline.run(small_config(dataset=name, **flags))
        verdict = judge(run)
        named.append(verdict["unrepeatable"])
        assert "not repeatable: " + ", ".join(named[-1]) in diagnosis.sentence(verdict)
    assert named == [
        ["restless", "measurement drifting"],
        ["data set shaken", "restless", "measurement drifting"],
    ]
    assert Run.open(run).evidence().logits.any()


@pytest.mark.thorough
def test_a_network_that_somebody_patched_is_not_cached(
    small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a replaced method computed is neither taken for what the harness computes, nor the other way."""
    config = small_config(epochs=1, classifier_epochs=1)
    first = pipeline.run(config)
    true = KSparseAutoencoder.encode
    with monkeypatch.context() as patched:
        patched.setattr(KSparseAutoencoder, "encode", lambda self, images: 2 * true(self, images))
        other = pipeline.run(config)
    third = pipeline.run(config)
    tables = [(one / "metrics.csv").read_text() for one in (first, other, third)]
    assert tables[0] == tables[2] != tables[1]


@pytest.mark.parametrize("baseline", ["mean", 0.5, "zero", None])
def test_a_run_tells_where_its_attributions_start_from(
    baseline: str | float | None, small_config: MakeConfig
) -> None:
    """What networks compute on, and what is read of the run directory without the data, are the same."""
    work = pipeline.prepare(small_config(baseline=baseline, model="mlp"), Silence())
    stored, form = work.dataset.test_images, Run(work.run).form
    assert np.array_equal(work.test_images.numpy(), form.inputs(stored))
    assert form.baseline == (baseline or "zero")
    assert (work.run / "baseline.npz").is_file() == (baseline == "mean")
    np.testing.assert_allclose(form.values(work.test_images.numpy()), stored / 255, atol=1e-6)


@pytest.mark.thorough
def test_a_code_is_taken_from_another_baseline_through_every_stage(small_config: MakeConfig) -> None:
    """Its weights are stored as those of a network of the inputs, and read again by later stages."""
    run = Run(RunDirectory(pipeline.run(small_config(baseline="mean"))))
    state = torch.load(run.directory.seed(0) / "weights/full_autoencoder.pth", weights_only=True)
    assert set(state) == {f"{part}.{name}" for part in ("encoder", "decoder") for name in ("weight", "bias")}
    assert not (run.directory / "failure.json").exists()
    assert run.estimate("reconstruction") is not None


def test_a_run_of_another_baseline_takes_no_network_of_this_one(small_config: MakeConfig) -> None:
    """Its data is other data, to cache and history; where nobody chose, it is what it was."""
    plain, other = (pipeline.loaded(small_config(baseline=one)) for one in (None, "mean"))
    assert plain.digest == replace(plain, baseline="zero").digest != other.digest
    told = [
        identity_of(small_config(), one.name, plain.digest, "cpu", one.form.baseline)
        for one in (plain, other)
    ]
    assert told[1] == told[0] | {"data.baseline": "mean"}
    assert "data.baseline" not in told[0]


# a budget of probes


@pytest.mark.thorough
def test_what_was_asked_of_some_samples_is_judged_of_them(
    small_config: Callable[..., Config],
) -> None:
    """Values of the others are none; a red watched criterion of theirs names its worst, and has no say."""
    criteria = [{"id": "surrogate_fit", "threshold": 1.0}]
    asked = dict(methods="gradients,lime", lime_samples=60, minimum_per_class=2, probe_budget=1)
    work, notes = compute(small_config(criteria=criteria, **asked))
    assert any("ask 20 of 40 images" in text for text in notes.warned)
    values = work.run.read_arrays("measurements/surrogate_fit.npz")["surrogate_fit"]
    assert values.shape[1] == 40
    assert int(np.isfinite(values[0, :, 0]).sum()) == 20
    estimate = Run(work.run).estimate("surrogate_fit")
    assert estimate is not None
    assert estimate.n == 20
    assert estimate.estimate == pytest.approx(float(np.nanmean(values)))
    verdict = judge(work.run)
    (row,) = (one for one in verdict["criteria"] if one.id == "surrogate_fit")
    assert row.verdict == "fail"
    assert len(re.findall(r"\(.*?\) 0\.", diagnosis.worst(work.run, row)[0])) == 3
    assert verdict["verdict"] == "pass"


# maps that have to add up


@pytest.mark.thorough
@pytest.mark.parametrize(("threshold", "outcome"), [(None, "pass"), (1e-9, "fail")])
def test_maps_that_see_jumps_are_judged_by_whether_they_add_up(
    small_config: Callable[..., Config], threshold: float | None, outcome: str
) -> None:
    """As a gate that came with the method; red, it names images and the mend."""
    name = "completeness.switch_aware_integrated_gradients"
    criteria = [] if threshold is None else [{"id": name, "threshold": threshold}]
    methods = "gradients,switch_aware_integrated_gradients"
    work, _ = compute(small_config(methods=methods, criteria=criteria))
    verdict = judge(work.run)
    (row,) = (one for one in verdict["criteria"] if one.id == name)
    assert (row.gate, row.verdict) == (True, outcome)
    said = "; ".join(diagnosis.worst(work.run, row))
    assert ("raise attribution.switch_points (2)" in said) == (outcome == "fail")
    assert said.startswith("test image ")


# a mask of one's own


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros((4, 6)), "whole number for each feature"),
        (np.arange(23), "in the shape .4, 6. or flat"),
        (np.ones((4, 6), dtype=int), "two groups or more"),
        (None, "no .npy file"),
        ({"mask": np.arange(24)}, "archive of several arrays"),
    ],
)
def test_a_mask_that_names_no_groups_is_refused(tmp_path: Path, mask: Any, said: str) -> None:
    """By its file, before any work rests on it."""
    path = tmp_path / "mask.npy"
    with path.open("wb") as stream:
        if mask is None:
            stream.write(b"no array")
        elif isinstance(mask, dict):
            np.savez(stream, **mask)
        else:
            np.save(stream, mask)
    with pytest.raises(ConfigurationError, match=said):
        group_mask(path, (4, 6))


def test_a_mask_is_one_number_a_feature(tmp_path: Path) -> None:
    """Of the inputs' shape, or flat; which numbers they are plays no part."""
    rows = np.arange(24).reshape(4, 6) // 5
    for shape, labels in (((4, 6), rows), ((24,), rows), ((24,), rows.astype(np.uint64) + 2**63)):
        np.save(tmp_path / "mask.npy", labels.reshape(shape))
        assert group_mask(tmp_path / "mask.npy", (4, 6)) == tuple(rows.flatten().tolist())
