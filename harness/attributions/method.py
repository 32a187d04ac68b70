"""What an attribution method is, and the registry that methods are found in by name.

Two spaces (Ancona et al. 2018). A *sensitivity* map answers 'what if this pixel changed', a *contribution*
map 'what did this pixel add, against the baseline' x0 = 0. A method's own map is of one of them; a
sensitivity map becomes a contribution by multiplying with (x - x0).
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from harness import config
from harness.config.parameters import LATER_METHODS, Attribution
from harness.errors import ConfigurationError
from harness.registry import Registry, suggestion

if TYPE_CHECKING:
    from torch import Tensor

    from harness.attributions.integrity import Identity

Space = Literal["sensitivity", "contribution"]
Family = Literal["gradient", "perturbation", "decoder", "layer"]
MapFunction: TypeAlias = "Callable[..., Tensor]"

CHUNK_SIZE = 512
"""Images that are explained in one pass; bounds the memory, changes no map."""


BACKWARD = 2
"""Forward passes that a backward pass counts as."""


def with_gradient(_features: int) -> int:
    """The cost of a map that takes one forward pass, and back."""
    return 1 + BACKWARD


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
        needs: What it asks of a model beside logits (`harness.capabilities`).
        family: By what it asks the model: gradients, inputs with parts taken away, a decoder, or a layer.
        groups: `(features, **settings) -> int64 [features]`, the group that each feature belongs to, of a
            method that asks of groups; None of one that asks of features.
        missingness: Whether its maps add nothing where the input is the baseline.
        twin: A method whose contributions are the same: beside it this one would count them twice.
        control: Whether it is no explanation, but what explanations are held against: it is explained and
            probed like others, and compared with none.
        package: A package that it needs beside the harness's own; an extra of that name installs it.
        cost: `(features, **settings) -> int`, the forward passes that a map takes, a backward pass counted as
            two; None where they are to be counted (`explaining.passes`).

    Raises:
        ConfigurationError: a space that there is not, or something that cannot be called as it will be.
    """

    name: str
    space: Space
    maps: MapFunction
    sensitivity: MapFunction | None = None
    identity: Identity | None = None
    needs: frozenset[str] = frozenset()
    family: Family = "gradient"
    groups: Callable[..., Tensor] | None = None
    missingness: bool = True
    twin: str = ""
    control: bool = False
    package: str = ""
    cost: Callable[..., int] | None = None

    def __post_init__(self) -> None:
        _refuse_unknown_space(self.name, self.space)
        for part in ("maps", "sensitivity", "identity"):
            function = getattr(self, part)
            if (function is not None or part == "maps") and not _takes_three(function):
                raise ConfigurationError(
                    f"attribution {self.name!r}: {part} must be a function of (model, images, targets) and "
                    f"settings by name (got {f'{function!r:.60}'}); write it as the shipped ones are"
                )


def _refuse_unknown_space(name: str, space: str) -> None:
    if space not in (known := get_args(Space)):
        raise ConfigurationError(f"attribution {name!r}: unknown space {space!r}: {suggestion(space, known)}")


def _takes_three(function: object) -> bool:
    """Whether it can be called with three arguments and more by name; also where nobody can tell."""
    try:
        inspect.signature(function).bind_partial(None, None, None)  # type: ignore[arg-type]
    except TypeError:
        return False
    except ValueError:
        return callable(function)
    return True


methods: Registry[Method] = Registry(
    "attribution",
    reserved=("image", "random", "predictions"),
    giving_way=LATER_METHODS,
)
"""By name; those reserved are of the controls beside which the methods are measured. A method of one's own
may bear the name of one of `LATER_METHODS`, and is then asked in its place."""


def register(
    name: str,
    space: Space,
    sensitivity: MapFunction | None = None,
    identity: Identity | None = None,
    needs: Collection[str] = (),
    family: Family = "gradient",
    groups: Callable[..., Tensor] | None = None,
    *,
    missingness: bool = True,
    twin: str = "",
    control: bool = False,
    package: str = "",
    cost: Callable[..., int] | None = None,
) -> Callable[[MapFunction], MapFunction]:
    """A decorator: the function below it is the attribution method `name`, its own maps in `space`.

    `needs` are capabilities without which a model has no such maps; methods of one's own may need none.
    The others are what `Method` says.
    """
    methods.refuse_unnameable(name)
    _refuse_unknown_space(name, space)

    def decorate(function: MapFunction) -> MapFunction:
        method = Method(
            name,
            space,
            function,
            sensitivity,
            identity,
            frozenset(needs),
            family,
            groups,
            missingness,
            twin,
            control,
            package,
            cost,
        )
        methods.add(name, method, function)
        return function

    return decorate


def refuse_twins(names: Sequence[str]) -> None:
    """Refuse two methods whose contributions are one map: their agreement would count one decision twice.

    Raises:
        ConfigurationError: with the reason.
    """
    for name in names:
        if (twin := methods[name].twin) in names:
            raise ConfigurationError(
                f"methods: {name} beside {twin} is the same map of contributions, and would count it twice; "
                "leave one out"
            )


def refuse_uninstalled(names: Sequence[str]) -> None:
    """Refuse a method whose package is not there.

    Raises:
        ConfigurationError: with what installs it.
    """
    for name in names:
        package = methods[name].package
        if package and importlib.util.find_spec(package) is None:
            raise uninstalled(f"methods: {name}", package)


def uninstalled(what: str, package: str) -> ConfigurationError:
    """What is said where a package is not there."""
    return ConfigurationError(
        f"{what}: needs the package {package} (got none installed); "
        f"pip install 'interpretability-harness[{package}]', or name other methods"
    )


def known_to(function: Callable[..., Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a method takes."""
    parameters = inspect.signature(function).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return dict(settings)
    return {name: value for name, value in settings.items() if name in parameters}


def refuse_unknown_settings(settings: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse settings that no registered method takes, and values that a configuration refuses.

    Raises:
        ConfigurationError: with a suggestion, or with the bounds.
    """
    parameters = [
        one
        for name, method in methods.items()
        for function in (method.maps, method.sensitivity)
        if function is not None
        for one in inspect.signature(function).parameters.values()
        if one.kind is not one.VAR_KEYWORD or name in names
    ]
    # those of the configuration go to every method
    known = {"noise_seed", *Attribution.model_fields} - {"methods"}
    known |= {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}
    known |= {one.name for one in parameters if one.default is not one.empty}
    if not any(one.kind is one.VAR_KEYWORD for one in parameters):
        for name in settings:
            if name not in known:
                raise ConfigurationError(f"unknown setting {name!r}: {suggestion(name, known)}")
    config.refuse_unfit("attribution", settings)
