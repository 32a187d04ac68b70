"""What is explained: models by name, factories of one's own, and what makes them functions of flat rows.

A factory is called as `factory(shape=..., classes=..., **settings)` and gives a `torch.nn.Module` from inputs
in their own shape to logits [n, classes]. Inside the harness a model is a function of flat rows
[n, features]; only `Flat` knows shapes. What it has beside its logits follows from its parts.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from harness import environment
from harness.artifacts.model import ModelRecord
from harness.config.parameters import Model
from harness.errors import CheckpointError, ConfigurationError
from harness.forms import BYTE, Form
from harness.registry import suggestion
from harness.subjects import training
from harness.subjects.autoencoders import Deviating
from harness.subjects.importing import attribute_of, called, own_name
from harness.subjects.models import (
    CONVOLUTIONS,
    Classifier,
    Coded,
    Flat,
    PixelClassifier,
    start_anew,
)
from harness.subjects.shipped import Factory, models
from harness.subjects.spliced import Spliced, Unfit

GIVEN = ("shape", "classes", "seed")
"""What the harness gives a factory; the last where it takes it."""

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def build(settings: Model, form: Form, classes: int, seed: int) -> nn.Module:
    """The model that a configuration names, with fresh weights of a seed: flat rows to logits, evaluating.

    Args:
        settings: The table `[model]`.
        form: Of the inputs.
        classes: How many there are.
        seed: Draws the weights.

    Raises:
        ConfigurationError: no such model, a module that is not there or fails to import, an unknown keyword
            of the factory, or something else than a module.
    """
    factory = factory_of(settings)
    keywords = _keywords(factory, settings, {"shape": form.input_shape, "classes": classes, "seed": seed})
    with environment.seeded(environment.stream(seed, "model")):
        model: Any = called("model", settings.model, factory, **keywords)
    if not isinstance(model, nn.Module):
        raise ConfigurationError(
            f"model {settings.model!r}: its factory must give a torch.nn.Module from inputs to logits "
            f"(got {type(model).__name__})"
        )
    lazy = next((name for name, one in model.named_parameters() if is_lazy(one)), None)
    if lazy is not None:
        raise ConfigurationError(
            f"model {settings.model!r}: must know its sizes from the start (got a lazy {lazy}); take them "
            "from the shape that the factory is given"
        )
    reference = torch.from_numpy(form.reference.copy()) if form.reference.any() else None
    if reference is not None and isinstance(model, PixelClassifier):
        model.autoencoder = Deviating(model.autoencoder, reference)
    elif not isinstance(model, PixelClassifier | Classifier):
        model = Flat(model, form.input_shape, reference)
    elif reference is not None:
        model = Flat(model, (math.prod(form.shape),), reference)
    if settings.code:
        model = _spliced(model.eval(), settings, form, seed)
    if form.scale != BYTE or reference is not None:
        model.any_scale = True
    built: nn.Module = model.eval()
    return built


def _spliced(model: nn.Module, settings: Model, form: Form, seed: int) -> Spliced:
    """A model with the code at its layer, started anew: the untrained control has no trained part.

    Raises:
        ConfigurationError: no such layer or code, or they do not fit one another.
    """
    known = layers_of(own_of(model), bare=True)
    if settings.layer not in known:
        raise ConfigurationError(
            f"model.layer: there is no {settings.layer!r}: {suggestion(settings.layer, known)}"
        )
    code = code_of(settings)
    for number, part in enumerate(code.modules()):
        if any(True for _ in part.parameters(recurse=False)):
            start_anew(part, environment.stream(seed, f"code {number}"))
    place = f"model.{settings.layer}" if isinstance(model, Flat) else settings.layer
    try:
        return Spliced(model, place, code, torch.zeros(1, math.prod(form.shape)))
    except Unfit as error:
        raise ConfigurationError(f"model {settings.model!r} with code {settings.code!r}: {error}") from error


def code_of(settings: Model) -> nn.Module:
    """The code that a configuration names, as its function gives it.

    Raises:
        ConfigurationError: no such function, or it gives no `torch.nn.Module` with `encode` and `decode`.
    """
    code = called("code", settings.code, attribute_of("code", settings.code, settings.model_dir))
    if not isinstance(code, nn.Module) or not all(
        callable(getattr(code, one, None)) for one in ("encode", "decode")
    ):
        raise ConfigurationError(
            f"code {settings.code!r}: must give a torch.nn.Module with encode and decode "
            f"(got {type(code).__name__})"
        )
    return code.eval()


def fill(model: nn.Module, settings: Model) -> None:
    """Give a model the weights that its configuration names, and its code its own.

    Raises:
        ConfigurationError: as `load`.
    """
    if settings.weights is not None:
        load(own_of(model), settings.weights)
    if isinstance(model, Spliced):
        model.code.load_state_dict(code_of(settings).state_dict())


def _keywords(factory: Factory, settings: Model, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a factory is called with: its `[model.settings]`, and `seed`, `k` and `code_width` where it takes
    them by name; one that takes any keyword is given the seed too.

    Raises:
        ConfigurationError: a keyword that it does not take, with a suggestion, or one that it lacks; or it
            takes no shape, no classes.
    """
    parameters = inspect.signature(factory).parameters.values()
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    known = {one.name for one in parameters if one.kind is not inspect.Parameter.POSITIONAL_ONLY}
    if not takes_any:
        for name in ("shape", "classes"):
            if name not in known:
                raise ConfigurationError(
                    f"model {settings.model!r}: its factory must take the keyword {name!r}; write it as: "
                    f"def {getattr(factory, '__name__', 'build')}(*, shape, classes, ...)"
                )
        for name in settings.settings:
            if name not in known or name in GIVEN:
                told = suggestion(name, known - set(GIVEN)) if known - set(GIVEN) else "it takes none"
                raise ConfigurationError(
                    f"model.settings: unknown keyword {name!r} of {settings.model!r}: {told}"
                )
    own = {"k": settings.k, "code_width": settings.code_width}
    asked = {name: value for name, value in own.items() if name in known} | settings.settings
    keywords = {name: value for name, value in given.items() if takes_any or name in known} | asked
    for one in parameters:
        if one.kind in NAMED and one.default is inspect.Parameter.empty and one.name not in keywords:
            raise ConfigurationError(
                f"model {settings.model!r}: its factory must be given {one.name!r}, which has no default; "
                f"set {one.name} in the table [model.settings]"
            )
    return keywords


