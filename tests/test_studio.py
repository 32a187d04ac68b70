"""What the studio answers: the run's own numbers for its own inputs, and what follows from touching them."""

from __future__ import annotations

import base64
import functools
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import attributions, config, datasets, pipeline
from harness.artifacts.directories import RunDirectory
from harness.artifacts.sealing import seal
from harness.attributions import sanity
from harness.attributions.paths import jumps_of
from harness.datasets import Dataset
from harness.errors import DataError, HarnessError, InputError, RunError
from harness.figures import Layout
from harness.measurements.agreement import pairs
from harness.records import Floats
from harness.runs import Run
from harness.samples import confidences
from harness.studio import explaining
from harness.studio.asked import Question
from harness.studio.decision import Decision
from harness.studio.live import KEPT, Live, range_of
from harness.subjects.models import Classifier
from tests.small import SMALL

PARTS = frozenset({"maps", "integrity", "agreement", "deletion", "units", "path"})
PLACES = (0, 7, 23)
"""Of explained inputs, that are asked again."""

SIDE = 28 * 28


@pytest.fixture(scope="module")
def live(finished_output: Path) -> Live:
    """The small run, ready."""
    return Live(Run.open(finished_output / "latest"))


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """A run of series in a unit of their own, from their mean, on a model without a code."""
    output = tmp_path_factory.mktemp("series") / "artifacts"
    flags = SMALL | {"dataset": "bumps", "model": "mlp", "classifier_epochs": 3, "samples_per_class": 3}
    settings = config.load(flags=flags | {"baseline": "mean", "output": output}, folder=output.parent)
    return Live(Run.open(pipeline.run(settings)))


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """A run of colour images, from their mean, on a k-sparse network, by methods that draw."""
    output = tmp_path_factory.mktemp("colour") / "artifacts"
    flags = SMALL | {"dataset": "coloured-fashion-mini", "epochs": 1, "classifier_epochs": 3}
    flags |= {"methods": "gradients,expected_gradients,kernel_shap", "kernel_shap_samples": 200}
    flags |= {"samples_per_class": 3, "confidence": 0.0, "expected_gradients_samples": 10}
    settings = config.load(flags=flags | {"baseline": "mean", "output": output}, folder=output.parent)
    return Live(Run.open(pipeline.run(settings)))


def asking(live: Live, index: int | None, *parts: str, **changed: Any) -> Question:
    """The question of a test input's parts, with fields changed."""
    inputs = changed.pop("inputs", None)
    question = Question(
        run=0,
        seed=live.config.seeds[0],
        target=None,
        against=None,
        methods=None,
        units=(),
        parts=frozenset(parts),
        index=index,
        inputs=live.input(index or 0) if inputs is None else inputs,
    )
    return replace(question, **changed)


def answered(live: Live, index: int | None, *parts: str, **changed: Any) -> dict[str, Any]:
    """The parts of an answer, merged."""
    found: dict[str, Any] = {}
    for part in live.answer(asking(live, index, *parts, **changed)):
        found |= part
    return found


def unpacked(told: dict[str, Any]) -> Floats:
    """The array that was packed."""
    kind = "f32" if "f32" in told else "u32"
    array = np.frombuffer(base64.b64decode(told[kind]), {"f32": "<f4", "u32": "<u4"}[kind])
    return array.reshape(told["shape"])


def sample(live: Live, place: int) -> int:
    """The position in the test set of an explained input."""
    return int(live.run.evidence().indices[place])


