"""The comparison with peers compares like with like, and tells what it found. No time is asserted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness import datasets
from harness.attributions import attribute, groups, sanity
from harness.datasets import Dataset
from harness.measurements.location import gini
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier
from tests.benchmarks import gpu, peers, ratios


@pytest.fixture(scope="module")
def data() -> Dataset:
    """The small set."""
    return datasets.load("fashion-mnist-mini", None)


@pytest.fixture(scope="module")
def images(data: Dataset) -> Tensor:
    """Six hundred training images."""
    return torch.from_numpy(data.train_images[:600].copy()).float() / 255


def test_ratios_are_theirs_over_ours() -> None:
    """Rounds are compared pair by pair, and the whole is the ratio of the sums."""
    told = ratios.paired([1.0, 2.0, 4.0], [3.0, 4.0, 4.0])
    assert (told["low"], told["median"], told["high"]) == (1.0, 2.0, 3.0)
    assert told["whole"] == 11 / 7
    assert (told["ours_s"], told["theirs_s"], told["rounds"]) == (2.0, 4.0, 3)


def test_the_peers_train_the_same_networks() -> None:
    """A tutorial's networks have the shapes of ours, and give the same codes from the same weights."""
    ours, theirs = KSparseAutoencoder(), peers.PlainAutoencoder()
    theirs.load_state_dict(ours.state_dict())
    pixels = torch.rand(5, 784)
    torch.testing.assert_close(theirs(pixels), ours(pixels))
    head = peers.plain_classifier()
    head.load_state_dict(Classifier().state_dict())
    assert [str(layer) for layer in head] == [str(layer) for layer in Classifier()]


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_captum_explains_what_we_explain(images: Tensor) -> None:
    """Both settings of captum give our maps; SmoothGrad draws noise of its own, so only its shape is told."""
    network = PixelClassifier(KSparseAutoencoder(), Classifier()).eval()
    few = images[:4]
    with torch.no_grad():
        targets = network(few).argmax(dim=1)
    equal = peers.captum_at_equal_memory(network, few, targets, 8)
    for method, calls in peers.captum_methods(network, few, targets).items():
        calls["equal memory"] = equal[method]
        found = [call() for call in calls.values()]
        assert all(one.shape == few.shape for one in found)
        if method != "smoothgrad":
            ours = attribute(network, few, targets, method).own
            for one in found:
                relative = (one - ours).abs().amax(dim=1) / ours.abs().amax(dim=1)
                assert (relative < 1e-4).sum() >= 3  # one near-tie of the top-k among four is allowed


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_captum_takes_as_many_groups_away(images: Tensor) -> None:
    """As many inputs go through the model as ours is told to ask, and occlusion is ours to rounding."""
    network, few = ratios.convolutional(), images[:2]
    with torch.no_grad():
        targets = network(few).argmax(dim=1)
    seen = []
    network.register_forward_hook(lambda _module, given, _logits: seen.append(len(given[0])))
    calls = peers.captum_without_groups(
        network, few, targets, groups.blocks(784), {"kernel_shap": 60, "lime": 50}, 64
    )
    for method, samples in (("kernel_shap", 60), ("lime", 50)):
        seen.clear()
        calls[method]()
        assert abs(sum(seen) - 2 * samples) <= 4  # captum asks once more for the output's type
    found = calls["occlusion"]()
    assert isinstance(found, Tensor)
    ours = attribute(ratios.convolutional(), few, targets, "occlusion").own
    torch.testing.assert_close(found.flatten(1) * (few != 0), ours, rtol=1e-3, atol=1e-5)
    told = ratios.take_away(ratios.convolutional(), few, 1, "general_")
    assert list(told) == [f"general_{name}_vs_captum" for name in ("kernel_shap", "lime", "occlusion")]