def refuse_unbuildable(models: Iterable[Model]) -> None:
    """Refuse keywords that a shipped model's factory does not take; nothing is built.

    One of somebody's own is asked where it is built: its module may be on another machine alone.

    Raises:
        ConfigurationError: as `build`.
    """
    for settings in models:
        if ":" not in settings.model:
            _keywords(factory_of(settings), settings, dict.fromkeys(GIVEN))


def factory_of(settings: Model) -> Factory:
    """The factory of a registered name, or of `module:function`.

    Raises:
        ConfigurationError: as `build`.
    """
    if ":" not in settings.model:
        if settings.model not in models:
            raise ConfigurationError(
                f"unknown model {settings.model!r}: {suggestion(settings.model, models)}; one of your own is "
                f"named as module:function, such as {own_name('model', settings.model)!r}"
            )
        return models[settings.model]
    return attribute_of("model", settings.model, settings.model_dir)


def parts_of(model: nn.Module) -> Mapping[str, nn.Module]:
    """What is stored of a model, by the name of its file; together they are all of it."""
    own = own_of(model)
    if isinstance(own, PixelClassifier):
        return {"full_autoencoder": own.autoencoder, "classifier": own.classifier}
    return {"model": own} | ({"code": model.code} if isinstance(model, Spliced) else {})


def own_of(model: nn.Module) -> nn.Module:
    """A model as its factory made it: of inputs, with the same parts."""
    if isinstance(model, Spliced):
        model = model.model
    if isinstance(model, PixelClassifier) and isinstance(model.autoencoder, Deviating):
        return PixelClassifier(model.autoencoder.inner, model.classifier)
    return model.model if isinstance(model, Flat) else model


def capabilities_of(model: nn.Module) -> frozenset[str]:
    """What a model's parts give it beside logits; whether a gradient passes is for the door to find out."""
    places = {"places"} if any(isinstance(part, CONVOLUTIONS) for part in model.modules()) else set()
    if isinstance(model, PixelClassifier):
        asked = {"k": "k", "decoder": "decode", "reconstruction": "decode", "atoms": "atoms"}
        return frozenset(
            {"code", *places, *(name for name, part in asked.items() if hasattr(model.autoencoder, part))}
        )
    return frozenset(places | ({"code", "decoder"} if isinstance(model, Coded) else set()))


@torch.no_grad()
def code_width_of(model: nn.Module, inputs: torch.Tensor) -> int:
    """How many units a model's code has; 0 where it has none."""
    return model.encode(inputs).shape[-1] if isinstance(model, Coded) else 0


def minimised_by(model: nn.Module) -> str:
    """What the training of a model's autoencoder minimises, in words."""
    own = isinstance(model, PixelClassifier) and hasattr(model.autoencoder, "loss")
    return "loss" if own else ModelRecord().minimised


def layers_of(model: nn.Module, *, bare: bool = False) -> list[str]:
    """The parts of a model that hold parameters of their own, from the input on, by their dotted names.

    Args:
        model: A code that was put in stands behind its layer.
        bare: Whether parts without parameters are named too.
    """
    found = [
        name
        for name, one in model.named_modules()
        if (name and bare) or any(True for _ in one.parameters(recurse=False))
    ]
    if not isinstance(model, Spliced):
        return found
    code = [name for name in found if name.split(".")[0] == "code"]
    others = [name for name in found if name not in code]
    before = [
        number for number, name in enumerate(others, 1) if f"{name}.".startswith(f"model.{model.layer}.")
    ]
    place = before[-1] if before else 0
    return others[:place] + code + others[place:]


def own_layers_of(model: nn.Module) -> list[str]:
    """The same by the names that its factory knows them by, as `--layer` takes them; a code is `code`."""
    names = layers_of(model)
    for wrapper in (Spliced, Flat):
        if isinstance(model, wrapper):
            names, model = [name.removeprefix("model.") for name in names], model.model
    return names


def load(model: nn.Module, path: Path) -> None:
    """Fill a model, as its factory made it, from a file of weights; nothing in the file is executed.

    Args:
        model: Filled where it is.
        path: `.safetensors`, or what `torch.save` made of a state dict.

    Raises:
        ConfigurationError: no such file, damaged, or of another model; a prefix that all names bear is told.
    """
    if path.is_dir():
        raise ConfigurationError(f"model.weights: {path}: must be a file (got a folder); name the one in it")
    if not path.is_file():
        raise ConfigurationError(f"model.weights: {path}: there is no such file")
    try:
        training.load_weights(model, path)
    except CheckpointError as error:
        told = str(error).removesuffix("; train anew with --fresh")
        raise ConfigurationError(f"model.weights: {told}; name the weights of this very model") from None
