"""How a model is trained as one: recipes by name, and recipes of one's own.

The recipe `reference` is the model's own: of one with a code an autoencoder and then a classifier on its
codes (`harness.subjects.training`), of any other `supervised`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

from harness.config import Config
from harness.errors import ConfigurationError
from harness.records import Epoch
from harness.registry import Registry, suggestion
from harness.subjects import training
from harness.subjects.catalogue import attribute_of

Recipe = Callable[..., Iterator[Epoch]]
"""`(model, inputs, labels, *, epochs, batch_size, learning_rate, generator)`: trains the model where it is,
one record an epoch. Inputs are float32 [n, features], labels int64 [n]; the generator draws the order."""

recipes: Registry[Recipe] = Registry("recipe", reserved=("reference",))


@recipes.register("supervised")
def supervised(model: nn.Module, inputs: Tensor, labels: Tensor, **settings: Any) -> Iterator[Epoch]:
    """Minimise the cross-entropy of the labels with Adam."""
    return training.train_classifier(model, inputs, labels, **settings)


@recipes.register("none")
def none(*_: object, **__: object) -> Iterator[Epoch]:
    """Train nothing: the model is judged as its factory makes it."""
    return iter(())


def recipe_of(config: Config) -> Recipe:
    """The recipe that trains a model as one.

    Raises:
        ConfigurationError: no recipe of that name, or a module that is not there or fails to import.
    """
    if config.recipe == "reference":
        return recipes["supervised"]
    if ":" in config.recipe:
        return attribute_of("recipe", config.recipe, config.model.model_dir)
    if config.recipe not in recipes:
        told = suggestion(config.recipe, ["reference", *recipes])
        raise ConfigurationError(f"unknown recipe {config.recipe!r}: {told}")
    return recipes[config.recipe]
