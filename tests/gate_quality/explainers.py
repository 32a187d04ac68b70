"""Faults in methods that are not of the reference recipe, and which of them the gate finds out.

Each is planted in a run of integrated gradients and the one method, on the embedded data: the reference's
network, for a method that asks a layer the convolutional one. What counts is the gate that must go red, for
a run of a few samples and two methods may be red by others.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import attributions
from harness.attributions import coalitions, paths, perturbation
from harness.attributions.method import known_to
from harness.pipeline.work import Work
from tests.gate_quality.faults import (
    INTEGRITY,
    Act,
    Fault,
    Plant,
    before,
    of_wrong_class,
    other_maps,
    other_method,
    other_settings,
)

FLAGS: Mapping[str, Any] = {"samples_per_class": 3}
"""The checks of these methods ask a model a thousand times an image."""

BESIDE = "integrated_gradients"

CHECKED = (*INTEGRITY, "attribution_copies")
"""The gates that must be green where nothing is planted."""

Ask = Callable[..., Tensor]


def _asked(name: str, change: Callable[[Ask, nn.Module, Tensor, Tensor], Tensor]) -> Plant:
    """A method whose own function is asked otherwise, or in whose place something else is."""
    true = attributions.methods[name].maps

    def maps(model: nn.Module, images: Tensor, targets: Tensor, **settings: Any) -> Tensor:
        return change(partial(true, **known_to(true, settings)), model, images, targets)

    return other_method(name, maps)


def _from_grey(ask: Ask, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """From a baseline of 0.5: the network of x + 0.5, asked at x - 0.5."""
    model, grey = copy.deepcopy(model), torch.full_like(images[:1], 0.5)
    encoder: Any = model.get_submodule("autoencoder.encoder")
    with torch.no_grad():
        encoder.bias += F.linear(grey, encoder.weight)[0]
    return ask(model, images - grey, targets)


class _Rolled(nn.Module):
    """A model of images that lie a pixel further."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """The logits of the images moved back."""
        logits: Tensor = self.model(images.roll(-1, dims=1))
        return logits


def _by_shifted_windows(ask: Ask, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    return ask(_Rolled(model), images.roll(1, dims=1), targets).roll(-1, dims=1)


def _by_derivatives(_ask: Ask, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    return images * attributions.gradients(model, images, targets)


def _uneven(weights: Tensor) -> Tensor:
    """Weights that are too large by 2 % and too small by 2 %, in turn."""
    return weights * (1 + 0.02 * torch.where(torch.arange(len(weights)) % 2 == 0, 1.0, -1.0))


def _kernel_wrong() -> Any:
    true = coalitions.shapley_kernel

    def shapley_kernel(*given: Any) -> tuple[Tensor, Tensor]:
        keep, weights = true(*given)
        return keep, _uneven(weights)

    return mock.patch.object(coalitions, "shapley_kernel", shapley_kernel)


def _closeness_wrong() -> Any:
    true = perturbation.closeness
    return mock.patch.object(perturbation, "closeness", lambda keep: _uneven(true(keep)))


def _drawn_by_nearest() -> Any:
    true = F.interpolate

    def interpolate(maps: Tensor, size: Any, **_how: Any) -> Tensor:
        return true(maps, size, mode="nearest")

    return mock.patch.object(F, "interpolate", interpolate)


def _unrectified(ask: Ask, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """What the rectifier takes away beside what it leaves: of f and of -f."""
    return ask(model, images, targets) - ask(_Negative(model), images, targets)


class _Negative(nn.Module):
    """A model whose logits have another sign."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """The logits times -1."""
        logits: Tensor = -self.model(images)
        return logits


def _copied(name: str) -> Act:
    """Integrated gradients' maps in a method's file."""

    def act(work: Work) -> None:
        for seed in work.config.seeds:
            folder = work.run.seed(seed)
            arrays = folder.read_arrays(f"attributions/{name}.npz")
            arrays["maps"] = folder.read_arrays(f"attributions/{BESIDE}.npz")["maps"]
            folder.write_arrays(f"attributions/{name}.npz", arrays)

    return act


def _unseeded() -> Any:
    return other_settings(noise_seed=int(np.random.default_rng().integers(2**31)))()


Found = tuple[Tensor, Tensor, Tensor, Tensor]


def _jumps(change: Callable[[Found], Found]) -> Plant:
    """Switches that are found, and then counted otherwise."""
    true = paths.Paths.jumps

    def jumps(path: paths.Paths, across: int) -> Found:
        return change(true(path, across))

    return lambda: mock.patch.object(paths.Paths, "jumps", jumps)


def _largest(found: Found) -> Tensor:
    """Which is the largest jump of its image: bool [jumps]."""
    image, _, _, parts = found
    size = parts.sum(dim=1).abs()
    most = size.new_zeros(int(image.max()) + 1).scatter_reduce(0, image, size, "amax")
    return size == most[image]


def _times(factors: Callable[[Found], Tensor]) -> Callable[[Found], Found]:
    return lambda found: (*found[:3], found[3] * factors(found)[:, None]) if len(found[0]) else found


def _of_the_other(found: Found) -> Found:
    return found[0], found[1], found[2], found[3].flip(1)


HALVES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "occlusion": ("windows at every fourth place, not at every second", {"occlusion_stride": 4}),
    "kernel_shap": ("half the coalitions", {"kernel_shap_samples": 1024}),
    "shapley_sampling": ("half the orders", {"shapley_permutations": 12}),
    "lime": ("half the coalitions", {"lime_samples": 500}),
    "expected_gradients": ("half the draws", {"expected_gradients_samples": 50}),
    "smoothgrad_squared": ("half the copies", {"smoothgrad_samples": 12}),
    "vargrad": ("half the copies", {"smoothgrad_samples": 12}),
    "switch_aware_integrated_gradients": ("half the points across a switch", {"switch_points": 1}),
}
OWN: Mapping[str, Mapping[str, tuple[str, Plant]]] = {
    "occlusion": {"shifted": ("windows that lie a pixel further", _asked("occlusion", _by_shifted_windows))},
    "kernel_shap": {"kernel": ("coalitions that weigh 2 % too much and too little", _kernel_wrong)},
    "lime": {"kernel": ("coalitions that weigh 2 % too much and too little", _closeness_wrong)},
    "deeplift_code": {"slopes": ("derivatives for multipliers", _asked("deeplift_code", _by_derivatives))},
    "deep_lift": {"slopes": ("derivatives for multipliers", _asked("deep_lift", _by_derivatives))},
    "switch_aware_integrated_gradients": {
        "missed": (
            "the largest switch of each image missed",
            _jumps(_times(lambda found: (~_largest(found)).float())),
        ),
        "twice": (
            "the largest jump of each image counted twice",
            _jumps(_times(lambda found: 1 + _largest(found).float())),
        ),
        "unit": ("each unit's part of a jump given to the other", _jumps(_of_the_other)),
        "tenth": (
            "one switch in ten left out",
            _jumps(_times(lambda found: (torch.arange(len(found[0])) % 10 != 0).float())),
        ),
        "rule": ("shares by magnitude, not by evidence", other_settings(switch_allocation="magnitude")),
    },
    "grad_cam": {
        "layer": ("of another layer", other_settings(grad_cam_layer="0")),
        "nearest": ("drawn by the nearest cell", _drawn_by_nearest),
        "unrectified": ("without the rectifier", _asked("grad_cam", _unrectified)),
    },
}
"""What can be wrong with one method alone, by method: in words, and how it is planted."""

DRAWING = ("kernel_shap", "shapley_sampling", "lime", "expected_gradients", "smoothgrad_squared", "vargrad")
OF_MODULES = ("grad_cam", "deep_lift", "smoothgrad_squared", "vargrad")
"""Those that are asked of the convolutional network."""

METHODS = (
    "occlusion",
    "kernel_shap",
    "shapley_sampling",
    "lime",
    "expected_gradients",
    "deeplift_code",
    "switch_aware_integrated_gradients",
    *OF_MODULES,
)


def flags_of(name: str) -> dict[str, Any]:
    """Of a run of the method beside integrated gradients."""
    flags = {"methods": f"{BESIDE},{name}", **FLAGS}
    return flags | {"model": "convolutional"} if name in OF_MODULES else flags


def _faults(name: str) -> Iterator[Fault]:
    flags = flags_of(name)

    def fault(kind: str, what: str, plant: Plant, by: tuple[str, ...] = INTEGRITY) -> Fault:
        return Fault(f"{name}-{kind}", f"{name}: {what}", plant, by, flags)

    if name == "expected_gradients":
        yield fault("baseline", "from a black image", other_settings(references=torch.zeros(1, 784)))
    elif name not in OF_MODULES:
        yield fault("baseline", "from a grey baseline", _asked(name, _from_grey))
    if name in HALVES:
        what, changed = HALVES[name]
        yield fault("half", what, other_settings(**changed))
    for kind, (what, plant) in OWN.get(name, {}).items():
        yield fault(kind, what, plant)
    yield fault("0.98", "too small by 2 %", before("probing", other_maps(lambda maps: 0.98 * maps, [name])))
    yield fault("class", "of the wrong class", before("probing", partial(of_wrong_class, only=[name])))
    yield fault(
        "copy", f"a copy of {BESIDE}", before("probing", _copied(name)), ("attribution_copies", *INTEGRITY)
    )
    if name in DRAWING:
        yield fault("unseeded", "draws that nobody seeded", _unseeded)


FAULTS: tuple[Fault, ...] = tuple(one for name in METHODS for one in _faults(name))
