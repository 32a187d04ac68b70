"""Probes ask as many samples as their budget of forward passes allows, the same of each class."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import attributions
from harness.pipeline import budget
from harness.pipeline.started import Silence

SETTINGS: dict[str, Any] = {
    "kernel_shap_samples": 200, "lime_samples": 150, "shapley_permutations": 3, "attribution_steps": 7,
    "smoothgrad_samples": 4, "expected_gradients_samples": 9, "references": torch.rand(5, 64),
}  # fmt: skip


def _asked(limit: int | None, counts: list[int], said: list[str], least: int = 2) -> Any:
    class Heard(Silence):
        def warn(self, text: str) -> None:
            said.append(text)

    config = SimpleNamespace(
        attribution=SimpleNamespace(probe_budget=limit),
        selection=SimpleNamespace(minimum_per_class=least),
        seeds=(0, 1),
    )
    work = SimpleNamespace(
        config=config, progress=Heard(), dataset=SimpleNamespace(form=SimpleNamespace(noun="images"))
    )
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return SimpleNamespace(work=work, targets=labels)


@pytest.fixture(autouse=True)
def _each_takes_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "passes", lambda _asked: 100)


@pytest.mark.parametrize(
    ("limit", "chosen"), [(None, None), (3000, None), (2999, [7, 7, 7, 7]), (1250, [3, 3, 3, 3])]
)
def test_as_many_of_each_class_as_the_budget_allows(limit: int | None, chosen: list[int] | None) -> None:
    """All where there is none, or where it suffices; else the same of each, and whoever runs it is told."""
    said: list[str] = []
    asked = _asked(limit, [8, 7, 8, 7], said)
    rows = budget.rows(asked)
    if chosen is None:
        assert rows is None
        assert not said
        return
    assert rows is not None
    assert np.bincount(asked.targets[rows]).tolist() == chosen
    assert (np.diff(rows) > 0).all()
    again = budget.rows(_asked(limit, [8, 7, 8, 7], []))
    assert again is not None
    assert rows.tolist() == again.tolist()
    assert said[0].startswith(f"randomisation, stability and coalitions ask {sum(chosen)} of 30 images")
    assert "3,000 forward passes" in said[0]


def test_no_class_has_fewer_than_can_be_judged() -> None:
    """A budget that is too small for it is gone past, and that is told."""
    said: list[str] = []
    asked = _asked(1, [5, 9], said, least=4)
    rows = budget.rows(asked)
    assert rows is not None
    assert np.bincount(asked.targets[rows]).tolist() == [4, 4]
    assert said[0].endswith("which the least that can be judged goes past")


def _counted(model: nn.Module, images: Tensor, targets: Tensor, name: str) -> int:
    """The passes of a method that declares none."""
    undeclared = dataclasses.replace(attributions.methods[name], cost=None)
    with mock.patch.dict(attributions.methods._entries, {name: undeclared}):
        return attributions.passes(model, images, targets, name, SETTINGS)


@pytest.mark.parametrize(
    "name",
    [
        "occlusion",
        "kernel_shap",
        "shapley_sampling",
        "lime",
        "gradients",
        "integrated_gradients",
        "smoothgrad",
        "expected_gradients",
    ],
)
def test_what_a_method_declares_is_what_is_counted(name: str) -> None:
    """But for what the doors ask, and for coalitions that were drawn twice; nothing stays hooked."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 3)).eval()
    images, targets = torch.rand(2, 64) + 0.01, torch.tensor([0, 1])
    assert attributions.methods[name].cost is not None
    declared = attributions.passes(model, images, targets, name, SETTINGS)
    assert 0.9 * declared <= _counted(model, images, targets, name) <= declared + 3
    assert not model._forward_hooks
