"""The recipe `interpretable`: each part by what it does, and without any the reference recipe."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import environment
from harness.records import Epoch
from harness.subjects import interpretable, stacked, training
from harness.subjects.interpretable import PARTS, REFERENCE, Parts, strongest
from harness.subjects.models import Classifier, KSparseAutoencoder
from harness.subjects.sparse.structure import is_sparse_autoencoder

N, PIXELS, UNITS, K = 24, 12, 16, 3
SEEDS = (3, 4)
RECIPE: dict[str, Any] = dict(epochs=6, batch_size=8, learning_rate=0.01)
IMAGES = torch.rand(N, PIXELS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(N) % 3
SMALL = replace(PARTS, auxiliary=4, patience=2)
QUIET = replace(SMALL, autoencoder_noise=0.0, classifier_noise=0.0)


def generators(seeds: tuple[int, ...] = SEEDS) -> list[torch.Generator]:
    """One for each seed."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def autoencoders(seeds: tuple[int, ...] = SEEDS, units: int = UNITS) -> list[KSparseAutoencoder]:
    """Fresh ones."""
    made = []
    for seed in seeds:
        with environment.seeded(seed):
            made.append(KSparseAutoencoder(K, PIXELS, units).double())
    return made


def classifiers(seeds: tuple[int, ...] = SEEDS) -> list[Classifier]:
    """Fresh ones, without dropout."""
    made = []
    for seed in seeds:
        with environment.seeded(seed):
            made.append(Classifier(UNITS, (6,), classes=3, dropout=0.0).double())
    return made


def autoencoded(parts: Parts, seeds: tuple[int, ...] = SEEDS, **recipe: Any) -> Any:
    """Trained autoencoders, and the log of their training."""
    models = autoencoders(seeds)
    with environment.seeded(1):
        log = list(
            interpretable.train_autoencoders(
                models, IMAGES, generators(seeds), parts=parts, **(RECIPE | recipe)
            )
        )
    return models, log


def classified(parts: Parts, seeds: tuple[int, ...] = SEEDS, **recipe: Any) -> Any:
    """Trained classifiers on the codes of fresh autoencoders, and the log of their training."""
    models, encoders = classifiers(seeds), autoencoders(seeds)
    before = copy.deepcopy(encoders)
    with environment.seeded(1):
        log = list(
            interpretable.train_classifiers(
                models, encoders, IMAGES, LABELS, generators(seeds), parts=parts, **(RECIPE | recipe)
            )
        )
    for one, other in zip(encoders, before, strict=True):
        assert_same(one, other, exactly=True)  # an encoder is left as it is
    return models, log


Stage = Callable[..., Any]
STAGES = pytest.mark.parametrize("stage", [autoencoded, classified])


def assert_same(one: nn.Module, other: nn.Module, *, exactly: bool = False) -> None:
    """Whether two networks have the same weights, to the bit or to rounding."""
    relative, absolute = (0.0, 0.0) if exactly else (1e-7, 1e-9)
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=relative, atol=absolute)


def told(log: list[tuple[Epoch, ...]]) -> list[list[tuple[float, float | None]]]:
    """Losses and accuracies."""
    return [[(one.loss, one.accuracy) for one in epoch] for epoch in log]


def test_without_any_part_it_is_the_recipe_reference() -> None:
    """Both stages: the same losses, accuracies and weights."""
    models, log = autoencoded(REFERENCE)
    same = autoencoders()
    assert told(list(stacked.train_autoencoders(same, IMAGES, generators(), **RECIPE))) == told(log)
    for one, other in zip(models, same, strict=True):
        assert_same(one, other)
    heads, log = classified(REFERENCE)
    codes = torch.stack([training.encode(one, IMAGES) for one in autoencoders()])
    plain = classifiers()
    assert told(list(stacked.train_classifiers(plain, codes, LABELS, generators(), **RECIPE))) == told(log)
    for head, other_head in zip(heads, plain, strict=True):
        assert_same(head, other_head)


