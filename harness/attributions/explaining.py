"""Explain a batch of decisions with a method: the doors, and what holds for every method alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness import environment
from harness.attributions import integrity
from harness.attributions.method import (
    BACKWARD,
    CHUNK_SIZE,
    MapFunction,
    Method,
    Space,
    known_to,
    refuse_unknown_settings,
)
from harness.attributions.method import methods as registered
from harness.config.parameters import ATTRIBUTION_METHODS
from harness.environment import state
from harness.environment.state import clean
from harness.errors import ConfigurationError
from harness.subjects import inputs


@dataclass(frozen=True, eq=False)
class Maps:
    """One method's maps of n images.

    Attributes:
        own: float32 [n, pixels], in the method's own space.
        sensitivity: float32 [n, pixels]; None where the method has no sensitivity form.
        space: The space of `own`.
    """

    own: Tensor
    sensitivity: Tensor | None
    space: Space


@clean()
def attribute(
    model: nn.Module, images: Tensor, targets: Tensor, name: str, settings: Mapping[str, Any] | None = None
) -> Maps:
    """One method's maps in its own space and in sensitivity space.

    A method's random draws, from torch's, numpy's or Python's global generators, start from the setting
    `noise_seed` at each call, so the same call gives the same maps.

    Args:
        model: Images to logits.
        images: float32 [n, pixels], in [0, 1] but for noise; `inputs.images_of` says what else is taken.
        targets: int64 [n], the class explained of each image; likewise `inputs.classes_of`.
        name: A registered method.
        settings: The method's settings by name; those it does not know are not for it.

    Returns:
        Maps where the images were.

    Raises:
        ConfigurationError: no method of that name.
        InputError: images, targets or the method's maps are not what they must be.
    """
    refuse_unknown_settings(settings or {}, [name])
    method, place, model = registered[name], _place_of(images), inputs.outside_inference(model)
    with state.evaluation(model):
        images, targets = _batch(model, images, targets)
        inputs.refuse_unscaled(images, model, beyond=inputs.NOISE)
        maps = _attributed(method, model, images, targets, settings or {})
    sensitivity = None if maps.sensitivity is None else maps.sensitivity.to(place)
    return Maps(maps.own.to(place), sensitivity, maps.space)


def _batch(model: nn.Module, images: Any, targets: Any) -> tuple[Tensor, Tensor]:
    """Images and targets as the model, in evaluation mode, takes them; the predicted classes where None."""
    images = inputs.images_of(images, model)
    classes = inputs.count_classes(model, images)
    if targets is None:
        with torch.no_grad():
            return images, model(images).argmax(dim=1)
    return images, inputs.classes_of(targets, images, classes)


def _place_of(images: Any) -> torch.device:
    """Where the caller's images are."""
    return images.device if isinstance(images, Tensor) else torch.device("cpu")


def _attributed(
    method: Method, model: nn.Module, images: Tensor, targets: Tensor, settings: Mapping[str, Any]
) -> Maps:
    """`attribute` past the door."""

    def maps(function: MapFunction) -> Tensor:
        # whatever a method does to its inputs, to global settings or to generators, is its own
        seeds = environment.seeded(int(settings.get("noise_seed", 0)))
        with clean(), state.evaluation(model), seeds:
            found = function(model, images.clone(), targets.clone(), **known_to(function, settings))
        return inputs.maps_of(found, images, method.name)

    if method.sensitivity is None:
        own = maps(method.maps)
        return Maps(own, own if method.space == "sensitivity" else None, method.space)
    sensitivity = maps(method.sensitivity)
    if method.space == "contribution":
        return Maps(images * sensitivity, sensitivity, method.space)
    return Maps(maps(method.maps), sensitivity, method.space)