def by_method(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """One value of each row, by method."""
    return {row["method"]: row[key] for row in rows}


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["live", "series", "colour"])
def test_the_runs_own_inputs_get_the_runs_own_numbers(name: str, request: pytest.FixtureRequest) -> None:
    """Of an explained input, prediction, maps and agreement are what the run stored."""
    live: Live = request.getfixturevalue(name)
    evidence = live.run.evidence()
    for place in PLACES[: 2 if len(evidence.indices) < 24 else 3]:
        found = answered(live, sample(live, place), "maps", "agreement")
        logits = evidence.logits[sample(live, place)]
        np.testing.assert_allclose(found["prediction"]["logits"], logits, rtol=1e-5, atol=1e-5)
        assert found["prediction"]["class"] == found["target"] == evidence.labels[place]
        assert found["prediction"]["confidence"] == pytest.approx(confidences(logits[None])[0], abs=1e-6)
        assert sum(found["prediction"]["probabilities"]) == pytest.approx(1)
        assert found["changed"] == 0
        for one in found["maps"]:
            stored = evidence.maps[one["method"]]
            size = np.abs(stored.own[place]).max()
            np.testing.assert_allclose(unpacked(one["raw"]), stored.own[place], rtol=0, atol=1e-5 * size)
            contribution = stored.contribution(evidence.images)[place]
            size = np.abs(contribution).max()
            np.testing.assert_allclose(unpacked(one["map"]), contribution, rtol=0, atol=1e-5 * size)
            assert one["space"] == stored.space
            assert one["control"] is stored.control
            assert one["reason"] is None
        assert {one["method"] for one in found["maps"]} == set(evidence.maps)
        agreement = live.run.per_sample("agreement")[0]
        assert found["agreement"]["value"] == pytest.approx(agreement[place], abs=1e-5)


def test_agreement_stands_beside_its_pairs_and_controls(live: Live) -> None:
    """Pairs, controls and the share of inputs that agree less are what the run measured of that input."""
    run = live.run
    found = answered(live, sample(live, 0), "agreement")["agreement"]
    pair = {(a, b): value for a, b, value in found["pairs"]}
    assert list(pair) == pairs(run.evidence().methods)
    for (a, b), value in pair.items():
        stored = run.per_sample(f"agreement_pair.{a}-{b}")[0, 0]
        assert value == pytest.approx(stored, abs=1e-5)
    names = [one["name"] for one in found["controls"]]
    assert names == ["untrained", "image", "reconstruction", "edges", "random", "decoder_reconstruction"]
    for one in found["controls"]:
        name = "control_untrained" if one["name"] == "untrained" else f"control_maps.{one['name']}"
        assert one["value"] == pytest.approx(run.per_sample(name)[0, 0], abs=1e-5), one
        assert one["title"]
    agreement = run.per_sample("agreement")[0]
    for place in PLACES:
        found = answered(live, sample(live, place), "agreement")["agreement"]
        others = np.delete(agreement, place)
        share = (others < agreement[place]).sum() / len(agreement)
        assert found["percentile"] == pytest.approx(share, abs=1.5 / len(agreement))


