"""Methods that ask a layer: where its activations speak for the class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.attributions import groups as grouping
from harness.attributions.groups import Axes
from harness.attributions.method import CHUNK_SIZE, register, with_gradient
from harness.attributions.points import chunks_of
from harness.environment import state
from harness.errors import InputError
from harness.registry import suggestion
from harness.subjects.models import CONVOLUTIONS, hooked
from harness.subjects.precision import STEP

MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def convolution_of(model: nn.Module, images: Tensor, name: str = "") -> nn.Module:
    """The layer that Grad-CAM asks: the one of that name, or the last convolution that the model calls.

    Args:
        model: Images to logits, evaluating.
        images: float [n, features]; one of them is asked which layers are called.
        name: Of a layer, as the user's own model names it.

    Raises:
        InputError: there is no such layer, or no convolution; it is not called, or more than once.
    """
    layers: dict[str, nn.Module] = {one: layer for one, layer in model.named_modules() if one}
    if name:
        # as the user's own model names it, without the parts that the harness put around it
        fitting = [layer for one, layer in layers.items() if one == name or one.endswith(f".{name}")]
        if not fitting:
            raise InputError(f"grad_cam: the model has no layer {name!r}: {suggestion(name, list(layers))}")
        asked = fitting[:1]
    else:
        asked = [layer for layer in layers.values() if isinstance(layer, CONVOLUTIONS)]
        if not asked:
            raise InputError("grad_cam: the model has no convolution; name a layer with places")
    called: list[nn.Module] = []
    with ExitStack() as stack, torch.no_grad():
        for layer in asked:
            stack.enter_context(hooked(layer, lambda _, layer=layer: called.append(layer)))  # type: ignore[misc]
        model(images[:1])
    if not called:
        raise InputError(f"grad_cam: the model must call its layer {name!r} (got none); name another one")
    if called.count(called[-1]) > 1:
        raise InputError(
            f"grad_cam: the layer must be used once for an input (got {called.count(called[-1])} uses); "
            "name another one by grad_cam_layer"
        )
    return called[-1]


def of_grad_cam(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    directions: Tensor,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    grad_cam_layer: str = "",
) -> Tensor:
    """Of the map made anew: each channel's weight is a slope in activation space, drawn by own weights."""
    layer, size = convolution_of(model, images, grad_cam_layer), STEP[images.dtype]
    kept: list[Tensor] = []
    with hooked(layer, lambda out: kept.append(out.clone())):
        model(images)
    activations = kept[0]

    def logits(channel: int, step: float) -> Tensor:
        def stepped(out: Tensor) -> Tensor:
            out = out.clone()
            out[:, channel] += step
            return out

        with hooked(layer, stepped):
            found: Tensor = model(images).gather(1, targets[:, None])[:, 0]
        return found

    places = math.prod(activations.shape[2:])
    total = torch.zeros_like(activations[:, 0])
    for channel in range(activations.shape[1]):
        slope = (logits(channel, size) - logits(channel, -size)) / (2 * size)
        total += slope.view(-1, *[1] * (total.ndim - 1)) / places * activations[:, channel]
    maps = total.clamp_min(0)
    sides, names = grouping.places(images.shape[1], shape, axes)
    for axis, side in enumerate(_sides(sides, names), start=1):
        maps = torch.tensordot(maps, _between(maps.shape[axis], side).to(maps), dims=([axis], [1]))
        maps = maps.movedim(-1, axis)
    return _over_channels(maps, sides, names) @ directions.T


def _between(few: int, many: int) -> Tensor:
    """Linear interpolation between the centres of cells: float64 [many, few]."""
    at = ((torch.arange(many, dtype=torch.float64) + 0.5) * few / many - 0.5).clamp(0, few - 1)
    return (1 - (at[:, None] - torch.arange(few)).abs()).clamp_min(0)


def _sides(sides: Sequence[int], axes: Axes) -> list[int]:
    return [side for side, axis in zip(sides, axes, strict=True) if axis in grouping.PLACES]


def _over_channels(maps: Tensor, sides: Sequence[int], axes: Axes) -> Tensor:
    """Maps of places as maps of features, [n, features]: the channels of a place share its value."""
    if "channel" in axes:
        place = 1 + list(axes).index("channel")
        maps = maps.unsqueeze(place) / sides[place - 1]
        maps = maps.expand(-1, *sides)
    return maps.flatten(1)


@register(
    "grad_cam",
    space="contribution",
    identity=of_grad_cam,
    needs=["gradient", "places"],
    family="layer",
    missingness=False,
    cost=with_gradient,
)
def grad_cam(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    grad_cam_layer: str = "",
    chunk_size: int = CHUNK_SIZE,
) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) of the last convolution, or of a layer by name.

    float32 [n, features]: the rectified sum over channels k of A_k times the mean of df_y/dA_k over places,
    drawn over the input by (bi)linear interpolation, as in the paper; an input's channels share it. It says
    where, not how much: nothing sums to the logit, and a blank ground may have a share.

    Raises:
        InputError: the model has no such layer, or it has not the places of the input.
    """
    maps = torch.empty_like(images)
    sides, names = grouping.places(images.shape[1], shape, axes)
    into = _sides(sides, names)
    kept: list[Tensor] = []

    def keep(out: Tensor) -> Tensor:
        """What the model goes on with is another tensor, which it may change in place."""
        kept.append(out)
        return out.clone()

    with state.evaluation(model), hooked(convolution_of(model, images, grad_cam_layer), keep):
        for chunk in chunks_of(images, targets, chunk_size):
            kept.clear()
            with torch.enable_grad():
                logits = model(images[chunk].detach().requires_grad_())
                chosen = logits.gather(1, targets[chunk, None]).sum()
                activations = kept[0]
                if activations.ndim != 2 + len(into):
                    raise InputError(
                        f"grad_cam: the layer must have a channel and {len(into)} axes of places, as the "
                        f"input has (got an output of {activations.ndim - 1} axes); name another one"
                    )
                (slopes,) = torch.autograd.grad(chosen, activations)
            weights = slopes.flatten(2).mean(dim=2).view(*slopes.shape[:2], *[1] * len(into))
            places = (weights * activations.detach()).sum(dim=1, keepdim=True).relu()
            drawn = F.interpolate(places, into, mode=MODES[len(into)], align_corners=False)[:, 0]
            maps[chunk] = _over_channels(drawn, sides, names)
    return maps
