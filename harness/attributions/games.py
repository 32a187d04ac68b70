"""What maps of methods that take groups away must be, once more and by other means: from forward passes.

Beside `harness.attributions.integrity`: there a map's inner product with a direction is a slope, here the
map itself is worked out again, in the check's precision, from its definition: windows one by one, the
Shapley values and LIME's weights from the conditions that the best fit satisfies. Which coalitions are asked
is declared, and shared; how they weigh and what follows from them is written a second time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.attributions import coalitions
from harness.attributions import groups as grouping
from harness.attributions.groups import Axes
from harness.attributions.integrity import Logit, Split

BATCH = 512
"""Inputs that are asked at once."""

Value = Callable[[Tensor], Tensor]
"""bool [coalitions, groups] of groups that stay, to the logits [coalitions]."""


def of_occlusion(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    directions: Tensor,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    occlusion_window: int = 4,
    occlusion_stride: int = 2,
) -> Tensor:
    """Of the mean loss over the windows that cover a feature, window by window."""
    sides, names = grouping.places(images.shape[1], shape, axes)
    total, count = torch.zeros_like(images), torch.zeros_like(images[0])
    whole = _logits(model, images, targets)
    for window in _windows(sides, names, occlusion_window, occlusion_stride):
        covered = torch.zeros(sides, dtype=torch.bool)
        covered[window] = True
        inside = covered.flatten().to(images.device)
        lost = whole - _logits(model, images.masked_fill(inside, 0), targets)
        total += lost[:, None] * inside
        count += inside
    return (total / count).masked_fill(images == 0, 0) @ directions.T


def _windows(sides: Sequence[int], names: Axes, window: int, stride: int) -> Iterator[tuple[slice, ...]]:
    """Each place of the window, as slices."""
    moves: list[list[slice]] = []
    for side, name in zip(sides, names, strict=True):
        if name in grouping.PLACES:
            starts = [0]
            while starts[-1] + window < side:
                starts.append(starts[-1] + stride)
            moves.append([slice(start, start + window) for start in starts])
        elif grouping.belong_together(name, names):
            moves.append([slice(None)])
        else:
            moves.append([slice(place, place + 1) for place in range(side)])
    yield from itertools.product(*moves)


def of_kernel_shap(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    directions: Tensor,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    grain: int | None = None,
    groups: Sequence[int] | None = None,
    kernel_shap_samples: int = 2048,
    noise_seed: int = 0,
) -> Tensor:
    """Of the weighted least squares at the declared coalitions, its constraint put in for one group."""
    features = grouping.chosen(images.shape[1], shape=shape, axes=axes, grain=grain, groups=groups)
    players = int(features.max()) + 1
    keep, _ = coalitions.shapley_kernel(players, kernel_shap_samples, noise_seed)
    roots = _kernel(keep).sqrt().to(images.device)

    def fit(value: Value, present: Tensor) -> Tensor:
        none, every = value(torch.tensor([[False], [True]]).expand(2, players)).unbind()
        z, answers = keep[:, present.cpu()].to(images), value(keep) - none
        others, last = z[:, :-1] - z[:, -1:], z[:, -1]
        right = roots * (answers - last * (every - none))
        found = torch.linalg.lstsq(roots[:, None] * others, right[:, None]).solution[:, 0]
        return torch.cat([found, (every - none - found.sum())[None]])

    return _fitted(model, images, targets, features, fit) @ directions.T


def _kernel(keep: Tensor) -> Tensor:
    """What each coalition weighs: its size's share of the Shapley kernel where the size is whole, else of
    what is left; float64 [coalitions]."""
    players, sizes = keep.shape[1], keep.sum(dim=1)
    mass = {s: (players - 1) / (s * (players - s)) for s in range(1, players)}
    counts = {s: int((sizes == s).sum()) for s in mass}
    distinct = {s: len(keep[sizes == s].unique(dim=0)) if counts[s] else 0 for s in mass}
    whole = {s for s in mass if counts[s] == distinct[s] == math.comb(players, s)}
    rest = sum(mass[s] for s in mass if s not in whole) / max(
        1, sum(counts[s] for s in mass if s not in whole)
    )
    each = [mass[s] / counts[s] if s in whole else rest for s in sizes.tolist()]
    return torch.tensor(each, dtype=torch.float64)


def of_shapley_sampling(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    directions: Tensor,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    grain: int | None = None,
    groups: Sequence[int] | None = None,
    shapley_permutations: int = 24,
    noise_seed: int = 0,
) -> Tensor:
    """Of the mean of what each group adds on entering, order by order."""
    features = grouping.chosen(images.shape[1], shape=shape, axes=axes, grain=grain, groups=groups)
    players = int(features.max()) + 1
    orders = coalitions.permutations(players, shapley_permutations, noise_seed)

    def walk(value: Value, present: Tensor) -> Tensor:
        total = torch.zeros(players, dtype=images.dtype, device=images.device)
        for order in orders:
            found = value(torch.ones(players, players + 1, dtype=torch.bool).triu(1)[order.argsort()].T)
            total[order.to(images.device)] += found[1:] - found[:-1]
        return (total / len(orders))[present]

    return _fitted(model, images, targets, features, walk) @ directions.T


def of_lime(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    directions: Tensor,
    *,
    shape: Sequence[int] = (),
    axes: Axes = (),
    grain: int | None = None,
    groups: Sequence[int] | None = None,
    lime_samples: int = 1000,
    noise_seed: int = 0,
) -> Tensor:
    """Of the ridge regression, as least squares of the weighted rows with one row more for each penalty."""
    features = grouping.chosen(images.shape[1], shape=shape, axes=axes, grain=grain, groups=groups)
    players = int(features.max()) + 1
    keep = coalitions.masks(players, lime_samples, noise_seed)
    cosines = keep.double().sum(dim=1) / (keep.double().norm(dim=1).clamp_min(1e-300) * math.sqrt(players))
    roots = (-((1 - cosines) ** 2) / (4 * 0.25**2)).exp().to(images.device)

    def fit(value: Value, present: Tensor) -> Tensor:
        z = keep[:, present.cpu()].to(images)
        rows = torch.cat([z, torch.ones_like(z[:, :1])], dim=1) * roots[:, None]
        penalty = torch.eye(z.shape[1], z.shape[1] + 1, dtype=z.dtype, device=z.device)
        right = torch.cat([roots * value(keep), penalty.new_zeros(z.shape[1])])
        found: Tensor = torch.linalg.lstsq(torch.cat([rows, penalty]), right[:, None]).solution[:-1, 0]
        return found

    return _fitted(model, images, targets, features, fit) @ directions.T


def _fitted(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    features: Tensor,
    fit: Callable[[Value, Tensor], Tensor],
) -> Tensor:
    """Each image's map: what `fit` finds for the groups that hold anything, shared among what they hold.

    What comes first in the model, if it is linear, takes each group alone; coalitions add up what it gives.
    """
    maps, split = torch.zeros_like(images), Split(model, images)
    members = F.one_hot(features).T.bool().to(images.device)
    for one, image in enumerate(images):
        shown, logit = image != 0, split.logit(targets[one : one + 1])
        present, added = (members & shown).any(dim=1), split.of(image * members)

        def value(
            keep: Tensor, present: Tensor = present, added: Tensor = added, logit: Logit = logit
        ) -> Tensor:
            stay, place = (keep.to(present.device) & present).unique(dim=0, return_inverse=True)
            parts = [logit(part.to(added) @ added + split.offset) for part in stay.split(BATCH)]
            return torch.cat(parts).to(added)[place]

        if bool(present.any()):
            for group, found in zip(present.nonzero()[:, 0].tolist(), fit(value, present), strict=True):
                inside = shown & members[group]
                maps[one, inside] = (found / inside.sum()).to(maps)
    return maps


def _logits(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    logits: Tensor = model(images).gather(1, targets[:, None])[:, 0]
    return logits.to(images)