@pytest.mark.thorough
@STAGES
def test_a_stack_trains_each_network_like_a_lone_one(stage: Stage) -> None:
    """With every part that draws nothing, in float64."""
    models, log = stage(QUIET)
    for number, seed in enumerate(SEEDS):
        (lone,), other = stage(QUIET, (seed,))
        assert_same(models[number], lone)
        assert [one[number].loss for one in log] == pytest.approx([one[0].loss for one in other], rel=1e-9)


@STAGES
def test_noise_is_seeded(stage: Stage) -> None:
    """Two trainings under one seed are equal to the bit; without noise it is another."""
    (first, log), (second, again), (quiet, _) = stage(PARTS), stage(PARTS), stage(QUIET)
    assert told(log) == told(again)
    for one, other, third in zip(first, second, quiet, strict=True):
        assert_same(one, other, exactly=True)
        assert not torch.equal(next(one.parameters()), next(third.parameters()))


AUTOENCODER = ["tied", "unit_start", "auxiliary", "annealing", "autoencoder_noise", "cosine"]


@pytest.mark.parametrize("name", AUTOENCODER)
def test_each_part_of_the_autoencoder_has_a_part(name: str) -> None:
    """Left out, the network is another."""
    (with_it,), _ = autoencoded(SMALL, SEEDS[:1])
    parts: Parts = replace(SMALL, **{name: getattr(REFERENCE, name)})
    (without,), _ = autoencoded(parts, SEEDS[:1])
    assert not torch.allclose(with_it.encoder.weight, without.encoder.weight, rtol=1e-6)


def test_tied_weights_are_copies_of_one_another() -> None:
    """After training the decoder is the encoder's transpose, and the model is one like any other."""
    for model in autoencoded(PARTS)[0]:
        assert torch.equal(model.decoder.weight, model.encoder.weight.T)
        assert is_sparse_autoencoder(model)
    (untied,), _ = autoencoded(replace(PARTS, tied=False), SEEDS[:1])
    assert not torch.allclose(untied.decoder.weight, untied.encoder.weight.T)


def test_weights_start_with_length_1() -> None:
    """Each unit's, in both matrices; biases are 0. A rate of almost nothing leaves them so."""
    (model,), _ = autoencoded(replace(PARTS, tied=False), SEEDS[:1], learning_rate=1e-12)
    torch.testing.assert_close(model.encoder.weight.norm(dim=1), torch.ones(UNITS, dtype=torch.float64))
    torch.testing.assert_close(model.decoder.weight, model.encoder.weight.T)
    assert float(model.encoder.bias.detach().abs().max()) < 1e-9


def test_the_number_of_active_units_falls_from_4_k_to_k() -> None:
    """Evenly over the first half of the steps, and is k exactly from there on."""
    activations = torch.rand(5, 100, generator=torch.Generator().manual_seed(0))
    shares = torch.linspace(0, 1, 9)
    counts = [strongest(activations, 10, 4.0, share).count_nonzero(dim=1).tolist() for share in shares]
    wanted = [40, 32, 25, 18, 10, 10, 10, 10, 10]  # of halves the even one
    assert counts == [[one] * 5 for one in wanted]
    kept = strongest(activations, 10, 4.0, shares[-1])
    torch.testing.assert_close(kept, strongest(activations, 10, 1.0, shares[0]))


