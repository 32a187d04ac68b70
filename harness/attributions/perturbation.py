"""Methods that take groups of features away, and ask the model what it says then.

They need no gradient. What is taken away is put at the baseline, which is 0; which features go together says
`harness.attributions.groups`, which coalitions are asked `harness.attributions.coalitions`. Maps are
contributions: what a group adds to the logit is spread over its features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.attributions import coalitions, games
from harness.attributions import groups as grouping
from harness.attributions.groups import Axes
from harness.attributions.method import CHUNK_SIZE, known_to, register
from harness.errors import ConfigurationError

WELL_POSED = 1e-7
"""The least share of a fit's largest eigenvalue that its smallest must have to be told from rounding."""

KERNEL_WIDTH, RIDGE = 0.25, 1.0
"""LIME's kernel width, of cosine distances, and the ridge penalty: those of the package `lime`."""


def _of_windows(
    features: int, *, shape: Sequence[int] = (), axes: Axes = (), occlusion_window: int = 4
) -> Tensor:
    return grouping.blocks(features, shape, axes, occlusion_window)


def _windows_asked(
    features: int,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    occlusion_window: int = 4,
    occlusion_stride: int = 2,
) -> int:
    return 1 + len(window_cells(features, shape, axes, occlusion_window, occlusion_stride)[1])


@register(
    "occlusion",
    space="contribution",
    identity=games.of_occlusion,
    family="perturbation",
    groups=_of_windows,
    cost=_windows_asked,
)
def occlusion(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    occlusion_window: int = 4,
    occlusion_stride: int = 2,
    chunk_size: int = CHUNK_SIZE,
) -> Tensor:
    """Occlusion (Zeiler and Fergus 2014): what the logit loses without a window that moves over the input.

    float32 [n, features]: the mean, over the windows that cover a feature, of f_y(x) less f_y(x with the
    window at the baseline); 0 where the input is the baseline itself.
    """
    cells, windows = window_cells(images.shape[1], shape, axes, occlusion_window, occlusion_stride)
    keep = torch.cat([torch.ones_like(windows[:1]), ~windows])
    found = coalitions.values(model, images, targets, keep, cells, chunk_size=chunk_size)
    lost = found[:, :1] - found[:, 1:]
    covers = windows.to(lost)  # [windows, cells]
    means = lost @ covers / covers.sum(dim=0)
    return means[:, cells.to(images.device)] * (images != 0)


def window_cells(
    features: int, shape: Sequence[int], axes: Axes, window: int, stride: int
) -> tuple[Tensor, Tensor]:
    """Windows as sets of cells: each feature's cell, int64 [features], and bool [windows, cells].

    A window moves along the axes of places, from the start on and, where the stride does not fit, up to the
    end; over all channels of an image, over each of a series. A cell is what the same windows cover.

    Raises:
        ConfigurationError: a stride that leaves features out.
    """
    sides, names = grouping.places(features, shape, axes)
    if stride > window:
        raise ConfigurationError(
            f"occlusion_stride must be in 1..{window}, the window's side, or some features lie in no window "
            f"(got {stride})"
        )
    along = []
    for side, axis in zip(sides, names, strict=True):
        if axis in grouping.PLACES:
            starts = range(0, max(0, math.ceil((side - window) / stride)) * stride + 1, stride)
            there = torch.arange(side)
            along.append(torch.stack([(there >= start) & (there < start + window) for start in starts]))
        elif grouping.belong_together(axis, names):
            along.append(torch.ones(1, side, dtype=torch.bool))
        else:
            along.append(torch.eye(side, dtype=torch.bool))
    # on each axis, features that the same windows cover are one cell
    parts = [one.unique(dim=1, return_inverse=True) for one in along]
    cells = torch.zeros((), dtype=torch.int64)
    for covered, place in parts:
        cells = cells[..., None] * covered.shape[1] + place
    windows = torch.ones(1, 1, dtype=torch.bool)
    for covered, _ in parts:
        windows = (windows[:, None, :, None] & covered[None, :, None, :]).flatten(2, 3).flatten(0, 1)
    return cells.flatten(), windows