def test_honest_maps_hold_and_a_wrong_one_does_not(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps are what they claim to be but for one that is not, and only that one is told to be wrong."""
    rows = answered(live, sample(live, 3), "integrity")["integrity"]
    holds = by_method(rows, "holds")
    assert holds.pop("decoder_reconstruction") is None
    assert len(holds) == 4
    assert all(holds.values())
    assert max(by_method(rows, "error")[name] for name in holds) < live.tolerance == rows[0]["tolerance"]
    own = attributions.methods["smoothgrad"]

    @functools.wraps(own.maps)
    def wrong(*given: Any, **known: Any) -> Tensor:
        return own.maps(*given, **known).roll(1, dims=1)

    entries = dict(attributions.methods.items()) | {"smoothgrad": replace(own, maps=wrong)}
    monkeypatch.setattr(attributions.methods, "_entries", entries)
    monkeypatch.setattr(live, "_answers", {})
    rows = answered(live, sample(live, 3), "integrity")["integrity"]
    assert by_method(rows, "holds") == holds | {"smoothgrad": False, "decoder_reconstruction": None}


def test_a_map_that_invents_does_not_hold(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A contribution where the input is the baseline is told, though the sum over directions hardly moves."""
    own = attributions.methods["integrated_gradients"]

    @functools.wraps(own.maps)
    def wrong(model: nn.Module, images: Tensor, targets: Tensor, **known: Any) -> Tensor:
        return own.maps(model, images, targets, **known) + 1e-6 * (images == 0)

    entries = dict(attributions.methods.items()) | {own.name: replace(own, maps=wrong)}
    monkeypatch.setattr(attributions.methods, "_entries", entries)
    monkeypatch.setattr(live, "_answers", {})
    rows = answered(live, sample(live, 3), "integrity")["integrity"]
    assert by_method(rows, "error")[own.name] < live.tolerance
    assert by_method(rows, "holds")[own.name] is False


def test_what_is_known_of_an_input_is_not_computed_again(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page asks by turns for the parts of one decision: each map is made once, and all is as at once."""
    made: list[str] = []
    entries = dict(attributions.methods.items())
    for name, own in entries.items():

        @functools.wraps(own.maps)
        def counted(*given: Any, own: Any = own, **known: Any) -> Any:
            made.append(own.name)
            return own.maps(*given, **known)

        entries[name] = replace(own, maps=counted)
    monkeypatch.setattr(attributions.methods, "_entries", entries)
    monkeypatch.setattr(live, "_answers", {})
    index, parts = sample(live, 2), ("maps", "integrity", "agreement", "deletion")
    whole = answered(live, index, *parts)
    assert len(made) == len(live.methods) + 4  # and of the untrained network
    assert {part: answered(live, index, part)[part] for part in reversed(parts)} == {
        part: whole[part] for part in parts
    }
    some = answered(live, index, *parts, methods=("gradients", "smoothgrad"))
    assert (
        [*by_method(some["maps"], "map")]
        == ["gradients", "smoothgrad"]
        == [*by_method(some["deletion"], "order")]
    )
    assert len(some["agreement"]["pairs"]) == 1
    assert len(made) == len(live.methods) + 4
    answered(live, index, "maps", target=0)
    assert len(made) == 2 * len(live.methods) + 4
    for place in range(2 * KEPT):
        answered(live, place)
    assert len(live._answers) == KEPT


def test_a_network_that_overflows_is_told(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits that are no numbers are no answer."""
    asked = live.of(live.config.seeds[0])
    monkeypatch.setattr(live, "_answers", {})
    with monkeypatch.context() as patch:
        patch.setattr(asked.network.classifier[-1].bias, "data", torch.full((10,), torch.inf))
        with pytest.raises(InputError, match="logits are no numbers"):
            answered(live, sample(live, 0))
    assert live.about["width"] == live.config.model.code_width


def test_a_run_tells_what_it_was_asked_for(live: Live) -> None:
    """By key, as one writes it, without where it lies; and why it is red."""
    told = live.about["settings"]
    assert told["k"] == str(live.config.model.k)
    assert not {"output", "cache", "fresh", "quiet"} & told.keys()
    assert str(live.config.output) not in str(told)
    assert live.about["why"]


def test_the_gap_is_what_the_sum_misses(live: Live) -> None:
    """The gap is the sum of contributions less the logit's change from the baseline, in parts of that."""
    index = sample(live, 5)
    found = answered(live, index, "maps", "integrity", target=2, against=7)
    evidence = live.run.evidence()
    given, start = evidence.logits[index].astype(float), evidence.baseline_logits.astype(float)
    change = (given[2] - given[7]) - (start[2] - start[7])
    for one in found["maps"]:
        gap = by_method(found["integrity"], "gap")[one["method"]]
        if one["method"] not in explaining.COMPLETE:
            assert gap is None, one["method"]
            continue
        total = unpacked(one["map"]).astype(float).sum()
        assert gap == pytest.approx(abs(total - change) / abs(change), rel=1e-3, abs=1e-4)
    assert {one["method"] for one in found["maps"]} & explaining.COMPLETE == {"integrated_gradients"}


ADDED_UP = {
    "integrated_gradients": {"attribution_steps": 400},
    "kernel_shap": {"kernel_shap_samples": 60},
    "shapley_sampling": {"shapley_permutations": 4},
    "deep_lift": {},
    "deeplift_code": {},
    "switch_aware_integrated_gradients": {"attribution_steps": 400},
}
"""By method the settings by which the sum is close."""


@pytest.mark.parametrize("name", ADDED_UP)
def test_methods_called_complete_add_up(live: Live, name: str) -> None:
    """Of each of them the contributions add up to the logit's change; those that need a code ask one's."""
    assert set(ADDED_UP) == explaining.COMPLETE
    coded = "code" in attributions.methods[name].needs
    if package := attributions.methods[name].package:
        pytest.importorskip(package)
    drawn = torch.Generator().manual_seed(2)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = live.of(0).network if coded else Classifier(16, hidden=(12, 8), classes=4).eval()
    image = live.seen(live.input(sample(live, 1))) if coded else torch.rand(1, 16, generator=drawn)
    settings = dict(live.of(0).settings) | ADDED_UP[name]
    if not coded:
        settings |= {"shape": (4, 4), "axes": ("row", "column"), "grain": 1}
    decision = Decision.of(image, 2, None)
    found = explaining.explained(model, decision, name, settings)
    with torch.no_grad():
        change = float((model(image) - model(torch.zeros_like(image)))[0, 2])
    assert abs(change) > 0.01
    assert explaining.completeness_gap(found, change) == pytest.approx(0, abs=2e-2)


def by_hand(live: Live, inputs: Floats) -> tuple[Floats, Callable[[Floats], Floats], Floats]:
    """The code of an input, the classifier on codes, and the decoder's atoms: numpy alone, float64."""
    weights = {name: one.double().numpy() for name, one in live.of(0).network.state_dict().items()}
    h = weights["autoencoder.encoder.weight"] @ inputs.astype(float) + weights["autoencoder.encoder.bias"]
    codes = np.zeros_like(h)
    best = np.argsort(-np.maximum(h, 0))[: live.config.model.k]
    codes[best] = np.maximum(h, 0)[best]

    def logits(codes: Floats) -> Floats:
        for number in (0, 3, 6):
            weight, bias = (weights[f"classifier.{number}.{one}"] for one in ("weight", "bias"))
            codes = weight @ (np.maximum(codes, 0) if number else codes) + bias
        return codes

    return codes, logits, weights["autoencoder.decoder.weight"].T


def test_switched_units_do_what_a_forward_pass_does(live: Live) -> None:
    """With units off, clamped and doubled, logits and reconstruction are those of the changed code."""
    index = sample(live, 1)
    codes, logits, atoms = by_hand(live, live.input(index))
    off, double = (int(unit) for unit in np.flatnonzero(codes)[:2])
    asleep = int(np.flatnonzero(codes == 0)[0])
    switches = ((off, "set", 0.0), (double, "times", 2.0), (asleep, "set", 1.5))
    found = answered(live, index, units=switches)
    bias = live.of(0).network.autoencoder.decoder.bias.detach().numpy()
    np.testing.assert_allclose(found["prediction"]["logits"], logits(codes), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(unpacked(found["reconstruction"]), codes @ atoms + bias, atol=1e-4)
    codes[off], codes[asleep] = 0, 1.5
    codes[double] *= 2
    edited = found["edited"]
    np.testing.assert_allclose(edited["logits"], logits(codes), rtol=1e-4, atol=1e-4)
    assert edited["class"] == int(np.argmax(logits(codes)))
    np.testing.assert_allclose(unpacked(edited["reconstruction"]), codes @ atoms + bias, atol=1e-4)
    assert not np.allclose(edited["logits"], found["prediction"]["logits"], atol=1e-3)
    assert answered(live, index)["edited"] is None


def test_units_are_told_by_what_they_add(live: Live) -> None:
    """Contributions are activation times slope of the explained difference, the largest first."""
    index = sample(live, 2)
    codes, logits, atoms = by_hand(live, live.input(index))
    found = answered(live, index, "units", target=4, against=6)["units"]
    assert len(found) == 20

    def added(unit: int) -> float:
        step = np.zeros_like(codes)
        step[unit] = 1e-6
        change = logits(codes + step) - logits(codes - step)
        return float(codes[unit] * (change[4] - change[6]) / 2e-6)

    whole = {unit: added(unit) for unit in np.flatnonzero(codes).tolist()}
    ranked = sorted(whole, key=lambda unit: -abs(whole[unit]))
    for unit, row in zip(ranked, found, strict=False):
        assert row["contribution"] == pytest.approx(whole[row["unit"]], rel=1e-2, abs=1e-4)
        assert row["activation"] == pytest.approx(codes[row["unit"]], rel=1e-4)
        assert abs(row["contribution"]) == pytest.approx(abs(whole[unit]), rel=1e-2, abs=1e-4)
        np.testing.assert_allclose(unpacked(row["atom"]), atoms[row["unit"]], rtol=1e-6)


def test_a_contrast_is_the_difference_of_two_maps(live: Live) -> None:
    """The map of f_y - f_other is the one less the other, and holds to its own definition."""
    index = sample(live, 4)
    one, other, both = (
        answered(live, index, "maps", "integrity", target=target, against=against)
        for target, against in ((1, None), (5, None), (1, 5))
    )
    assert (both["target"], both["against"]) == (1, 5)
    shown = [{row["method"]: row for row in found["maps"]} for found in (one, other, both)]
    for name, row in shown[2].items():
        first, second, found = (unpacked(rows[name]["map"]) for rows in shown)
        expected = first if row["control"] else first - second
        np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(first).max())
        error = by_method(both["integrity"], "error")[name]
        assert (error is None) == row["control"]
        assert error is None or error < live.tolerance


def test_a_class_against_itself_is_explained_alone(live: Live) -> None:
    """While one paints, the predicted class may come to be the other one: it is then no contrast."""
    index = sample(live, 0)
    label = int(live.run.evidence().labels[0])
    found = answered(live, index, "agreement", against=label)
    assert found["against"] is None
    assert found["agreement"]["percentile"] is not None
    assert answered(live, index, "agreement", against=(label + 1) % 10)["agreement"]["percentile"] is None


class Difference(nn.Module):
    """A model whose only logit is by how much one class exceeds another."""

    def __init__(self, model: nn.Module, target: int, against: int) -> None:
        super().__init__()
        self.model, self.classes = model, (target, against)

    def forward(self, images: Tensor) -> Tensor:
        first, second = self.classes
        logits = self.model(images)
        return torch.as_tensor(logits[:, first : first + 1] - logits[:, second : second + 1])


@pytest.mark.parametrize("name", sorted(explaining.LINEAR - {"decoder_weighted"}))
def test_methods_called_linear_are(name: str) -> None:
    """Of each of them the map of a model of the difference is the difference of the maps."""
    drawn = torch.Generator().manual_seed(2)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = Classifier(16, hidden=(12, 8), classes=4).eval()
    image = torch.rand(1, 16, generator=drawn)
    settings: dict[str, Any] = {"noise_seed": 3, "chunk_size": 64, "shape": (4, 4), "axes": ("row", "column")}
    settings |= {"attribution_steps": 5, "smoothgrad_samples": 4, "kernel_shap_samples": 40, "grain": 1}
    settings |= {"references": torch.rand(3, 16, generator=drawn), "shapley_permutations": 4}
    found = explaining.explained(model, Decision.of(image, 2, 0), name, settings)
    only = torch.zeros(1, dtype=torch.int64)
    whole = attributions.attribute(Difference(model, 2, 0), image, only, name, settings).own
    torch.testing.assert_close(found.own, whole, rtol=1e-4, atol=1e-5 * float(whole.abs().max()))
    assert float(whole.abs().max()) > 0


def test_a_method_without_contrasts_says_so(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method of which no map of a difference is known gives a reason in its place, and no light."""
    monkeypatch.setattr(explaining, "LINEAR", explaining.LINEAR - {"smoothgrad"})
    found = answered(live, sample(live, 0), *PARTS, target=0, against=3)
    row = next(one for one in found["maps"] if one["method"] == "smoothgrad")
    assert row["map"] is row["raw"] is None
    assert row["reason"] == explaining.NO_CONTRAST
    light = next(one for one in found["integrity"] if one["method"] == "smoothgrad")
    assert light["holds"] is light["error"] is light["gap"] is None
    assert "smoothgrad" not in by_method(found["deletion"], "shares")
    assert all("smoothgrad" not in pair for pair in found["agreement"]["pairs"])


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["live", "colour"])
def test_deletion_follows_each_methods_order(name: str, request: pytest.FixtureRequest) -> None:
    """Probabilities are the run's own, and those of the image without the features that are ranked first."""
    live: Live = request.getfixturevalue(name)
    index, features = sample(live, 6), live.about["features"]
    found = answered(live, index, "maps", "deletion")
    network, evidence = live.of(0).network, live.run.evidence()
    image, target = live.seen(live.input(index)), torch.tensor([found["target"]])
    orders = {one["method"]: torch.from_numpy(unpacked(one["map"]).copy())[None] for one in found["maps"]}
    curves, _ = sanity.curves(network, image, target, orders)
    assert list(orders) == [one["method"] for one in found["deletion"]]
    for number, row in enumerate(found["deletion"]):
        np.testing.assert_allclose(row["probabilities"], curves[number, 0], atol=1e-6)
        ranks = unpacked(row["order"]).astype(int)
        assert sorted(ranks) == list(range(features))
        for step in (1, 10, 30):
            left = image.clone()
            left[0, torch.from_numpy(ranks < round(row["shares"][step] * features))] = 0
            with torch.no_grad():
                share = float(network(left).softmax(dim=1)[0, target])
            assert row["probabilities"][step] == pytest.approx(share, abs=1e-5)
    stored = evidence.sanity["curves"]
    gradients = stored["deletion"][list(stored["orders"]).index("gradients"), 6]
    row = next(one for one in found["deletion"] if one["method"] == "gradients")
    np.testing.assert_allclose(row["probabilities"], gradients, atol=1e-3)


def test_the_path_jumps_where_units_swap(live: Live) -> None:
    """Jumps are those of the path, and the logit goes from the baseline's to the input's."""
    index = sample(live, 8)
    found = answered(live, index, "path")
    network = live.of(0).network
    image, target = live.seen(live.input(index)), torch.tensor([found["target"]])
    whole, path = jumps_of(network, image, target), found["path"]
    there = whole.levels[0] > 0
    assert len(path["jumps"]) == int(there.sum()) > 0
    for key, values in (("t", whole.positions), ("size", whole.jumps)):
        np.testing.assert_allclose([one[key] for one in path["jumps"]], values[0, there], atol=1e-6)
    for key, values in (("leaving", whole.leaving), ("entering", whole.entering)):
        assert [one[key] for one in path["jumps"]] == values[0, there].tolist()
    logits = found["prediction"]["logits"][found["target"]]
    assert path["logit"][-1] == pytest.approx(logits, abs=1e-4)
    assert path["logit"][0] == pytest.approx(
        float(live.run.evidence().baseline_logits[found["target"]]), abs=1e-4
    )
    assert (path["t"][0], path["t"][-1]) == (0, 1)
    codes, _, _ = by_hand(live, live.input(index))
    weights = network.autoencoder.encoder
    h = np.sort(weights(image)[0].detach().numpy())[::-1]
    k = live.config.model.k
    expected = (h[k - 1] - max(h[k], 0)) / h[k - 1] if (codes > 0).sum() == k else None
    assert path["nearest_tie"] == pytest.approx(expected, abs=1e-4)


def test_the_path_of_a_contrast_is_the_difference(live: Live) -> None:
    """Along the path, and at its jumps, the explained number is the one logit less the other."""
    index = sample(live, 8)
    one, other, both = (
        answered(live, index, "path", target=target, against=against)["path"]
        for target, against in ((1, None), (5, None), (1, 5))
    )
    difference = np.array(one["logit"]) - np.array(other["logit"])
    np.testing.assert_allclose(both["logit"], difference, atol=1e-5)
    sizes = [[jump["size"] for jump in path["jumps"]] for path in (one, other, both)]
    np.testing.assert_allclose(sizes[2], np.subtract(sizes[0], sizes[1]), atol=1e-5)


def test_a_model_without_a_code_answers_what_it_can(series: Live) -> None:
    """Units, path and reconstruction are absent, and all else is there."""
    found = answered(series, sample(series, 0), *PARTS, units=((0, "set", 0.0),))
    assert found["units"] is found["path"] is found["reconstruction"] is found["edited"] is None
    assert "code" not in series.about["capabilities"]
    assert all(by_method(found["integrity"], "holds").values())
    assert [one["name"] for one in found["agreement"]["controls"]][1:] == [
        "image",
        "edges",
        "random",
        "smooth",
    ]
    assert {one["method"] for one in found["deletion"]} == set(series.methods)


def test_a_colour_network_from_a_mean_holds(colour: Live) -> None:
    """Where attributions start from a mean image, inputs and reconstructions are in the data's own scale."""
    index = sample(colour, 0)
    stored = colour.dataset.test_images[index].astype(np.float32) / 255
    np.testing.assert_allclose(colour.input(index), stored, rtol=1e-6)
    found = answered(colour, index, *PARTS)
    rebuilt = colour.run.evidence().reconstructions[0] + colour.form.reference
    np.testing.assert_allclose(unpacked(found["reconstruction"]), rebuilt, atol=1e-5)
    held = by_method(found["integrity"], "holds")
    assert held["gradients"] is held["expected_gradients"] is True
    assert held["kernel_shap"] is None or held["kernel_shap"] is True
    assert colour.about["range"] == [0, 1]
    assert len(found["units"]) > 0
    assert unpacked(found["units"][0]["atom"]).shape == (3 * SIDE,)


@pytest.mark.parametrize("name", ["live", "series", "colour"])
def test_what_is_told_of_a_run_is_plain(name: str, request: pytest.FixtureRequest) -> None:
    """All that the page needs to ask stands in it, as plain values."""
    live: Live = request.getfixturevalue(name)
    about = json.loads(json.dumps(live.about, allow_nan=False))
    assert about["features"] == np.prod(about["shape"]) == len(live.input(0))
    assert about["tests"] == len(live.dataset.test_images)
    assert about["seed"] in about["seeds"]
    assert about["noun"] == live.form.one
    assert [one["name"] for one in about["methods"]] == list(live.methods)
    assert [one["index"] for one in about["samples"]] == live.run.evidence().indices.tolist()
    assert about["classes"] == list(live.run.classes)
    low, high = about["range"]
    whole = np.stack([live.input(index) for index in range(about["tests"])])
    assert low <= whole.min() < whole.max() <= high
    verdict = None if live.run.verdict is None else live.run.verdict["verdict"]
    assert about["verdict"] == verdict


@pytest.mark.parametrize("scale", [None, 1.0, 1 / 16, 3.5])
@pytest.mark.parametrize("stored", [np.uint8, np.float32])
@pytest.mark.parametrize("highest", [16, 200])
def test_a_page_draws_between_what_the_data_reaches(scale: float | None, stored: type, highest: int) -> None:
    """Whatever type the numbers are stored as, and whatever they are multiplied with, as a report draws."""
    images: Any = np.zeros((40, 64), dtype=stored)
    images[7, 5] = highest
    labels: Any = np.arange(40) % 2
    halves = images[:20], labels[:20], images[20:], labels[20:]
    data = Dataset("own", *halves, ("a", "b"), (8, 8), {}, "here", scale=scale)
    layout = Layout.of(data.form, data.inputs(np.concatenate([data.train_images, data.test_images])))
    assert range_of(data) == (float(layout.low), float(layout.high))
    assert range_of(data)[1] == pytest.approx(max(1, highest * data.form.scale))


def test_a_built_in_set_of_other_numbers_than_bytes_is_bright() -> None:
    """The digits' 17 grey levels are brightness from 0 to 1."""
    assert range_of(datasets.load("digits")) == (0, 1)


@pytest.mark.parametrize("name", ["live", "series"])
def test_an_empty_input_is_answered(name: str, request: pytest.FixtureRequest) -> None:
    """Where the input is the baseline nothing is added: what cannot be told is absent, and none is NaN."""
    live: Live = request.getfixturevalue(name)
    found = answered(live, None, *PARTS, inputs=live.form.reference.copy())
    json.dumps(found, allow_nan=False)
    assert found["changed"] is None
    assert found["agreement"]["value"] is found["agreement"]["percentile"] is None
    assert all(gap is None for gap in by_method(found["integrity"], "gap").values())


def test_only_what_was_asked_for_is_computed(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prediction comes first and alone, and no method is asked where no part needs its map."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    index = sample(live, 0)
    monkeypatch.setattr("harness.studio.answer.explained", never)
    assert [*map(set, live.answer(asking(live, index, "units", "path")))] == [
        {"prediction", "target", "against", "changed", "reconstruction", "edited"},
        {"units"},
        {"path"},
    ]
    steps = live.answer(asking(live, index, "maps"))
    assert "prediction" in next(steps)
    with pytest.raises(AssertionError, match="asked"):
        next(steps)


def test_only_the_methods_that_were_asked_for_answer(live: Live) -> None:
    """Some of the methods are compared with one another, and with no run of all of them."""
    found = answered(live, sample(live, 0), *PARTS, methods=("gradients", "smoothgrad"))
    assert [one["method"] for one in found["maps"]] == ["gradients", "smoothgrad"]
    assert [one["method"] for one in found["integrity"]] == ["gradients", "smoothgrad"]
    assert [pair[:2] for pair in found["agreement"]["pairs"]] == [["gradients", "smoothgrad"]]
    assert found["agreement"]["percentile"] is None


def test_of_no_method_nothing_is_told(live: Live) -> None:
    """Where none is asked there is no map, and no agreement beside controls of none."""
    found = answered(live, sample(live, 0), *PARTS, methods=())
    assert found["maps"] == found["integrity"] == found["deletion"] == []
    assert found["agreement"] is None
    assert found["units"]


def test_a_touched_input_is_told_by_how_much(live: Live) -> None:
    """The largest change from the test input is told; its maps are those of what was painted."""
    index = sample(live, 0)
    painted = live.input(index)
    painted[300:330] = 0.75
    found = answered(live, index, "maps", inputs=painted)
    assert found["changed"] == pytest.approx(float(np.abs(painted - live.input(index)).max()))
    expected = attributions.explain(
        live.of(0).network, torch.from_numpy(painted), found["target"], "gradients", **live.of(0).settings
    )
    shown = by_method(found["maps"], "map")["gradients"]
    np.testing.assert_allclose(unpacked(shown), expected["gradients"][0], rtol=1e-5, atol=1e-6)


REFUSED: dict[str, dict[str, Any]] = {
    "inputs: must be 784": {"inputs": np.zeros(12, dtype=np.float32)},
    "seed: must be": {"seed": 9},
    "methods: must be some of": {"methods": ("occlusion",)},
    "target: must be in 0..9": {"target": 10},
    "against: must be in 0..9": {"against": -1},
    "index: must be in 0..1999": {"index": 2000},
    "units: must be in 0..255": {"units": ((256, "set", 0.0),)},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_the_run_does_not_have_is_refused(live: Live, said: str) -> None:
    """A question that cannot be meant is refused in one line."""
    with pytest.raises(InputError, match=said) as caught:
        list(live.answer(replace(asking(live, 0), **REFUSED[said])))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="index: must be"):
        live.input(-1)


def test_a_run_of_other_data_is_refused(
    finished_output: Path, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data must be what the run was computed of."""
    fewer = replace(
        live.dataset, test_images=live.dataset.test_images[1:], test_labels=live.dataset.test_labels[1:]
    )
    monkeypatch.setattr(pipeline, "loaded", lambda _: fewer)
    with pytest.raises(DataError, match="was computed of other data"):
        Live(Run.open(finished_output / "latest"))


def test_a_run_without_its_weights_is_refused(finished: RunDirectory) -> None:
    """What is missing is told by its name."""
    (finished / "seed-0/weights/classifier.pth").unlink()
    with pytest.raises(HarnessError, match=r"classifier\.pth") as caught:
        Live(Run(finished))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["another", "gone", "gone, and never sealed"])
def test_every_seeds_weights_are_looked_at_before_any_is_asked(finished: RunDirectory, how: str) -> None:
    """A second seed whose weights are not as they were is refused at the door, by its file's name."""
    shutil.copytree(finished / "seed-0", finished / "seed-1")
    config = (finished / "config.toml").read_text()
    assert "seeds = [0]" in config or "seeds = [\n    0,\n]" in config, config
    config = re.sub(r"(?m)^seeds = \[\s*0,?\s*\]", "seeds = [0, 1]", config)
    (finished / "config.toml").write_text(config)
    (finished / "verdict.json").unlink()
    seal(finished.path)
    Live(Run(RunDirectory.open(finished.path)))
    file = finished / "seed-1/weights/classifier.pth"
    if how == "another":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    else:
        file.unlink()
    if "never" in how:
        (finished / "manifest.json").unlink()
    with pytest.raises(RunError, match=r"seed-1/weights/classifier\.pth: (is not as it was|missing)"):
        Live(Run(RunDirectory.open(finished.path)))
