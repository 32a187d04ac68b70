"""An attribution method, and the registry of them.

Two spaces (Ancona et al. 2018). A *sensitivity* map answers 'what if this pixel changed', a *contribution*
map 'what did this pixel add, against the baseline' x0 = 0. A method's own map is of one of them; a
sensitivity map becomes a contribution by multiplying with (x - x0).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from harness import integrity
from harness.registry import Registry

Space = Literal["sensitivity", "contribution"]
MapFunction = Callable[..., Tensor]

CHUNK_SIZE = 512
"""Images that are explained in one pass; bounds the memory, changes no map."""


@dataclass(frozen=True)
class Method:
    """An attribution method.

    Attributes:
        name: The word of the field for it.
        space: The space of its own maps.
        maps: `(model, images, targets, **settings) -> maps`, in its own space.
        sensitivity: The same as a sensitivity map, where that is another one: for a method of the
            contribution space, the factor that (x - x0) multiplies.
        identity: What its own maps' inner products with directions must be, from forward passes; None
            where no such check is known.
    """

    name: str
    space: Space
    maps: MapFunction
    sensitivity: MapFunction | None = None
    identity: integrity.Identity | None = None


methods: Registry[Method] = Registry("attribution")


def register(
    name: str,
    space: Space,
    sensitivity: MapFunction | None = None,
    identity: integrity.Identity | None = None,
) -> Callable[[MapFunction], MapFunction]:
    """A decorator: the function below it is the attribution method `name`, its own maps in `space`."""

    def decorate(function: MapFunction) -> MapFunction:
        methods.add(name, Method(name, space, function, sensitivity, identity))
        return function

    return decorate


def known_to(function: Callable[..., Tensor], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a method takes."""
    parameters = inspect.signature(function).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return dict(settings)
    return {name: value for name, value in settings.items() if name in parameters}
