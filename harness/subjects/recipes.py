"""How a model is trained as one: recipes by name, and recipes of one's own.

The recipe `reference` is the model's own: of one with a code an autoencoder and then a classifier on its
codes (`harness.subjects.training`), of any other `supervised`. `interpretable` is of two stages, too
(`harness.subjects.interpretable`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from harness.config import Config
from harness.config.parameters import TWO_STAGED
from harness.errors import ConfigurationError, HarnessError, RecipeError
from harness.records import Epoch
from harness.registry import Registry, suggestion
from harness.subjects import training
from harness.subjects.importing import attribute_of, own_name, place_of

Recipe = Callable[..., Iterator[Epoch]]
"""`(model, inputs, labels, *, epochs, batch_size, learning_rate, generator)`: trains the model where it is,
one record an epoch. Inputs are float32 [n, features], labels int64 [n]; the generator draws the order."""

SETTINGS = ("epochs", "batch_size", "learning_rate", "generator")
"""By these names a recipe is told how to train."""

recipes: Registry[Recipe] = Registry("recipe", reserved=TWO_STAGED)


@recipes.register("supervised")
def supervised(model: nn.Module, inputs: Tensor, labels: Tensor, **settings: Any) -> Iterator[Epoch]:
    """Minimise the cross-entropy of the labels with Adam."""
    return training.train_classifier(model, inputs, labels, **settings)


@recipes.register("none")
def none(*_: object, **__: object) -> Iterator[Epoch]:
    """Train nothing: the model is judged as its factory makes it."""
    return iter(())


def recipe_of(config: Config) -> Recipe:
    """The recipe that trains a model as one; those of two stages do so where there is no code.

    Raises:
        ConfigurationError: no recipe of that name, or a module that is not there or fails to import.
    """
    if config.recipe in TWO_STAGED:
        return recipes["supervised"]
    if ":" in config.recipe:
        found = attribute_of("recipe", config.recipe, config.model.model_dir)
        _refuse_uncallable(config.recipe, found)
        return found
    if config.recipe not in recipes:
        told = suggestion(config.recipe, [*TWO_STAGED, *recipes])
        raise ConfigurationError(
            f"unknown recipe {config.recipe!r}: {told}; one of your own is named as module:function, such as "
            f"{own_name('recipe', config.recipe)!r}"
        )
    return recipes[config.recipe]


def _refuse_uncallable(name: str, recipe: Recipe) -> None:
    """Refuse a recipe that does not take what it will be called with.

    Raises:
        ConfigurationError: it does not.
    """
    try:
        signature = inspect.signature(recipe)
    except ValueError:  # one that is not written in Python tells none
        return
    try:
        signature.bind(None, None, None, **dict.fromkeys(SETTINGS))
    except TypeError as error:
        function = name.partition(":")[2]
        raise ConfigurationError(
            f"recipe {name!r}: must take what it is called with (got {function}{signature}: {error}); write "
            f"it as: def {function}(model, inputs, labels, *, {', '.join(SETTINGS)})"
        ) from None


def followed(name: str, recipe: Recipe, *given: Any, **settings: Any) -> Iterator[Epoch]:
    """The epochs of a recipe of somebody's own, whose mistakes are told as its own.

    Args:
        name: The recipe's, for messages.
        recipe: What is called.
        given: With these,
        settings: and these.

    Raises:
        RecipeError: it raises something, gives nothing to go through, or something else than records; its
            loss or its weights are no numbers.
    """
    try:
        log = recipe(*given, **settings)
        if not isinstance(log, Iterable):
            raise RecipeError(
                f"recipe {name!r}: must yield a harness.records.Epoch an epoch (got {type(log).__name__}); "
                "write 'yield' where an epoch ends"
            )
        for one in log:
            _refuse_strange(name, one)
            yield one
        for model in given[:1]:
            _refuse_diverged(name, model)
    except (HarnessError, MemoryError, torch.OutOfMemoryError):
        raise
    except (Exception, SystemExit) as error:  # whatever it raises
        told = " ".join(str(error).split())[:300]
        raise RecipeError(
            f"recipe {name!r}: {type(error).__name__}{place_of(error, recipe)}: {told}; mend it there"
        ) from error


def _refuse_strange(name: str, one: object) -> None:
    """Refuse what is no record of an epoch.

    Raises:
        RecipeError: it is none, or holds something else than plain numbers.
    """
    if not isinstance(one, Epoch):
        raise RecipeError(
            f"recipe {name!r}: must yield a harness.records.Epoch an epoch (got {type(one).__name__}); such "
            "as Epoch(stage='classifier', epoch=1, loss=0.3, accuracy=0.9, seconds=2.5)"
        )
    numbers = {"epoch": one.epoch, "loss": one.loss, "seconds": one.seconds}
    for key, value in (numbers | ({} if one.accuracy is None else {"accuracy": one.accuracy})).items():
        if not isinstance(value, int | float):
            raise RecipeError(
                f"recipe {name!r}: the {key} of an Epoch must be a number (got {type(value).__name__}); "
                "take float(...) of it"
            )
        if not math.isfinite(value):
            raise RecipeError(
                f"recipe {name!r}: the {key} of epoch {one.epoch} must be finite (got {value}); "
                "lower --learning-rate"
            )


def _refuse_diverged(name: str, model: nn.Module) -> None:
    """Refuse weights that are no numbers any more.

    Raises:
        RecipeError: some are NaN or infinite.
    """
    for layer, weights in model.named_parameters():
        if not bool(weights.isfinite().all()):
            raise RecipeError(
                f"recipe {name!r}: leaves NaN or infinite weights in {layer}; lower --learning-rate, "
                "or look at what it minimises"
            )
