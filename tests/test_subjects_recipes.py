"""Recipes by name, and of one's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.config import Config
from harness.config.parameters import Model
from harness.errors import ConfigurationError, RecipeError, TrainingDiverged
from harness.records import Epoch
from harness.subjects.recipes import SETTINGS as NAMES
from harness.subjects.recipes import Recipe, followed, recipe_of, recipes, supervised

OWN = """
import torch
from harness.records import Epoch

def train(model, inputs, labels, **settings):
    yield from ()

def bare(): ...
def short(model, inputs, labels, *, epochs): ...
def needy(model, inputs, labels, momentum, **settings): ...

def silent(model, inputs, labels, **settings):
    pass

def numbers(model, inputs, labels, **settings):
    yield 0.5

def tensors(model, inputs, labels, **settings):
    yield Epoch("classifier", 1, torch.tensor(0.5), None, 0.1)

def inner():
    if True:
        raise ValueError("no such layer")

def failing(model, inputs, labels, **settings):
    inner()
    yield Epoch("classifier", 1, 0.5, None, 0.1)

def later(model, inputs, labels, **settings):
    yield Epoch(1, 0.5)

def leaving(model, inputs, labels, **settings):
    raise SystemExit("bye")

def diverging(model, inputs, labels, **settings):
    yield Epoch("classifier", 3, float("nan"), None, 0.1)
"""
SETTINGS = {"epochs": 2, "batch_size": 4, "learning_rate": 0.01}


def own(function: str, folder: Path) -> Recipe:
    """A recipe of one's own module."""
    (folder / "own_recipe.py").write_text(OWN)
    sys.modules.pop("own_recipe", None)
    try:
        return recipe_of(Config(recipe=f"own_recipe:{function}", model=Model(model_dir=folder)))
    finally:
        sys.modules.pop("own_recipe", None)


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
    assert list(own("train", tmp_path)(None, None, None)) == []


@pytest.mark.parametrize(
    ("function", "got"),
    [
        ("bare", r"got bare\(\): too many positional arguments"),
        (
            "short",
            r"got short\(model, inputs, labels, \*, epochs\): got an unexpected keyword .*'batch_size'",
        ),
        ("needy", "missing a required .*'momentum'"),
    ],
)
def test_a_recipe_that_cannot_be_called_is_refused(function: str, got: str, tmp_path: Path) -> None:
    """Before any work, with how it is written."""
    with pytest.raises(ConfigurationError, match=rf"{got}.*; write it as: def {function}\(model, inputs"):
        own(function, tmp_path)


def test_a_recipe_that_is_not_named_rightly_is_told_how(tmp_path: Path) -> None:
    """By its module and function."""
    with pytest.raises(ConfigurationError, match="such as 'own_recipe:train'"):
        recipe_of(Config(recipe="own_recipe"))


def test_weights_that_a_recipe_leaves_as_no_numbers_are_told_as_its_own() -> None:
    """Though it told no loss of them."""
    model = nn.Linear(3, 2)

    def spoil(model: nn.Linear) -> Iterator[Epoch]:
        yield Epoch("classifier", 1, 0.5, 0.5, 1.0)
        with torch.no_grad():
            model.bias[1] = torch.inf

    with pytest.raises(RecipeError, match=r"^recipe 'own': leaves NaN or infinite weights in bias; lower"):
        list(followed("own", spoil, model))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("silent", r"must yield a harness.records.Epoch an epoch \(got NoneType\)"),
        ("numbers", r"must yield a harness.records.Epoch an epoch \(got float\); such as Epoch\("),
        ("diverging", r"the loss of epoch 3 must be finite \(got nan\); lower --learning-rate"),
        ("tensors", r"the loss of an Epoch must be a number \(got Tensor\)"),
        ("failing", "ValueError at own_recipe.py, line 23: no such layer; mend"),
        ("later", "TypeError at own_recipe.py, line 30: .*positional arguments"),
        ("leaving", "SystemExit at own_recipe.py, line .*: bye"),
    ],
)
def test_mistakes_of_a_recipe_are_told_as_its_own(function: str, said: str, tmp_path: Path) -> None:
    """By its name and line, in one sentence."""
    recipe = own(function, tmp_path)
    with pytest.raises(RecipeError, match=f"^recipe 'own_recipe:{function}': {said}") as caught:
        list(followed(f"own_recipe:{function}", recipe, None, None, None, **dict.fromkeys(NAMES)))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_what_the_harness_says_inside_a_recipe_stays() -> None:
    """Nor is there anything of a recipe that does what it should."""

    def diverged(*_: object) -> Iterator[Epoch]:
        yield Epoch("classifier", 1, 0.5, None, 0.1)
        raise TrainingDiverged.at("own", 2, 1, float("nan"))

    epochs = followed("own", diverged)
    assert next(epochs).loss == 0.5
    with pytest.raises(TrainingDiverged, match=r"^own: the loss is nan"):
        next(epochs)