def passes(model: nn.Module, images: Tensor, targets: Tensor, name: str, settings: Mapping[str, Any]) -> int:
    """The forward passes that a method's map of one image takes, a backward pass counted as two.

    As the method declares. Where it does not, the inputs that go through the model are counted while the
    first image is explained; at least one.
    """
    cost, counted = registered[name].cost, 0
    if cost is not None:
        return cost(images.shape[1], **known_to(cost, settings))

    def count(_model: nn.Module, given: tuple[Tensor, ...], _logits: Tensor) -> None:
        nonlocal counted
        counted += len(given[0]) * (1 + BACKWARD * torch.is_grad_enabled())

    handle = model.register_forward_hook(count)
    try:
        attribute(model, images[:1], targets[:1], name, settings)
    finally:
        handle.remove()
    return max(1, counted)


def refuse_unfit(names: Sequence[str], features: int, settings: Mapping[str, Any]) -> None:
    """Refuse settings by which a method cannot have maps of inputs of so many features, before any work.

    Raises:
        ConfigurationError: with what would do.
    """
    for name in names:
        groups, cost = groups_of(name, features, settings), registered[name].cost
        if groups is not None and int(groups.max()) == 0:
            raise ConfigurationError(
                f"{name}: groups and windows must be smaller than the whole input (got one of all "
                f"{features} features): nothing else is asked of it; make grain or occlusion_window smaller"
            )
        if cost is not None:
            cost(features, **known_to(cost, settings))


def groups_of(name: str, features: int, settings: Mapping[str, Any]) -> Tensor | None:
    """Each feature's group, int64 [features], of a method that asks of groups; None of another."""
    groups = registered[name].groups
    return None if groups is None else groups(features, **known_to(groups, settings))


def are_same(first: Maps, second: Maps) -> bool:
    """Whether two calls of a method gave the same maps to the bit."""
    pairs = ((first.own, second.own), (first.sensitivity, second.sensitivity))
    return all(
        one is other or (one is not None and other is not None and torch.equal(_bits(one), _bits(other)))
        for one, other in pairs
    )


def _bits(maps: Tensor) -> Tensor:
    """The maps with every NaN alike, so that equal maps compare equal."""
    return maps.nan_to_num(nan=torch.finfo(maps.dtype).max)


@clean()
def identity_errors(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    maps: Tensor,
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    seed: int,
    precision: torch.dtype = torch.float64,
) -> integrity.Answers | None:
    """How far each of a method's own maps is from its definition (`integrity.errors`); None if unknown.

    Arguments as in `attribute`; maps are float32 [n, pixels], and the seed draws the check's directions.
    `precision` is float32 of a model that does not compute in float64 (`harness.subjects.precision`).
    """
    identity = registered[name].identity
    if identity is None:
        return None
    settings = settings or {}
    known = known_to(identity, settings) | {"chunk_size": settings.get("chunk_size", CHUNK_SIZE)}
    return integrity.errors(model, images, targets, maps, identity, seed=seed, precision=precision, **known)


@clean()
def explain(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | None = None,
    methods: str | Sequence[str] = ATTRIBUTION_METHODS,
    **settings: Any,
) -> dict[str, Tensor]:
    """Signed contribution maps of a batch, by method: what the harness compares.

    Args:
        model: Images to logits; the decoder's methods need a `PixelClassifier`.
        images: float32 [n, pixels], in [0, 1]; also bytes, an array, one image, or images with rows and
            columns (`inputs.images_of`).
        targets: int64 [n], the classes explained, in any whole-number type; the predicted ones by default.
        methods: Names of registered methods, or one name.
        settings: Of the methods, such as `attribution_steps=50` or `smoothgrad_sigma=0.1`.

    Returns:
        float32 [n, pixels] by method, without a graph, where the images were.

    Raises:
        ConfigurationError: no method of that name, or a setting that no method has, or out of range.
        InputError: images outside [0, 1], targets that are no classes, a model that is not one.
    """
    if isinstance(methods, str):
        methods = [methods]
    refuse_unknown_settings(settings, methods)
    named, place = [registered[name] for name in methods], _place_of(images)
    model = inputs.outside_inference(model)
    with state.evaluation(model):
        images, targets = _batch(model, images, targets)
        inputs.refuse_unscaled(images, model)
        maps = {one.name: _attributed(one, model, images, targets, settings) for one in named}
    return {
        name: (one.own if one.space == "contribution" else one.own * images).to(place)
        for name, one in maps.items()
    }
