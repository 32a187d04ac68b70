"""Recipes by name, and of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from harness.config import Config
from harness.config.parameters import Model
from harness.errors import ConfigurationError
from harness.subjects.recipes import recipe_of, recipes, supervised

SETTINGS = {"epochs": 2, "batch_size": 4, "learning_rate": 0.01}


def test_reference_is_supervised_of_a_model_that_is_trained_as_one() -> None:
    """And others go by their names."""
    assert recipe_of(Config()) is supervised
    assert recipe_of(Config(recipe="none")) is recipes["none"]
    with pytest.raises(ConfigurationError, match="unknown recipe 'refrence': did you mean 'reference'"):
        recipe_of(Config(recipe="refrence"))


def test_supervised_lowers_the_loss_and_none_touches_nothing() -> None:
    """One record an epoch, or none."""
    torch.manual_seed(0)
    model, inputs = nn.Sequential(nn.Linear(6, 3)), torch.rand(40, 6)
    labels = inputs[:, :3].argmax(dim=1)
    order = torch.Generator().manual_seed(0)
    log = list(supervised(model, inputs, labels, **(SETTINGS | {"epochs": 30}), generator=order))
    assert log[-1].loss < log[0].loss
    before = [one.clone() for one in model.parameters()]
    assert list(recipes["none"](model, inputs, labels, **SETTINGS, generator=order)) == []
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), before, strict=True))


def test_a_recipe_of_ones_own_is_found(tmp_path: Path) -> None:
    """As a model's factory is."""
    (tmp_path / "own_recipe.py").write_text(
        "def train(model, inputs, labels, **settings):\n    yield from ()\n"
    )
    config = Config(recipe="own_recipe:train", model=Model(model_dir=tmp_path))
    assert list(recipe_of(config)(None, None, None)) == []