def _design(players: int, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """KernelSHAP's coalitions and their weights.

    Raises:
        ConfigurationError: they determine no fit, whatever the model says of them.
    """
    if players < 2:
        raise ConfigurationError("kernel_shap: groups must be two or more (got one); choose a smaller grain")
    keep, weights = coalitions.shapley_kernel(players, samples, seed)
    z = keep.double()
    free = (z[:, :-1] - z[:, -1:]) * weights.sqrt()[:, None]  # the last one's share follows from the sum
    sizes = torch.linalg.eigvalsh(free.T @ free)
    if bool(sizes[0] <= WELL_POSED * sizes[-1]):
        raise ConfigurationError(
            f"kernel_shap_samples must be enough to fit {players} groups, about {3 * players} at the least "
            f"(got {samples}); ask more, or take fewer groups by grain or group_mask"
        )
    return keep, weights


def _players(features: int, settings: Mapping[str, Any]) -> int:
    """How many groups the settings declare."""
    return int(grouping.chosen(features, **known_to(grouping.chosen, settings)).max()) + 1


def _coalitions_asked(
    features: int, *, kernel_shap_samples: int = 2048, noise_seed: int = 0, **settings: Any
) -> int:
    return 2 + len(_design(_players(features, settings), kernel_shap_samples, noise_seed)[0])


@register(
    "kernel_shap",
    space="contribution",
    identity=games.of_kernel_shap,
    family="perturbation",
    groups=grouping.chosen,
    cost=_coalitions_asked,
)
def kernel_shap(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    grain: int | None = None,
    groups: Sequence[int] | None = None,
    kernel_shap_samples: int = 2048,
    noise_seed: int = 0,
    chunk_size: int = CHUNK_SIZE,
) -> Tensor:
    """KernelSHAP (Lundberg and Lee 2017): Shapley values of groups by weighted least squares.

    float32 [n, features]. The fit meets f_y(x) and f_y(baseline) exactly (Covert and Lee 2021, equation 7);
    groups that are the baseline have no part in it.

    Raises:
        ConfigurationError: so few coalitions determine no fit.
    """
    features = grouping.chosen(images.shape[1], shape=shape, axes=axes, grain=grain, groups=groups)
    players = int(features.max()) + 1
    keep, weights = _design(players, kernel_shap_samples, noise_seed)
    ends = torch.tensor([[True], [False]]).expand(2, players)
    found = coalitions.values(
        model, images, targets, torch.cat([ends, keep]), features, chunk_size=chunk_size
    ).double()
    there = coalitions.held(images, features)
    z = keep.to(found)
    weighted = z * weights.to(found)[:, None]
    products, answers = weighted.T @ z, (found[:, 2:] - found[:, 1:2]) @ weighted
    total = found[:, 0] - found[:, 1]
    phi = torch.zeros_like(answers)
    for one, present in enumerate(there):
        if bool(present.any()):
            inverse = torch.linalg.pinv(products[present][:, present], hermitian=True)
            free, ones = inverse @ answers[one, present], inverse.sum(dim=1)
            phi[one, present] = free - ones * ((free.sum() - total[one]) / ones.sum())
    return grouping.spread(phi.to(images), images, features)


def _steps_asked(features: int, *, shapley_permutations: int = 24, **settings: Any) -> int:
    return shapley_permutations * (_players(features, settings) + 1)


@register(
    "shapley_sampling",
    space="contribution",
    identity=games.of_shapley_sampling,
    family="perturbation",
    groups=grouping.chosen,
    cost=_steps_asked,
)
def shapley_sampling(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    grain: int | None = None,
    groups: Sequence[int] | None = None,
    shapley_permutations: int = 24,
    noise_seed: int = 0,
    chunk_size: int = CHUNK_SIZE,
) -> Tensor:
    """Shapley values by sampled orders (Castro, Gomez and Tejada 2009), float32 [n, features].

    What each group adds to the logit when it enters, the mean over orders; each order is taken with its
    reverse. They sum to f_y(x) less f_y(baseline), whatever the orders.
    """
    features = grouping.chosen(images.shape[1], shape=shape, axes=axes, grain=grain, groups=groups)
    players = int(features.max()) + 1
    orders = coalitions.permutations(players, shapley_permutations, noise_seed)
    position = orders.argsort(dim=1)  # [orders, players]: when each enters
    steps = torch.arange(players + 1)
    keep = (position[:, None] < steps[:, None]).flatten(0, 1)  # [orders x (players + 1), players]
    found = coalitions.values(model, images, targets, keep, features, chunk_size=chunk_size).double()
    added = found.unflatten(1, (len(orders), players + 1)).diff(dim=2)
    phi = added.gather(2, position.to(images.device).expand(len(images), -1, -1)).mean(dim=1)
    return grouping.spread(phi.to(images), images, features)


@register(
    "lime",
    space="contribution",
    identity=games.of_lime,
    family="perturbation",
    groups=grouping.chosen,
    cost=lambda _features, *, lime_samples=1000: lime_samples,
)
def lime(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    grain: int | None = None,
    groups: Sequence[int] | None = None,
    lime_samples: int = 1000,
    noise_seed: int = 0,
    chunk_size: int = CHUNK_SIZE,
) -> Tensor:
    """LIME (Ribeiro, Singh and Guestrin 2016): the weights of groups in a linear model around the input.

    float32 [n, features]: ridge regression with an intercept of the logit on which groups stay, weighted by
    exp(-d^2 / 2 w^2) of the cosine distance d from all, w = 0.25, penalty 1, as the package `lime` does it;
    groups that are the baseline have no part in it.
    """
    features = grouping.chosen(images.shape[1], shape=shape, axes=axes, grain=grain, groups=groups)
    players = int(features.max()) + 1
    keep = coalitions.masks(players, lime_samples, noise_seed)
    found = coalitions.values(model, images, targets, keep, features, chunk_size=chunk_size).double()
    z, weights = keep.to(found), closeness(keep).to(found)
    ridge, weights = RIDGE / weights.sum(), weights / weights.sum()
    z = z - weights @ z
    answers = (found - (found @ weights)[:, None]) @ (z * weights[:, None])
    products = (z * weights[:, None]).T @ z
    phi = torch.zeros_like(answers)
    for one, present in enumerate(coalitions.held(images, features)):
        part = products[present][:, present]
        part = part + ridge * torch.eye(len(part), dtype=part.dtype, device=part.device)
        phi[one, present] = torch.linalg.solve(part, answers[one, present])
    return grouping.spread(phi.to(images), images, features)


def closeness(keep: Tensor) -> Tensor:
    """LIME's weights of coalitions [samples, groups], by the cosine distance from all: float64 [samples]."""
    distances = 1 - keep.double().mean(dim=1).sqrt()
    return (-(distances**2) / (2 * KERNEL_WIDTH**2)).exp()
