"""What a model may have beside its logits, and who needs it: methods, measurements, criteria, sections.

A model is a function from flat inputs to logits. Whoever asks for more says so by `needs`; what cannot apply
to a model is declared away by name, in the verdict, and never skipped in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

CAPABILITIES = {
    "rows": "the inputs have no rows and columns",
    "places": "no layer of the model is a convolution, so none has places",
    "gradient": "no gradient of the model reaches its inputs",
    "modules": "something in the model is not linear, and no module that is used once (a functional relu, a "
    "top-k, which deeplift_code takes)",
    "code": "the model has no code",
    "k": "the model has no code of k active units",
    "decoder": "the model has no code that gives back what it is of",
    "reconstruction": "the model has no code that gives the inputs back",
    "atoms": "the model has no code with a linear decoder to the inputs",
    "float64": "no float64 copy of the model computes what it does, so its maps are held to their "
    "definitions in float32, to 2 %",
    "truth": "the data does not say which features tell the classes",
}
"""By name: what is said of a model that lacks it, or of its data."""

FIRST = tuple(name for name in CAPABILITIES if name not in ("places", "modules", "truth"))
"""Those of every run of before runs told theirs: of the k-sparse network, on grey images."""

OF_A_CODE = frozenset({"k", "decoder", "reconstruction", "atoms"})
"""What only a model with a code may have."""


def needs(*capabilities: str) -> Callable[[F], F]:
    """A decorator: the function below it asks something of a model that has these.

    Raises:
        ValueError: there is no such capability.
    """
    for name in capabilities:
        if name not in CAPABILITIES:
            raise ValueError(f"capability must be one of {', '.join(CAPABILITIES)} (got {name!r})")

    def mark(function: F) -> F:
        function.needs = frozenset(capabilities)  # type: ignore[attr-defined]
        return function

    return mark


def lacking(function: object, there: Collection[str]) -> str:
    """Why a function cannot be asked of a model that has the capabilities `there`; empty where it can."""
    wanted = set(getattr(function, "needs", ()))
    if wanted & OF_A_CODE:
        wanted.add("code")  # the first reason is told
    return next((why for name, why in CAPABILITIES.items() if name in wanted and name not in there), "")
