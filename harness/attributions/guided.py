"""Guided backpropagation, a negative control: it draws edges of the input, whatever was learned."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from harness.attributions.method import CHUNK_SIZE, register
from harness.attributions.points import chunks_of
from harness.environment import state
from harness.environment.state import clean
from harness.errors import InputError
from harness.subjects.sparse.structure import slope


class _Guided(torch.autograd.Function):
    """A rectifier that lets a gradient back only where it is positive, and the unit is on."""

    @staticmethod
    def forward(ctx: Any, h: Tensor) -> Tensor:
        ctx.save_for_backward(h > 0)
        return h.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (on,) = ctx.saved_tensors
        back: Tensor = gradient.clamp_min(0) * on
        return back


class _Guiding(TorchFunctionMode):
    """While it lasts, every rectifier is guided, be it a module or a function; `count` says how many were."""

    count = 0

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(function, "__name__", "")
        if not _is_rectifier(name, args, kwargs):
            return function(*args, **kwargs)
        self.count += 1
        h: Tensor = args[0] if args else kwargs["input"]
        found = _Guided.apply(h)
        in_place = name.endswith("_") or (name == "relu" and (kwargs.get("inplace") or args[1:] == (True,)))
        return h.copy_(found) if in_place else found


def _is_rectifier(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call is a relu, under this name or as a bound of 0 from below."""
    if name in ("relu", "relu_"):
        return True
    given = dict(zip(("input", "min", "max"), args, strict=False)) | kwargs
    bounded = name.rstrip("_") in ("clamp", "clamp_min", "clip") and given.get("max") is None
    return bounded and isinstance(given.get("min"), int | float) and given["min"] == 0


@register("guided_backprop", space="sensitivity", needs=["gradient"], control=True)
def guided_backprop(
    model: nn.Module, images: Tensor, targets: Tensor, *, chunk_size: int = CHUNK_SIZE
) -> Tensor:
    """Guided backpropagation (Springenberg et al. 2015): a control, not an explanation.

    float32 [n, features]: the gradient df_y/dx, but that every rectifier lets back only what is positive. It
    hardly changes when a network's weights are drawn anew (Adebayo et al. 2018). Rectifiers are met as they
    are called, modules or functions; other non-linear units have their derivative.

    Raises:
        InputError: the model calls no rectifier, so that its map were its gradient.
    """
    maps = torch.empty_like(images)
    with clean(), state.evaluation(model):
        for chunk in chunks_of(images, targets, chunk_size):
            with _Guiding() as guiding:
                maps[chunk] = slope(model, images[chunk], targets[chunk])
            if not guiding.count:
                raise InputError(
                    "guided_backprop: the model must have rectifiers (got no call of relu, so its map were "
                    "its gradient); name other methods"
                )
    return maps