@pytest.mark.filterwarnings("ignore")
def test_quantus_measures_what_we_measure(images: Tensor) -> None:
    """A tutorial's network has our logits, and from the same maps and draws Quantus has our numbers."""
    network = PixelClassifier(KSparseAutoencoder(), Classifier()).eval()
    plain = peers.PlainNetwork(network.autoencoder.encoder, network.classifier).eval()
    few = images[:4]
    with torch.no_grad():
        targets = network(few).argmax(dim=1)
        torch.testing.assert_close(plain(few.reshape(-1, 1, 28, 28)), network(few))
    maps = attribute(network, few, targets, "integrated_gradients").own
    draws = 0.02 * (2 * torch.rand(2, 784, generator=torch.Generator().manual_seed(0)) - 1)
    calls = peers.quantus_metrics(plain, few, targets, maps, draws)
    found = {name: call() for name, call in calls.items()}
    assert found["concentration"] == pytest.approx(gini(maps.numpy()), abs=1e-3)
    ours = sanity.max_sensitivity(
        lambda points, classes: attribute(network, points, classes, "integrated_gradients").own,
        few,
        targets,
        draws=2,
        generator=torch.Generator().manual_seed(0),
    )
    close = [abs(a - b) < 1e-3 * b for a, b in zip(ours.tolist(), found["max_sensitivity"], strict=True)]
    assert sum(close) >= 3  # one near-tie of the top-k among four is allowed
    assert len(found["deletion"][0]) == 28
    assert list(found["randomisation"]) == [
        "original",
        "classifier.6",
        "classifier.3",
        "classifier.0",
        "encoder",
    ]


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_metrics_are_compared_one_by_one_and_together(images: Tensor) -> None:
    """Each metric has its ratio, and all of them together have that of the sums."""
    network = PixelClassifier(KSparseAutoencoder(), Classifier()).eval()
    told = ratios.judge_explanations(network, images[:2], rounds=1)
    names = ("deletion", "concentration", "max_sensitivity", "randomisation")
    assert list(told) == [*(f"{name}_vs_quantus" for name in names), "metrics_vs_quantus"]
    for side in ("ours_s", "theirs_s"):
        total = sum(told[f"{name}_vs_quantus"][side] for name in names)
        assert told["metrics_vs_quantus"][side] == pytest.approx(total)
    json.dumps(told, allow_nan=False)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_all_three_loops_train(data: Dataset, images: Tensor, tmp_path: Path) -> None:
    """Each loop passes its rounds over the same images, torchvision's from its own kind of files."""
    labels = torch.from_numpy(data.train_labels[:600].copy()).long()
    peers.write_as_torchvision_wants(data.train_images[:600], data.train_labels[:600], tmp_path)
    told, network = ratios.train(images, labels, tmp_path, rounds=2, each=(1, 1))
    assert set(told) == {"training_vs_in_memory_loop", "training_vs_tutorial_loop"}
    assert all(one["rounds"] == 2 and 0 < one["low"] <= one["median"] <= one["high"] for one in told.values())
    assert not network.training
    told |= ratios.train_interpretable(images, labels, rounds=2, each=(1, 1))
    assert told["interpretable_vs_plain_loop"]["rounds"] == 2
    told |= ratios.explain(network, images[:3], rounds=1)
    wanted = {f"{method}_vs_captum" for method in ("gradients", "integrated_gradients", "smoothgrad")}
    assert wanted <= set(told)
    told |= ratios.see_jumps(network, images[:3], rounds=1)
    assert "integrated_gradients_vs_switch_aware_integrated_gradients" in told
    told |= ratios.explain_generally(images[:3], rounds=1)
    assert {f"general_{name}" for name in wanted} <= set(told)
    lines = ratios.rooflines(images, network, {"matrix_product_gflops": 100.0, "copy_gb_s": 10.0})
    assert all(line["ms"] > 0 and line["bytes"] > 0 for line in lines.values())
    json.dumps(told | lines, allow_nan=False)


@pytest.mark.thorough
@pytest.mark.parametrize(("curve", "value"), [("samples", 5), ("steps", 2), ("k", 3), ("code_width", 64)])
def test_a_point_of_a_curve_has_time_and_memory(
    curve: str, value: int, monkeypatch: pytest.MonkeyPatch, images: Tensor, data: Dataset
) -> None:
    """Each curve's point tells seconds and peak memory."""
    few: Callable[..., Dataset] = lambda *_: data  # noqa: E731
    monkeypatch.setattr(datasets, "load", few)
    point = ratios.grow(curve, value)
    assert point["value"] == value
    assert point["seconds"] > 0
    assert point["peak_mb"] > 0


def test_a_gpus_targets_are_told_met_or_not() -> None:
    """One seed's time is the better of its two runs'; five seeds are held against it."""

    def ran(seconds: float, training: float) -> dict[str, object]:
        return {"seconds": seconds, "stages": {"training": training}}

    def told(*seconds: float, different: list[str]) -> dict[str, dict[str, float]]:
        jobs = {name: ran(one, one / 2) for name, one in zip(gpu.SEEDS, seconds, strict=True)}
        found = gpu.told(jobs, different)
        assert found["equal_to_the_bit"] == (not different)
        targets: dict[str, dict[str, float]] = found["targets"]
        return targets

    targets = told(25.0, 20.0, 39.0, different=[])
    assert [one["got"] for one in targets.values()] == [20.0, 39 / 20]
    assert all(one["met"] for one in targets.values())
    targets = told(40.0, 31.0, 63.0, different=["estimates.json"])
    assert not any(one["met"] for one in targets.values())