def test_there_are_no_more_active_units_than_units() -> None:
    """However many times k is asked for."""
    activations = torch.rand(2, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(strongest(activations, 5, 4.0, torch.tensor(0.0)), activations)


@pytest.mark.thorough
def test_the_auxiliary_loss_wakes_units_that_are_negative_for_every_image() -> None:
    """Relu gives them no gradient: without the loss none of them ever moves, with it most come to be used."""
    asleep = slice(8, 20)
    used = {}
    for auxiliary in (0, 4):
        (model,) = autoencoders(SEEDS[:1], units=20)
        with torch.no_grad():
            model.encoder.bias[asleep] = -1
        before = model.encoder.weight[asleep].detach().clone()
        parts = replace(REFERENCE, auxiliary=auxiliary, patience=3)
        recipe = RECIPE | dict(epochs=200)
        list(interpretable.train_autoencoders([model], IMAGES, generators(SEEDS[:1]), parts=parts, **recipe))
        assert torch.equal(before, model.encoder.weight[asleep]) == (auxiliary == 0)
        used[auxiliary] = int((model.encode(IMAGES) > 0).any(dim=0)[asleep].sum())
    assert used[0] == 0
    assert used[4] > 6


def test_the_loss_that_is_told_is_the_squared_error_alone() -> None:
    """The auxiliary term has its gradient and no part in the number."""
    for auxiliary in (0, 8):
        parts = replace(REFERENCE, auxiliary=auxiliary, patience=1)
        _, log = autoencoded(parts, SEEDS[:1], epochs=1, batch_size=N)
        (model,) = autoencoders(SEEDS[:1])
        error = (model(IMAGES) - IMAGES).square().mean().detach()
        assert log[0][0].loss == pytest.approx(float(error), rel=1e-9)


def test_decay_and_cosine_are_those_of_torch() -> None:
    """The classifier's steps are those of AdamW on matrices, its rate along half a cosine to 2 %."""
    parts = replace(REFERENCE, weight_decay=0.5, cosine=True)
    ((model,), _), (same,) = classified(parts, SEEDS[:1]), classifiers(SEEDS[:1])
    codes, (order,) = training.encode(autoencoders(SEEDS[:1])[0], IMAGES), generators(SEEDS[:1])
    weights = list(same.parameters())
    groups = [
        {"params": [one for one in weights if one.dim() == 2], "weight_decay": 0.5},
        {"params": [one for one in weights if one.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, RECIPE["learning_rate"], foreach=False)
    total, taken = RECIPE["epochs"] * math.ceil(N / RECIPE["batch_size"]), 0
    for _ in range(RECIPE["epochs"]):
        for batch in torch.randperm(N, generator=order).split(RECIPE["batch_size"]):
            factor = max(0.02, (1 + math.cos(math.pi * taken / total)) / 2)
            for group in optimizer.param_groups:
                group["lr"] = RECIPE["learning_rate"] * factor
            optimizer.zero_grad()
            nn.functional.cross_entropy(same(codes[batch]), LABELS[batch]).backward()
            optimizer.step()
            taken += 1
    for mine, theirs in zip(model.parameters(), same.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)  # the rate is of float32


def test_classifiers_learn_from_codes_of_noisy_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step has codes of new noise, of at most k units."""
    seen: list[Tensor] = []
    true = stacked.train_on_codes

    def spied(stack: stacked.Stack, codes_of: Callable[[Tensor], Tensor], *rest: Any, **recipe: Any) -> Any:
        batch = torch.arange(4).expand(len(SEEDS), -1)
        seen.extend((codes_of(batch), codes_of(batch)))
        return true(stack, codes_of, *rest, **recipe)

    monkeypatch.setattr(stacked, "train_on_codes", spied)
    classified(PARTS, epochs=1)
    assert not torch.equal(*seen)
    clean = torch.stack([one.encode(IMAGES[:4]) for one in autoencoders()]).detach()
    assert float((seen[0] - clean).abs().max()) > 0.05
    assert seen[0].count_nonzero(dim=2).max() <= K


@pytest.mark.gpu
@STAGES
def test_recorded_steps_train_like_those_taken_one_by_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU the recorded graph, with every part that draws nothing, gives the CPU's training."""
    here, log = stage(QUIET)
    monkeypatch.setitem(globals(), "IMAGES", IMAGES.cuda())
    for name in ("autoencoders", "classifiers"):
        made = globals()[name]
        monkeypatch.setitem(globals(), name, lambda *a, made=made, **k: [one.cuda() for one in made(*a, **k)])
    there, other = stage(QUIET)
    for ours, theirs in zip(log, other, strict=True):
        assert [one.loss for one in ours] == pytest.approx([one.loss for one in theirs], rel=1e-6)
    for one, same in zip(here, there, strict=True):
        for mine, others in zip(one.parameters(), same.parameters(), strict=True):
            torch.testing.assert_close(mine, others.cpu(), rtol=1e-5, atol=1e-7)
